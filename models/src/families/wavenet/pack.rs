//! From a table of tensors to weights in the order in which a step reads them.

use super::bunch::{Head, Phase};
use super::frame_rate::FrameNet;
use super::packed::{Gate, LARGEST_BATCH, Layer, PastTaps, WaveNet};
use super::{Config, names};
use crate::kernels::Isa;
use crate::kernels::affine::Affine;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{BLOCK, Matrix, Panels};
use crate::weights::{Stored, Tensors, WeightsError, check};

/// Symbols whose past taps are multiplied at once in a layer of this dilation: they must all be known, so no more than
/// the dilation, and beyond eight there is little left to gain. With one past tap a batch of two gains nothing, and as
/// codes no batch does: its product is done while the tap at hand is waited for. Nor is there a gain where i8 weights are
/// read anew for every column, as they are where the layers are not `all_i8`.
fn batch(kernel_size: usize, dilation: usize, stored: &Stored, all_i8: bool) -> Option<usize> {
    let past_taps = kernel_size - 1;
    let shared = if all_i8 { past_taps > 1 } else { !matches!(stored, Stored::I8 { .. }) };
    let smallest = if past_taps > 1 { 2 } else { 4 };
    (shared && past_taps > 0 && dilation >= smallest).then(|| (1 << dilation.ilog2()).min(LARGEST_BATCH))
}

impl WaveNet {
    /// Packs `tensors` for `isa`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`].
    pub fn new(config: &Config, tensors: &Tensors, isa: Isa) -> Result<Self, WeightsError> {
        check(tensors, &config.table())?;
        let get = |name: &str| &tensors[name].data[..];
        let matrix = |name: &str| Matrix::from(&tensors[name]);
        let (r, d, k) = (config.residual_channels, config.gate_channels, config.kernel_size);
        let layer_count = config.dilations.len();
        let padded = |n: usize| n.next_multiple_of(isa.lanes());
        let affine = |weight: &str, bias: &str, inputs| Affine::pack(isa, matrix(weight), get(bias), inputs);
        let networks = config.condition.iter().flat_map(|c| {
            c.networks().map(|(net, width)| {
                let layer = |i, inputs| affine(&names::frame(net, i), &names::frame_bias(net, i), inputs);
                [layer(0, c.len()), layer(1, width)]
            })
        });
        let networks = networks.collect();
        let all_i8 = (0..layer_count).all(|l| {
            let i8 = |name: &str| matches!(tensors[name].stored, Stored::I8 { .. });
            i8(&names::gate(l)) && i8(&names::skip(l)) && (l + 1 == layer_count || i8(&names::residual(l)))
        });
        let mut batched = 0;
        let mut gates = Vec::new();
        let mut layers = Vec::new();
        for (l, &dilation) in config.dilations.iter().enumerate() {
            let weight = matrix(&names::gate(l));
            let batch = batch(k, dilation, weight.stored, all_i8);
            let past_inputs = if batch.is_some() { (k - 1) * r } else { 0 };
            let (past, now) = weight.values.split_at(past_inputs * 2 * d);
            let now = Matrix { values: now, ..weight };
            // As codes every tap is a block, with the scale that it was given.
            let block = if all_i8 { r } else { BLOCK };
            let gate = Panels::pack_gated_blocks(isa, now, k * r - past_inputs, d, block);
            // Products that are added to the gate's have their columns in its order.
            let in_gate_order = |w: Matrix, inputs: usize, block: usize| {
                let order = |x: &[f32]| gate.order(x).to_vec();
                let values: Vec<f32> = w.values.chunks_exact(2 * d).flat_map(order).collect();
                let w = Matrix { values: &values, stored: &w.stored.with_columns(order) };
                Panels::pack_blocks(isa, w, inputs, gate.padded_outputs(), block)
            };
            let past = batch.map(|batch| {
                batched += 1;
                let past = Matrix { values: past, ..weight };
                PastTaps { weight: in_gate_order(past, past_inputs, block), batch, offset: batched % batch }
            });
            let condition = config.condition.as_ref();
            let cond = condition.map(|c| in_gate_order(matrix(&names::cond(l)), c.out_len(), BLOCK));
            gates.push((cond, gate.order(get(&names::gate_bias(l)))));
            let residual =
                (l + 1 < layer_count).then(|| affine(&names::residual(l), &names::residual_bias(l), d));
            layers.push(Layer { dilation, gate: Gate { past, weight: gate }, residual });
        }
        let gate_padded = padded(d);
        let s = config.skip_channels;
        let mut skip = vec![0.0; layer_count * gate_padded * s];
        for (l, rows) in skip.chunks_exact_mut(gate_padded * s).enumerate() {
            rows[..d * s].copy_from_slice(get(&names::skip(l)));
        }
        let embed = |lag| {
            let rows = get(&names::embed(lag)).chunks_exact(r);
            let mut table = Aligned::zeros(rows.len() * padded(r));
            for (to, from) in table.chunks_exact_mut(padded(r)).zip(rows) {
                to[..r].copy_from_slice(from);
            }
            table
        };
        let phase = |j| {
            let product = affine(&names::phase(j), &names::phase_bias(j), s);
            let drawn = (0..j).map(|lag| {
                let rows = get(&names::drawn(j, lag)).chunks_exact(config.head_channels);
                let mut table = Aligned::zeros(config.classes * product.bias.len());
                for (to, from) in table.chunks_exact_mut(product.bias.len()).zip(rows) {
                    to.copy_from_slice(&product.weight.order(from));
                }
                table
            });
            Phase { drawn: drawn.collect(), product }
        };
        Ok(Self {
            config: config.clone(),
            isa,
            likelihood: config.likelihood(),
            start: config.start,
            kernel_size: k,
            residual_channels: r,
            gate_padded,
            frame: FrameNet { condition: config.condition.clone(), networks, gates },
            speakers: tensors.get(names::SPEAKERS).map_or(Vec::new(), |t| t.data.clone()),
            embed: (0..config.bunch).map(embed).collect(),
            residual_padded: padded(r),
            layers,
            all_i8,
            // The layers are one group of the table, so all are stored alike.
            skip: Affine::pack(
                isa,
                Matrix { values: &skip, ..matrix(&names::skip(0)) },
                get(names::SKIP_BIAS),
                layer_count * gate_padded,
            ),
            head: Head {
                phases: (0..config.bunch).map(phase).collect(),
                out: affine(names::OUT, names::OUT_BIAS, config.head_channels),
            },
        })
    }
}
