//! WaveNet: van den Oord et al. 2016, arXiv:1609.03499; generated with cached queues as in Paine et al. 2016,
//! arXiv:1611.09482.
//!
//! With x_{t−1} the last symbol and c the condition, for layers l = 0 … L−1 of dilation d_l and kernel size K:
//!
//! ```text
//! r_0   = E[x_{t−1}]                                       causal input: a one-hot product is a table row
//! z_l   = Σ_k W_{l,k} r_l[t − (K−1−k)·d_l] + b_l + V_l c    k = K−1 is the current tap         (eq. 2 and 3)
//! h_l   = tanh(z_l[..D]) · σ(z_l[D..])                      gated activation unit
//! r_l+1 = r_l + R_l h_l + b'_l                              residual; the last layer has none   (fig. 4)
//! s     = Σ_l S_l h_l + b_s                                 skip connections
//! p(x_t | x_<t, c) = softmax(W_1 relu(W_0 relu(s) + b_0) + b_1)
//! ```
//!
//! The paper's letters: its z is the gated output, our h_l; its h is the condition, our c; its W_f, W_g and V_f, V_g are
//! the two halves of our W_l and V_l, in z = tanh(W_f ∗ x + V_f h) ⊙ σ(W_g ∗ x + V_g h). Our z_l is the sum before that.
//!
//! With another `likelihood` the last line gives the parameters of that in place of the softmax's logits, and a value that is
//! no symbol of a small set enters as numbers v, r_0 = v E: see [`Input`].
//!
//! Before the first sample every r_l is zero, and x_{−1} is the start symbol. The condition c is computed once a
//! frame from the frame that [`crate::ar::Model::condition`] is given:
//!
//! ```text
//! f = [speaker vector (E) | 1 if there are features, else 0 | features of frames i−C … i+C (F each)]
//! c = f, or with `hidden` = H > 0:  tanh(B tanh(A f + a) + b)
//! ```
//!
//! and held for `hop` samples. With `others` = O > 0 a track of somebody else than the vector's speaker has the flag 2 in
//! place of the 1, and A, a, B, b of its own, O wide in between.
//!
//! # Bunching
//!
//! With `bunch` = B > 1 the layers run once for B samples, which the head then draws one after another, each given those
//! before it. With n = ⌊t/B⌋ and j = t mod B, time of the layers and their dilations being counted in bunches, only the
//! input and the head change:
//!
//! ```text
//! r_0[n] = Σ_i E_i[x_{nB−1−i}]                              i = 0 … B−1: the bunch before, one table a lag
//! a_j    = relu(W_{0,j} relu(s[n]) + b_{0,j} + Σ_i F_{j,i}[x_{t−1−i}])
//!                                                          i = 0 … j−1: what this bunch has drawn, as table rows
//! p(x_t | x_<t, c) = softmax(W_1 a_j + b_1)
//! ```
//!
//! Every factor is given all of its past, so the likelihood is as exact as with B = 1, which is the case above. Symbols
//! before the first are the start symbol. The condition changes between bunches, so `hop` is a multiple of B. Vipperla
//! et al. 2020, arXiv:2008.04574, bunch the samples of an LPCNet in this way.

use crate::config::{ConfigError, is_zero, range};
use crate::kernels::panel::BLOCK;
use crate::likelihood::{Input, LikelihoodConfig};
use crate::weights::{Dtype, Init, TensorSpec};
use serde::{Deserialize, Serialize};

mod adaptation;
mod bunch;
mod cross_speaker;
mod family;
mod frame;
mod frame_rate;
#[cfg(feature = "train")]
pub mod fused;
#[cfg(feature = "train")]
pub mod graph;
mod layers_i8;
pub mod names;
mod pack;
mod packed;
mod quantised_queues;
mod queues;
mod ring;
pub mod step;
#[cfg(feature = "train")]
mod widen;

pub use cross_speaker::half_way;
pub use family::Keys;
pub use packed::WaveNet;

/// Most layers.
const MOST_LAYERS: usize = 1024;

/// The same for errors.
const LAYERS: &str = "1 to 1024 layers";

/// Every size that the equations above leave open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Number of symbols (256 for mu-law); 0, which a file leaves out, where the likelihood is over vectors.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub classes: usize,
    /// The symbol that stands for x_{−1}.
    pub start: u16,
    /// R, width of the residual stream.
    pub residual_channels: usize,
    /// D, width of each half of the gated unit.
    pub gate_channels: usize,
    /// S, width of the skip sum.
    pub skip_channels: usize,
    /// A, width between the two products of the head.
    pub head_channels: usize,
    /// K, taps of each dilated convolution.
    pub kernel_size: usize,
    /// d_l, one per layer.
    pub dilations: Vec<usize>,
    /// B, samples for which the layers run once; 1, which a file leaves out, for a plain WaveNet.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub bunch: usize,
    /// What the model is conditioned on, if anything.
    #[serde(default)]
    pub condition: Option<ConditionConfig>,
    /// What the outputs mean; softmax over the symbols where a file leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<LikelihoodConfig>,
}

