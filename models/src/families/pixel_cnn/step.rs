//! The engine: one pixel in, one distribution out.
//!
//! At the first step of a line the vertical stack of the whole line is computed at once, and what it gives the horizontal one
//! is kept: products of all rows of the line. Each step then takes one row through the horizontal stack, which reads the
//! rows of its line from a cache. Streams at the same step go together, a row each, and read every weight once.

mod kernel;

use super::gather::SLACK;
use super::geometry::{Geometry, Stack};
use super::{Config, names};
use crate::ar::{Model, Symbol};
use crate::condition::Condition;
use crate::kernels::Isa;
use crate::kernels::affine::Affine;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{Matrix, Panels};
use crate::likelihood::{Input, LikelihoodConfig, Value, Values};
use crate::weights::{Tensors, WeightsError, check};
use kernel::Step;

/// Rows, about, that the streams of a group have together: their buffers stay in the L2.
const ROWS: usize = 64;

/// The taps of one stack in a layer, each half of the outputs padded.
struct Taps {
    /// W_l or U_l; `None` where no step reads anything.
    weight: Option<Panels>,
    /// [labels + 1, 2C padded] the bias, and with each class's row added to it.
    bias: Aligned,
}

struct Layer {
    vertical: Taps,
    horizontal: Taps,
    /// V_l.
    between: Panels,
    /// R_l, r_l.
    residual: Affine,
}

/// Packed weights.
pub struct PixelCnn {
    isa: Isa,
    config: Config,
    geometry: Geometry,
    /// E [rows, embedding].
    embed: Vec<f32>,
    /// b, where values enter as numbers; else empty.
    embed_bias: Vec<f32>,
    layers: Vec<Layer>,
    head: [Affine; 2],
    sizes: Sizes,
}

/// Widths of rows and lengths of caches.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// C padded to whole vectors.
    channels: usize,
    /// The widest row of taps.
    taps: usize,
    /// A, padded.
    head: usize,
    /// Steps of the longest line.
    line: usize,
    /// Steps whose vertical features are kept.
    reach: usize,
}

impl Sizes {
    fn new(config: &Config, geometry: &Geometry, padded: impl Fn(usize) -> usize) -> Self {
        let taps = |l: usize| {
            Stack::BOTH.map(|stack| geometry.taps(stack, l).len() * config.inputs(l)).into_iter().max()
        };
        Self {
            channels: padded(config.channels),
            taps: (0..config.layers.min(2)).filter_map(taps).max().unwrap_or(0),
            head: padded(config.head_channels),
            line: geometry.longest_line(),
            reach: geometry.reach(),
        }
    }

    /// Floats of the buffers for `rows` rows.
    fn work(self, config: &Config, rows: usize) -> usize {
        rows * (self.taps + 2 * config.channels + 4 * self.channels + self.head) + SLACK
    }

    /// Rows that `streams` streams are taken in at most.
    fn rows(self, streams: usize) -> usize {
        self.line.max(streams.min(ROWS))
    }

    /// Floats of the pixels.
    fn pixels(config: &Config) -> usize {
        config.grid.len() * config.embedding + SLACK
    }

    /// Floats of the vertical features, the horizontal features and what the vertical stack gives the horizontal one.
    fn caches(self, config: &Config) -> [usize; 3] {
        let (inner, c) = (config.layers - 1, self.channels);
        [inner * self.reach * c, inner * self.line * c, config.layers * self.line * 2 * c]
    }
}

/// Floats of a stream's state, but for the outputs and the numbers of a pixel.
pub(super) fn state_floats(config: &Config, geometry: &Geometry, padded: impl Fn(usize) -> u64) -> u64 {
    let sizes = Sizes::new(config, geometry, |n| padded(n) as usize);
    let caches: usize = sizes.caches(config).iter().sum();
    (Sizes::pixels(config) + caches + sizes.work(config, sizes.rows(1))) as u64
}

/// What changes while a stream runs.
#[derive(Clone)]
pub struct State {
    /// Steps done in the image at hand.
    done: usize,
    /// Row of the biases for the next image: 0 without a class, else the class and one.
    class: usize,
    /// The same of the image at hand.
    class_now: usize,
    /// e_t [N, embedding].
    pixels: Vec<f32>,
    /// v_l of the last steps [L − 1, reach, C padded]: step t in row t % reach.
    vertical: Aligned,
    /// h_l of the line at hand [L − 1, line, C padded].
    horizontal: Aligned,
    /// a_l V_l + d_l + B_l[c] of the line at hand [L, line, 2C padded].
    between: Aligned,
    /// The numbers that a pixel enters as; empty where it enters by a table.
    numbers: Vec<f32>,
    /// Buffers of a step.
    work: Aligned,
    /// [P padded].
    params: Aligned,
}

