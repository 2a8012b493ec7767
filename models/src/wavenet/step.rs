//! The engine: one symbol in, one distribution out, O(1) work whatever the receptive field.
//!
//! Each layer with taps in the past keeps its last (K−1)·d inputs in a queue (Paine et al. 2016). Weights are packed
//! once for one instruction set, in the order in which a step reads them. What depends on the condition alone is
//! computed when the condition changes. The gated outputs of all layers are laid side by side and meet the skip weights
//! in one product.

use super::{Condition, Config, names};
use crate::ar::{Likelihood, Model, Symbol};
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{Panels, Then, accumulate, gated, product};
use crate::kernels::{Isa, Kernel, Simd, math};
use crate::weights::{Tensors, WeightsError, check};

/// A product with its bias.
#[derive(Clone)]
struct Affine {
    weight: Panels,
    /// [out], packed order.
    bias: Aligned,
}

struct Layer {
    dilation: usize,
    /// Taps from the oldest to the current one [K·R, 2D].
    gate: Panels,
    /// [2D], packed order.
    gate_bias: Aligned,
    /// V_l, as wide as the gate and in its order.
    cond: Option<Panels>,
    /// None in the last layer.
    residual: Option<Affine>,
}

/// Packed weights.
pub struct WaveNet {
    isa: Isa,
    classes: usize,
    start: Symbol,
    kernel_size: usize,
    residual_channels: usize,
    gate_padded: usize,
    condition: Option<Condition>,
    /// E [classes × R padded].
    embed: Aligned,
    /// R padded to whole vectors.
    residual_padded: usize,
    hidden: Vec<Affine>,
    layers: Vec<Layer>,
    /// [L·D padded, S] and b_s.
    skip: Affine,
    /// W_0 and W_1.
    head: [Affine; 2],
}

/// What changes while a stream runs.
#[derive(Clone)]
pub struct State {
    /// Layer l's last (K−1)·d inputs, [(K−1)·d × R padded].
    queues: Vec<Aligned>,
    /// The oldest row of each queue: the next to be overwritten.
    oldest: Vec<usize>,
    /// b_l + V_l c for the frame being held, one per layer, packed order.
    bias: Vec<Aligned>,
    scratch: Scratch,
}

/// Buffers that a step overwrites before it reads them.
#[derive(Clone)]
struct Scratch {
    /// r_l [R padded].
    x: Aligned,
    /// Taps of the layer at hand, side by side [K·R].
    taps: Aligned,
    /// h_l of all layers [L × D padded].
    gated: Aligned,
    /// [S padded].
    skip: Aligned,
    /// [A padded].
    head: Aligned,
    /// [classes padded].
    logits: Aligned,
    /// The frame-rate network's layers, [H padded] each.
    cond: Vec<Aligned>,
}