fn one() -> usize {
    1
}

fn is_one(n: &usize) -> bool {
    *n == 1
}

/// What conditions a model, and the frame-rate network that reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionConfig {
    /// Speakers in the table `cond.speakers`; 0 with `speaker_dim` 0.
    pub speakers: usize,
    /// E, length of a speaker vector; 0 for no global conditioning.
    pub speaker_dim: usize,
    /// F, features of a frame; 0 for no local conditioning.
    pub features: usize,
    /// C, frames seen to either side of the current one.
    pub context: usize,
    /// H, width of the frame-rate network; 0 conditions the layers on the frame itself.
    pub hidden: usize,
    /// O, inner width of a second frame-rate network, which reads the tracks of others than the vector's speaker; 0,
    /// which a file leaves out, where one reads all tracks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub others: usize,
    /// Samples that a frame lasts.
    pub hop: usize,
}

impl ConditionConfig {
    /// Length of a conditioning frame.
    pub fn len(&self) -> usize {
        self.speaker_dim + self.local_len()
    }

    /// Whether a frame holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length of a frame without its speaker vector: flag and spliced features, or nothing.
    pub fn local_len(&self) -> usize {
        match self.features {
            0 => 0,
            f => 1 + f * (2 * self.context + 1),
        }
    }

    /// The frame-rate networks, as the name of their tensors and the width between their two products; none where the
    /// layers read the frame itself.
    pub fn networks(&self) -> impl Iterator<Item = (&'static str, usize)> {
        [(names::HIDDEN, self.hidden), (names::OTHERS, self.others)]
            .into_iter()
            .filter(|(_, width)| *width > 0)
    }

    /// Length of c, which the layers read.
    pub fn out_len(&self) -> usize {
        if self.hidden > 0 { self.hidden } else { self.len() }
    }
}

impl Config {
    /// One of the shapes that the literature measures, or `wavenet-30`, the middling one that the trainer is measured with: 256 classes, gate channels equal to residual channels,
    /// unconditional. Names as in `wavesynth bench --shape`.
    pub fn named(shape: &str) -> Option<Self> {
        // (layers, residual, skip, head, kernel, dilation cycle)
        let (layers, residual, skip, head, kernel, cycle) = match shape {
            "deepvoice-small" => (20, 32, 128, 256, 2, 10),
            "deepvoice" => (20, 64, 128, 256, 2, 10),
            "nv-wavenet" => (20, 64, 256, 256, 2, 10),
            "ibab" => (50, 32, 512, 512, 2, 10),
            "wavenet-30" => (30, 32, 64, 64, 2, 10),
            "r9y9" => (24, 128, 128, 128, 3, 6),
            _ => return None,
        };
        Some(Self {
            classes: 256,
            start: 128,
            residual_channels: residual,
            gate_channels: residual,
            skip_channels: skip,
            head_channels: head,
            kernel_size: kernel,
            dilations: (0..layers).map(|l| 1 << (l % cycle)).collect(),
            bunch: 1,
            condition: None,
            likelihood: None,
        })
    }

    /// What the outputs mean.
    pub fn likelihood(&self) -> LikelihoodConfig {
        LikelihoodConfig::of(self.likelihood, self.classes)
    }

