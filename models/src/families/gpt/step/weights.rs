//! The weights, packed once for one instruction set, the norms' biases inside those of the products.

use super::rows::Widths;
use crate::families::gpt::attention::CacheShape;
use crate::families::gpt::{Config, names, norm};
use crate::fixed_length::Labels;
use crate::kernels::Isa;
use crate::kernels::affine::Affine;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::Matrix;
use crate::kernels::transpose::transposed;
use crate::likelihood::{Input, LikelihoodConfig};
use crate::weights::{Stored, Tensors, WeightsError, check};

/// A product behind a norm, whose bias is in the product's.
pub(super) struct Normed {
    /// g [width padded].
    pub(super) gain: Aligned,
    pub(super) product: Affine,
}

impl Normed {
    pub(super) fn bytes(&self) -> usize {
        4 * self.gain.len() + self.product.bytes()
    }
}

pub(super) struct Layer {
    /// W_qkv, every head padded to whole vectors.
    pub(super) qkv: Normed,
    pub(super) out: Affine,
    pub(super) up: Normed,
    pub(super) down: Affine,
}

/// Packed weights.
pub struct Gpt {
    pub(super) isa: Isa,
    pub(super) config: Config,
    pub(super) likelihood: LikelihoodConfig,
    pub(super) input: Input,
    pub(super) shape: CacheShape,
    /// Widths of the rows that a step works on.
    pub(super) widths: Widths,
    /// E [rows, width padded].
    pub(super) embed: Aligned,
    /// P [context, width padded]; empty for a model of any order.
    pub(super) position: Aligned,
    /// The tables of positions, rows of the width padded, for a model of any order; else empty.
    pub(super) tables: Vec<Aligned>,
    /// The model's own order, for a model of any order; else empty.
    pub(super) own_order: Vec<u32>,
    pub(super) labels: Labels,
    /// The numbers that the value before the first enters as.
    pub(super) start_numbers: Vec<f32>,
    pub(super) layers: Vec<Layer>,
    pub(super) head: Normed,
    /// W [width, K] and b `[K]` of the classification head; empty without one.
    pub(super) classifier: (Vec<f32>, Vec<f32>),
}

impl Gpt {
    /// Packs `tensors` for `isa`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`].
    pub fn new(config: &Config, tensors: &Tensors, isa: Isa) -> Result<Self, WeightsError> {
        check(tensors, &config.table())?;
        let get = |name: &str| &tensors[name].data[..];
        let optional = |name: &str| tensors.get(name).map(|t| &t.data[..]);
        let class = |name: String| optional(&name).unwrap_or(&[]).to_vec();
        let (w, mlp) = (config.width, config.mlp_width());
        let pad_rows = |x: &[f32]| Aligned::rows(x, w, w.next_multiple_of(isa.lanes()));
        let shape = CacheShape { context: config.context, head: config.head_width(), lanes: isa.lanes() };
        let pack = |values: &[f32], stored: &Stored, bias: &[f32], inputs: usize| {
            Affine::pack(isa, Matrix { values, stored }, bias, inputs)
        };
        // The norm at `at`, and b W + c of the product behind it.
        let norm = |at: &str, weight: &[f32], bias: Option<&[f32]>| {
            let gain = get(&names::weight(at, "norm"));
            let affine = norm::NormParameters { gain, bias: optional(&names::bias(at, "norm")) };
            (pad_rows(gain), affine.shift(weight, bias.unwrap_or(&[])))
        };
        let plain = |at: &str, what: &str, inputs: usize| {
            let bias = optional(&names::bias(at, what)).map_or(vec![0.0; w], <[f32]>::to_vec);
            let name = names::weight(at, what);
            pack(get(&name), &tensors[&name].stored, &bias, inputs)
        };
        let layers = (0..config.layers)
            .map(|l| {
                let (attention, perceptron) = (names::attention(l), names::mlp(l));
                let first = |at: &str, what: &str, pad: &dyn Fn(&[f32]) -> Vec<f32>| {
                    let name = names::weight(at, what);
                    let (gain, bias) = norm(at, get(&name), optional(&names::bias(at, what)));
                    let stored = tensors[&name].stored.with_columns(pad);
                    Normed { gain, product: pack(&pad(get(&name)), &stored, &pad(&bias), w) }
                };
                Layer {
                    qkv: first(&attention, "qkv", &|x| pad_heads(x, shape)),
                    out: plain(&attention, "out", w),
                    up: first(&perceptron, "up", &<[f32]>::to_vec),
                    down: plain(&perceptron, "down", mlp),
                }
            })
            .collect();
        let (head, turned) = match config.tied_head {
            true => (names::EMBED, transposed(get(names::EMBED), w)),
            false => (names::HEAD, Aligned::from(get(names::HEAD))),
        };
        let (gain, bias) = norm(names::OUTPUT, &turned, None);
        let (likelihood, whole) = (config.likelihood(), |n: usize| n.next_multiple_of(isa.lanes()));
        let widths = Widths {
            width: whole(w),
            qkv: 3 * config.heads * shape.head_padded(),
            mlp: whole(mlp),
            head: shape.head_padded(),
            scores: shape.scores(),
        };
        Ok(Self {
            isa,
            likelihood,
            input: likelihood.input(),
            shape,
            widths,
            embed: pad_rows(get(names::EMBED)),
            position: match config.any_order {
                true => Aligned::zeros(0),
                false => pad_rows(&config.position_table(get)),
            },
            tables: match config.any_order {
                true => config.position_tables().iter().map(|(name, _)| pad_rows(get(name))).collect(),
                false => Vec::new(),
            },
            own_order: match config.any_order {
                true => (0..config.context).map(|t| config.order.site(t) as u32).collect(),
                false => Vec::new(),
            },
            labels: Labels::new(optional(names::LABELS), w, whole(w)),
            start_numbers: likelihood.start_numbers(config.start),
            layers,
            head: Normed { gain, product: pack(&turned, &tensors[head].stored, &bias, w) },
            classifier: (class(names::classifier("weight")), class(names::classifier("bias"))),
            config: config.clone(),
        })
    }
}

/// Columns of heads, each padded to whole vectors.
fn pad_heads(x: &[f32], shape: CacheShape) -> Vec<f32> {
    let padding = shape.head_padded() - shape.head;
    x.chunks_exact(shape.head)
        .flat_map(|h| h.iter().copied().chain(std::iter::repeat_n(0.0, padding)))
        .collect()
}