impl WaveNet {
    /// Packs `tensors` for `isa`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`].
    pub fn new(config: &Config, tensors: &Tensors, isa: Isa) -> Result<Self, WeightsError> {
        check(tensors, &config.table())?;
        let get = |name: &str| &tensors[name].data[..];
        let (r, d) = (config.residual_channels, config.gate_channels);
        let layer_count = config.dilations.len();
        let padded = |n: usize| n.next_multiple_of(isa.lanes());
        let affine = |weight: &str, bias: &str, inputs: usize| {
            let bias = get(bias);
            let weight = Panels::pack(isa, get(weight), inputs, bias.len());
            Affine { bias: weight.order(bias), weight }
        };
        let hidden = match &config.condition {
            Some(c) if c.hidden > 0 => [c.len(), c.hidden]
                .into_iter()
                .enumerate()
                .map(|(i, inputs)| affine(&names::hidden(i), &names::hidden_bias(i), inputs))
                .collect(),
            _ => Vec::new(),
        };
        let layers = (0..layer_count)
            .map(|l| {
                let taps = config.kernel_size * r;
                let gate = Panels::pack_gated(isa, get(&names::gate(l)), taps, d);
                let cond = config.condition.as_ref().map(|c| {
                    // Columns in the gate's order, so that the product adds straight to its bias.
                    let w: Vec<f32> = get(&names::cond(l))
                        .chunks_exact(2 * d)
                        .flat_map(|row| gate.order(row).to_vec())
                        .collect();
                    Panels::pack(isa, &w, c.out_len(), gate.padded_outputs())
                });
                Layer {
                    dilation: config.dilations[l],
                    gate_bias: gate.order(get(&names::gate_bias(l))),
                    gate,
                    cond,
                    residual: (l + 1 < layer_count)
                        .then(|| affine(&names::residual(l), &names::residual_bias(l), d)),
                }
            })
            .collect();
        let gate_padded = padded(d);
        let s = config.skip_channels;
        let mut skip = vec![0.0; layer_count * gate_padded * s];
        for (l, rows) in skip.chunks_exact_mut(gate_padded * s).enumerate() {
            rows[..d * s].copy_from_slice(get(&names::skip(l)));
        }
        let skip = Panels::pack(isa, &skip, layer_count * gate_padded, s);
        let skip_bias = skip.order(get(names::SKIP_BIAS));
        let mut embed = Aligned::zeros(config.classes * padded(r));
        for (to, from) in embed.chunks_exact_mut(padded(r)).zip(get(&names::embed(0)).chunks_exact(r)) {
            to[..r].copy_from_slice(from);
        }
        Ok(Self {
            isa,
            classes: config.classes,
            start: config.start,
            kernel_size: config.kernel_size,
            residual_channels: r,
            gate_padded,
            condition: config.condition.clone(),
            embed,
            residual_padded: padded(r),
            hidden,
            layers,
            skip: Affine { weight: skip, bias: skip_bias },
            head: [
                affine(&names::phase(0), &names::phase_bias(0), s),
                affine(names::OUT, names::OUT_BIAS, config.head_channels),
            ],
        })
    }
}

impl Model for WaveNet {
    type State = State;

    fn likelihood(&self) -> Likelihood {
        Likelihood::Categorical { classes: self.classes }
    }

    fn cond_len(&self) -> usize {
        self.condition.as_ref().map_or(0, Condition::len)
    }

    fn start(&self) -> Symbol {
        self.start
    }

    fn state(&self) -> State {
        let rows = |l: &Layer| (self.kernel_size - 1) * l.dilation;
        let mut state = State {
            queues: self.layers.iter().map(|l| Aligned::zeros(rows(l) * self.residual_padded)).collect(),
            oldest: vec![0; self.layers.len()],
            bias: self.layers.iter().map(|l| l.gate_bias.clone()).collect(),
            scratch: Scratch {
                x: Aligned::zeros(self.residual_padded),
                taps: Aligned::zeros(self.kernel_size * self.residual_channels),
                gated: Aligned::zeros(self.layers.len() * self.gate_padded),
                skip: self.skip.bias.clone(),
                head: self.head[0].bias.clone(),
                logits: self.head[1].bias.clone(),
                cond: self.hidden.iter().map(|h| h.bias.clone()).collect(),
            },
        };
        self.reset(&mut state);
        state
    }

    fn reset(&self, state: &mut State) {
        for q in &mut state.queues {
            q.fill(0.0);
        }
        state.oldest.fill(0);
        if self.condition.is_some() {
            self.isa.run(SetCondition { net: self, state, frame: Frame::Zeros });
        }
    }

    fn condition(&self, state: &mut State, frame: &[f32]) {
        if self.condition.is_some() {
            self.isa.run(SetCondition { net: self, state, frame: Frame::Given(frame) });
        }
    }

    fn step<'s>(&self, state: &'s mut State, x: Symbol) -> &'s [f32] {
        self.isa.run(Step { net: self, state, x });
        &state.scratch.logits[..self.classes]
    }

    fn weight_bytes(&self) -> usize {
        let affine = |a: &Affine| a.weight.bytes() + a.bias.len() * 4;
        let layers: usize = self
            .layers
            .iter()
            .map(|l| l.gate.bytes() + l.gate_bias.len() * 4 + l.residual.as_ref().map_or(0, affine))
            .sum();
        layers + affine(&self.skip) + self.head.iter().map(affine).sum::<usize>()
    }

    fn state_bytes(&self) -> usize {
        let s = self.state();
        let floats = |v: &[Aligned]| v.iter().map(|a| a.len()).sum::<usize>();
        let c = &s.scratch;
        let scratch = [&c.x, &c.taps, &c.gated, &c.skip, &c.head, &c.logits];
        let scratch = scratch.iter().map(|a| a.len()).sum::<usize>() + floats(&c.cond);
        4 * (floats(&s.queues) + floats(&s.bias) + scratch) + size_of_val(&s.oldest[..])
    }

    fn isa(&self) -> &'static str {
        self.isa.name()
    }
}