    /// The names that [`Config::named`] knows.
    pub const NAMED: [&'static str; 6] =
        ["deepvoice-small", "deepvoice", "nv-wavenet", "ibab", "r9y9", "wavenet-30"];

    /// Checks every size, so that nothing downstream can overflow or index out of range.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        const WIDTH: &str = "a number from 1 to 4096";
        self.likelihood().validate_symbols(self.classes, self.start)?;
        range("residual_channels", self.residual_channels, 1, 4096, WIDTH)?;
        range("gate_channels", self.gate_channels, 1, 4096, WIDTH)?;
        range("skip_channels", self.skip_channels, 1, 4096, WIDTH)?;
        range("head_channels", self.head_channels, 1, 4096, WIDTH)?;
        range("kernel_size", self.kernel_size, 1, 64, "a number from 1 to 64")?;
        range("dilations", self.dilations.len(), 1, MOST_LAYERS, LAYERS)?;
        for &d in &self.dilations {
            range("dilations", d, 1, 1 << 20, "dilations from 1 to 1048576")?;
        }
        let (most, want) = match self.likelihood().input() {
            Input::Table { .. } => (16, "a number from 1 to 16"),
            Input::Numbers { .. } => (1, "1 for a likelihood whose values enter as numbers"),
        };
        range("bunch", self.bunch, 1, most, want)?;
        range("dilations", self.receptive_field(), 1, 1 << 24, "a receptive field below 2^24")?;
        if let Some(c) = &self.condition {
            range("condition.speakers", c.speakers, 0, 1 << 16, "a number up to 65536")?;
            range("condition.speaker_dim", c.speaker_dim, 0, 4096, "a number up to 4096")?;
            range("condition.features", c.features, 0, 1024, "a number up to 1024")?;
            range("condition.context", c.context, 0, 64, "a number up to 64")?;
            range("condition.hidden", c.hidden, 0, 4096, "a number up to 4096")?;
            let (most, want) = match c.hidden > 0 && c.features > 0 && c.speaker_dim > 0 {
                true => (4096, "a number up to 4096"),
                false => (0, "0 where there are no speakers, no features or no condition.hidden"),
            };
            range("condition.others", c.others, 0, most, want)?;
            range("condition.hop", c.hop, 1, 1 << 16, "a number from 1 to 65536")?;
            if !c.hop.is_multiple_of(self.bunch) {
                let (field, want) = ("bunch", "a divisor of condition.hop");
                return Err(ConfigError { field, found: self.bunch.to_string(), want: want.into() });
            }
            range("condition", c.len(), 1, 1 << 17, "a speaker vector, features or both")?;
            let both = c.speakers > 0 && c.speaker_dim > 0;
            let neither = c.speakers == 0 && c.speaker_dim == 0;
            if !both && !neither {
                let (field, want) = ("condition.speakers", "more than 0 just when speaker_dim is");
                return Err(ConfigError { field, found: c.speakers.to_string(), want: want.into() });
            }
        }
        Ok(())
    }

    /// Samples of the past that one prediction depends on: 1 + (K−1) Σ d_l, and with a bunch B the most that one does,
    /// the last of a bunch: B (1 + (K−1) Σ d_l) + B − 1.
    pub fn receptive_field(&self) -> usize {
        let bunches = 1 + (self.kernel_size - 1) * self.dilations.iter().sum::<usize>();
        self.bunch * bunches + self.bunch - 1
    }

    /// The symbol that stands `lag` before row `t` of `inputs`, row t holding x_{t−1}: the start symbol before the first.
    #[cfg(feature = "train")]
    #[inline(always)]
    pub(crate) fn lagged(&self, inputs: &[crate::ar::Symbol], t: usize, lag: usize) -> usize {
        t.checked_sub(lag).map_or(self.start, |row| inputs[row]) as usize
    }

    /// Length of a conditioning frame; 0 without a condition.
    pub fn cond_len(&self) -> usize {
        self.condition.as_ref().map_or(0, ConditionConfig::len)
    }

    /// Samples that a frame lasts; those of a bunch without a condition. A recording can be cut at its multiples.
    pub fn hop(&self) -> usize {
        self.condition.as_ref().map_or(self.bunch, |c| c.hop)
    }

    /// Multiply-adds for one sample, the mean over a bunch, the frame-rate network left out.
    pub fn macs_per_sample(&self) -> usize {
        let (r, d, s) = (self.residual_channels, self.gate_channels, self.skip_channels);
        let layers = self.dilations.len();
        let trunk = layers * (2 * d * self.kernel_size * r + d * s) + (layers - 1) * d * r;
        let head = s * self.head_channels + self.head_channels * self.likelihood().params();
        trunk.div_ceil(self.bunch) + head
    }

    /// The smallest type of the skip weights. Beyond a block of codes the layers' padding, which is the instruction set's,
    /// would decide which of them are rounded together.
    fn smallest_skip(&self) -> Dtype {
        let padded = self.gate_channels.next_multiple_of(16);
        let whole = padded == self.gate_channels || padded * self.dilations.len() <= BLOCK;
        if whole { Dtype::I8 } else { Dtype::F16 }
    }