impl PixelCnn {
    /// Packs `tensors` for `isa`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`].
    pub fn new(config: &Config, tensors: &Tensors, isa: Isa) -> Result<Self, WeightsError> {
        check(tensors, &config.table())?;
        let get = |name: &str| &tensors[name].data[..];
        let (c, geometry) = (config.channels, config.geometry());
        let sizes = Sizes::new(config, &geometry, |n| n.next_multiple_of(isa.lanes()));
        let pad = |x: &[f32]| Aligned::rows(x, c, sizes.channels);
        let halves = |name: &str| {
            let stored = &tensors[name].stored.with_columns(|scales| pad(scales).to_vec());
            let inputs = tensors[name].data.len() / (2 * c);
            Panels::pack(isa, Matrix { values: &pad(get(name)), stored }, inputs, 2 * sizes.channels)
        };
        let taps = |l: usize, stack| {
            let weight = names::weight(l, stack);
            let mut bias = pad(get(&names::bias(l, stack))).to_vec();
            if let Some(classes) = tensors.get(&names::class(l, stack)) {
                let alone = bias.clone();
                bias.extend(pad(&classes.data).iter().zip(alone.iter().cycle()).map(|(class, b)| b + class));
            }
            Taps {
                weight: tensors.contains_key(&weight).then(|| halves(&weight)),
                bias: Aligned::from(&bias[..]),
            }
        };
        let affine = |weight: &str, bias: &str| {
            let w = &tensors[weight];
            Affine::pack(isa, w.into(), get(bias), w.shape[0])
        };
        let layers = (0..config.layers)
            .map(|l| Layer {
                vertical: taps(l, Stack::Vertical),
                horizontal: taps(l, Stack::Horizontal),
                between: halves(&names::between(l)),
                residual: affine(&names::residual(l), &names::residual_bias(l)),
            })
            .collect();
        let embed_bias = tensors.get(names::EMBED_BIAS).map_or(Vec::new(), |t| t.data.clone());
        Ok(Self {
            isa,
            embed: get(names::EMBED).to_vec(),
            embed_bias,
            layers,
            head: [0, 1].map(|i| affine(&names::head(i), &names::head_bias(i))),
            config: config.clone(),
            geometry,
            sizes,
        })
    }

    /// Width of a row of parameters.
    fn params(&self) -> usize {
        self.head[1].bias.len()
    }

    /// Keeps pixel x, which the step before filled, and makes ready for the next.
    #[inline]
    fn absorb(&self, state: &mut State, x: Value) {
        if state.done == self.config.grid.len() {
            state.done = 0;
        }
        let Some(t) = state.done.checked_sub(1) else {
            state.class_now = state.class;
            return;
        };
        let width = self.config.embedding;
        let to = &mut state.pixels[t * width..][..width];
        match (self.config.likelihood().input(), x) {
            // A symbol beyond the classes can come from a caller's mistake only; it is read as the last one.
            (Input::Table { rows }, Value::Symbol(x)) => {
                to.copy_from_slice(&self.embed[usize::from(x).min(rows - 1) * width..][..width]);
            }
            (input, x) => {
                input.write(x, &mut state.numbers);
                to.copy_from_slice(&self.embed_bias);
                for (row, &v) in self.embed.chunks_exact(width).zip(&state.numbers) {
                    to.iter_mut().zip(row).for_each(|(to, e)| *to += v * e);
                }
            }
        }
    }
}

impl Model for PixelCnn {
    type State = State;

    fn likelihood(&self) -> LikelihoodConfig {
        self.config.likelihood()
    }

    fn start(&self) -> Symbol {
        self.config.start
    }

    fn state(&self) -> State {
        let [vertical, horizontal, between] = self.sizes.caches(&self.config).map(Aligned::zeros);
        State {
            done: 0,
            class: 0,
            class_now: 0,
            pixels: vec![0.0; Sizes::pixels(&self.config)],
            vertical,
            horizontal,
            between,
            numbers: vec![0.0; self.config.likelihood().input().numbers()],
            work: Aligned::zeros(self.sizes.work(&self.config, self.sizes.rows(1))),
            params: Aligned::zeros(self.params()),
        }
    }

    /// # Real-time
    /// Touches two numbers: what a cache holds of an image before is never read.
    fn reset(&self, state: &mut State) {
        state.done = 0;
        state.class = 0;
    }

    /// Holds the class for the images that begin after it.
    fn condition(&self, state: &mut State, condition: &Condition) {
        state.class = condition.class.filter(|&c| c < self.config.labels).map_or(0, |c| c + 1);
    }

    fn step<'s>(&self, state: &'s mut State, x: Value) -> &'s [f32] {
        self.absorb(state, x);
        let (mut work, mut params) = (std::mem::take(&mut state.work), std::mem::take(&mut state.params));
        self.isa.run(Step {
            net: self,
            states: std::slice::from_mut(state),
            work: &mut work,
            params: &mut params,
        });
        (state.work, state.params) = (work, params);
        &state.params[..self.config.likelihood().params()]
    }

    fn scratch_len(&self, streams: usize) -> usize {
        streams * self.params() + self.sizes.work(&self.config, self.sizes.rows(streams))
    }

    fn step_many<'s>(&self, states: &mut [State], values: Values, scratch: &'s mut [f32]) -> &'s [f32] {
        assert_eq!(states.len(), values.len(), "a value for every stream");
        let (params, work) = scratch.split_at_mut(states.len() * self.params());
        let mut rest = &mut *params;
        for (i, state) in states.iter_mut().enumerate() {
            self.absorb(state, values.get(i));
        }
        for states in states.chunk_by_mut(|a, b| a.done == b.done) {
            let (here, later) = rest.split_at_mut(states.len() * self.params());
            rest = later;
            self.isa.run(Step { net: self, states, work: &mut *work, params: here });
        }
        params
    }

    fn weight_bytes(&self) -> usize {
        let width = 2 * self.sizes.channels * size_of::<f32>();
        let taps = |t: &Taps| t.weight.as_ref().map_or(0, Panels::bytes) + width;
        let layer =
            |l: &Layer| taps(&l.vertical) + taps(&l.horizontal) + l.between.bytes() + l.residual.bytes();
        let head = self.head.iter().map(Affine::bytes).sum::<usize>();
        self.layers.iter().map(layer).sum::<usize>() + head + self.config.embedding * size_of::<f32>()
    }

    fn state_bytes(&self) -> usize {
        let s = self.state();
        let rows = [&s.vertical, &s.horizontal, &s.between, &s.work, &s.params];
        4 * (rows.iter().map(|r| r.len()).sum::<usize>() + s.pixels.len() + s.numbers.len())
    }

    fn isa(&self) -> &'static str {
        self.isa.name()
    }
}