struct Step<'a> {
    net: &'a WaveNet,
    state: &'a mut State,
    x: Symbol,
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, state, x } = self;
        let State { queues, oldest, bias, scratch } = state;
        let (r, padded, d) = (net.residual_channels, net.residual_padded, net.gate_padded);
        let past = net.kernel_size - 1;
        // A symbol beyond the classes can come from a caller's mistake only; it is read as the last one.
        let row = (x as usize).min(net.classes - 1) * padded;
        scratch.x.copy_from_slice(&net.embed[row..row + padded]);
        for (l, layer) in net.layers.iter().enumerate() {
            let queue = &mut queues[l];
            let rows = past * layer.dilation;
            let mut at = oldest[l];
            for taps in scratch.taps.chunks_exact_mut(r).take(past) {
                taps.copy_from_slice(&queue[at * padded..][..r]);
                at += layer.dilation;
                at = if at >= rows { at - rows } else { at };
            }
            scratch.taps[past * r..].copy_from_slice(&scratch.x[..r]);
            if rows > 0 {
                queue[oldest[l] * padded..][..padded].copy_from_slice(&scratch.x);
                oldest[l] = if oldest[l] + 1 == rows { 0 } else { oldest[l] + 1 };
            }
            let h = &mut scratch.gated[l * d..(l + 1) * d];
            gated(s, &layer.gate, &scratch.taps, &bias[l], h);
            if let Some(res) = &layer.residual {
                for (x, b) in scratch.x.chunks_exact_mut(S::LANES).zip(res.bias.chunks_exact(S::LANES)) {
                    s.store(x, s.add(s.load(x), s.load(b)));
                }
                let inputs = res.weight.inputs();
                accumulate(s, &res.weight, &h[..inputs], &mut scratch.x, Then::Store);
            }
        }
        product(s, &net.skip.weight, &scratch.gated, &net.skip.bias, &mut scratch.skip, Then::Relu);
        let [hidden, out] = &net.head;
        let skip = &scratch.skip[..hidden.weight.inputs()];
        product(s, &hidden.weight, skip, &hidden.bias, &mut scratch.head, Then::Relu);
        let head = &scratch.head[..out.weight.inputs()];
        product(s, &out.weight, head, &out.bias, &mut scratch.logits, Then::Store);
    }
}

/// A conditioning frame.
#[derive(Clone, Copy)]
enum Frame<'a> {
    /// Its values.
    Given(&'a [f32]),
    /// Adds nothing to any product.
    Zeros,
}

struct SetCondition<'a> {
    net: &'a WaveNet,
    state: &'a mut State,
    frame: Frame<'a>,
}

impl Kernel for SetCondition<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, state, frame } = self;
        let State { bias, scratch, .. } = state;
        let mut frame = frame;
        for (i, layer) in net.hidden.iter().enumerate() {
            let (before, here) = scratch.cond.split_at_mut(i);
            let out = &mut here[0];
            out.copy_from_slice(&layer.bias);
            let input = match before.last() {
                Some(h) => Frame::Given(&h[..layer.weight.inputs()]),
                None => frame,
            };
            if let Frame::Given(x) = input {
                accumulate(s, &layer.weight, x, out, Then::Store);
            }
            for v in out.chunks_exact_mut(S::LANES) {
                s.store(v, math::tanh(s, s.load(v)));
            }
        }
        if let (Some(h), Some(c)) = (scratch.cond.last(), &net.condition) {
            frame = Frame::Given(&h[..c.hidden]);
        }
        for (layer, bias) in net.layers.iter().zip(bias) {
            bias.copy_from_slice(&layer.gate_bias);
            if let (Some(cond), Frame::Given(x)) = (&layer.cond, frame) {
                accumulate(s, cond, x, bias, Then::Store);
            }
        }
    }
}