    /// Every tensor, in the order in which the trainer lays them out. What is read at every sample can be i8; the
    /// tables of rows and what is read once a frame f16; vectors are always f32.
    pub fn table(&self) -> Vec<TensorSpec> {
        let (r, d, s, a) =
            (self.residual_channels, self.gate_channels, self.skip_channels, self.head_channels);
        let (k, layers) = (self.kernel_size, self.dilations.len());
        use Dtype::{F16, F32, I8};
        let mut table = Vec::new();
        let spec = |name: String, smallest_dtype, shape: &[usize], init| {
            let spec = TensorSpec::new(name, shape, init).smallest_dtype(smallest_dtype);
            if names::is_table(&spec.name) {
                spec.undecayed()
            } else if spec.shape.len() > 1 && spec.name != names::OUT {
                spec.inner()
            } else {
                spec
            }
        };
        for lag in 0..self.bunch {
            // The sum of the lags starts as large as the one row of a plain WaveNet.
            let std = 0.3 / (self.bunch as f32).sqrt();
            let rows = self.likelihood().input().rows();
            table.push(spec(names::embed(lag), F16, &[rows, r], Init::Normal(std)));
        }
        if let Some(c) = &self.condition {
            if c.speaker_dim > 0 {
                let shape = [c.speakers, c.speaker_dim];
                table.push(spec(names::SPEAKERS.into(), F32, &shape, Init::Normal(0.3)));
            }
            for (net, width) in c.networks() {
                for (i, [fan_in, out]) in [[c.len(), width], [width, c.hidden]].into_iter().enumerate() {
                    table.push(spec(names::frame(net, i), F16, &[fan_in, out], Init::fan_in(fan_in, 1.0)));
                    table.push(spec(names::frame_bias(net, i), F32, &[out], Init::Zeros));
                }
            }
        }
        for l in 0..layers {
            table.push(spec(names::gate(l), I8, &[k, r, 2 * d], Init::fan_in(k * r, 1.0)));
            table.push(spec(names::gate_bias(l), F32, &[2 * d], Init::Zeros));
            if let Some(c) = &self.condition {
                let n = c.out_len();
                table.push(spec(names::cond(l), F16, &[n, 2 * d], Init::fan_in(n, 1.0)));
            }
            if l + 1 < layers {
                // Half the variance-keeping gain, so that the residual stream of many layers starts bounded.
                table.push(spec(names::residual(l), I8, &[d, r], Init::fan_in(d, 0.5)));
                table.push(spec(names::residual_bias(l), F32, &[r], Init::Zeros));
            }
            // The engine multiplies the gated outputs of all layers at once.
            let skip = spec(names::skip(l), self.smallest_skip(), &[d, s], Init::fan_in(d * layers, 2.0));
            table.push(skip.scaled_with("skip"));
        }
        table.push(spec(names::SKIP_BIAS.into(), F32, &[s], Init::Zeros));
        for phase in 0..self.bunch {
            table.push(spec(names::phase(phase), I8, &[s, a], Init::fan_in(s, 1.4)));
            table.push(spec(names::phase_bias(phase), F32, &[a], Init::Zeros));
            for lag in 0..phase {
                table.push(spec(names::drawn(phase, lag), F16, &[self.classes, a], Init::Normal(0.3)));
            }
        }
        // Small first logits: training starts from the uniform distribution, ln(classes) nats.
        let params = self.likelihood().params();
        table.push(spec(names::OUT.into(), I8, &[a, params], Init::fan_in(a, 0.1)));
        table.push(spec(names::OUT_BIAS.into(), F32, &[params], Init::Zeros));
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_shapes_have_the_published_cost() {
        let macs = |n| Config::named(n).unwrap().macs_per_sample();
        assert_eq!(macs("deepvoice-small"), 281_600);
        assert_eq!(macs("deepvoice"), 667_648);
        assert_eq!(macs("nv-wavenet"), 864_256);
        assert_eq!(macs("ibab"), 1_467_392);
        assert_eq!(macs("r9y9"), 3_178_496);
        assert_eq!(macs("wavenet-30"), 234_496);
        assert!(Config::NAMED.iter().all(|n| Config::named(n).unwrap().validate().is_ok()));
    }

    #[test]
    fn receptive_field_is_the_papers() {
        let c = Config::named("nv-wavenet").unwrap();
        assert_eq!(c.receptive_field(), 1 + 2 * 1023);
    }

    #[test]
    fn hostile_sizes_are_refused() {
        let mut c = Config::named("deepvoice").unwrap();
        c.dilations = vec![usize::MAX / 2; 3];
        assert!(c.validate().unwrap_err().to_string().starts_with("config: dilations is "));
        let mut c = Config::named("deepvoice").unwrap();
        c.residual_channels = 0;
        let message = c.validate().unwrap_err().to_string();
        assert_eq!(message, "config: residual_channels is 0, wanted a number from 1 to 4096");
    }
}
