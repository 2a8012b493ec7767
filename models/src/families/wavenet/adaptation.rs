//! What adapts a voice to one more speaker: low-rank changes of the products that the condition alone reaches (E. Hu et al.,
//! "LoRA", ICLR 2022, arXiv:2106.09685), W x + b becoming (W + D U) x + b + δ. These products are computed once a
//! frame, so an adaptation costs a sample nothing, and every stream can have its own.

use super::packed::WaveNet;
use super::{Config, names};
use crate::adaptation::{self, Adaptation};
use crate::kernels::Simd;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{Panels, Then, accumulate, product};
use crate::weights::{Init, TensorSpec, Tensors};

/// A product that an adaptation changes.
struct Product {
    /// The tensor of W [inputs, outputs].
    weight: String,
    /// The tensor of b `[outputs]`.
    bias: String,
    inputs: usize,
    outputs: usize,
}

impl Config {
    /// The products that the condition alone reaches, but for the network of cross-speaker tracks: first those of the
    /// frame-rate network, then V_l of every layer.
    fn condition_products(&self) -> Vec<Product> {
        let Some(c) = &self.condition else { return Vec::new() };
        let frame = [c.len(), c.hidden, c.hidden];
        let network = (0..if c.hidden > 0 { 2 } else { 0 }).map(|i| Product {
            weight: names::frame(names::HIDDEN, i),
            bias: names::frame_bias(names::HIDDEN, i),
            inputs: frame[i],
            outputs: frame[i + 1],
        });
        let gates = (0..self.dilations.len()).map(|l| Product {
            weight: names::cond(l),
            bias: names::gate_bias(l),
            inputs: c.out_len(),
            outputs: 2 * self.gate_channels,
        });
        network.chain(gates).collect()
    }

    /// The tensors of an adaptation of rank `rank`; none for a model without a condition.
    pub(super) fn adaptation_table(&self, rank: usize) -> Vec<TensorSpec> {
        let tensors = |p: Product| {
            let down = Init::fan_in(p.inputs, 1.0);
            [
                TensorSpec::new(adaptation::down(&p.weight), &[p.inputs, rank], down),
                TensorSpec::new(adaptation::up(&p.weight), &[rank, p.outputs], Init::Zeros),
                TensorSpec::new(p.bias, &[p.outputs], Init::Zeros),
            ]
        };
        self.condition_products().into_iter().flat_map(tensors).collect()
    }
}

/// The changes of one speaker, packed.
pub(super) struct Changes {
    /// Of the layers of the frame-rate network.
    hidden: Vec<Change>,
    /// Of the gates.
    gates: Vec<Change>,
}

/// The change of one product.
pub(super) struct Change {
    down: Panels,
    up: Panels,
    /// b + δ.
    bias: Aligned,
}

impl Change {
    /// out = (W + D U) x + b + δ; `low` has room for [`adaptation::MAX_RANK`] numbers, padded.
    #[inline(always)]
    pub fn product<S: Simd>(&self, s: S, weight: &Panels, x: &[f32], low: &mut [f32], out: &mut [f32]) {
        let low = &mut low[..self.down.padded_outputs()];
        low.fill(0.0);
        accumulate(s, &self.down, x, low, Then::Store);
        product(s, &self.up, &low[..self.up.inputs()], &self.bias, out, Then::Store);
        accumulate(s, weight, x, out, Then::Store);
    }
}

impl Changes {
    /// The change of product number `unit`, as [`super::frame_rate`] counts them, of which the network that reads the frame
    /// has `layers`; `own` tells that network from that of cross-speaker tracks.
    #[inline(always)]
    pub fn of(&self, unit: usize, layers: usize, own: bool) -> Option<&Change> {
        match unit.checked_sub(layers) {
            Some(l) => self.gates.get(l),
            None => self.hidden.get(unit).filter(|_| own),
        }
    }
}

impl WaveNet {
    /// Packs the adaptation `tensors`, which are those of [`Config::adaptation_table`].
    pub(super) fn changes(&self, tensors: &Tensors) -> Adaptation {
        let change = |product: &Product, bias: &Aligned, order: &dyn Fn(&[f32]) -> Aligned| {
            let get = |name: &str| &tensors[name].data[..];
            let (down, up) = (get(&adaptation::down(&product.weight)), get(&adaptation::up(&product.weight)));
            let rank = down.len() / product.inputs;
            let rows = up.chunks_exact(product.outputs).flat_map(|row| order(row).to_vec());
            let mut sum = order(get(&product.bias));
            sum.iter_mut().zip(bias.iter()).for_each(|(d, b)| *d += b);
            Change {
                down: Panels::pack(self.isa, down, product.inputs, rank),
                up: Panels::pack(self.isa, &rows.collect::<Vec<_>>()[..], rank, sum.len()),
                bias: sum,
            }
        };
        let products = self.config.condition_products();
        let (hidden, gates) = products.split_at(products.len().saturating_sub(self.layers.len()));
        let network = self.frame.networks.first();
        let hidden = hidden.iter().zip(network.into_iter().flatten());
        let gates = gates.iter().zip(self.frame.gates.iter().zip(&self.layers));
        Adaptation::new(Changes {
            hidden: hidden.map(|(p, l)| change(p, &l.bias, &|x| l.weight.order(x))).collect(),
            gates: gates
                .map(|(p, ((_, bias), layer))| change(p, bias, &|x| layer.gate.weight.order(x)))
                .collect(),
        })
    }
}
