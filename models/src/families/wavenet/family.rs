//! What the family says of itself, and its keys in a run file.

use super::packed::LARGEST_BATCH;
use super::{ConditionConfig, Config, LAYERS, MOST_LAYERS, WaveNet};
use crate::condition::{ConditionSpec, EmbeddingSpec, FrameSpec};
use crate::config::{ConfigError, range};
use crate::family;
use crate::family::{Description, Facts, Family, Given, NamedShape, PackError};
use crate::kernels::Isa;
use crate::memory::padded;
#[cfg(feature = "train")]
use crate::objective::{Learning, Objective, ObjectiveOptions, WindowPast};
use crate::order::Order;
use crate::weights::{TensorSpec, Tensors};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

impl Family for Config {
    const NAME: &'static str = "wavenet";

    type Model = WaveNet;

    type Keys = Keys;

    fn validate(&self) -> Result<(), ConfigError> {
        Self::validate(self)
    }

    fn table(&self) -> Vec<TensorSpec> {
        Self::table(self)
    }

    fn adaptation_table(&self, rank: usize) -> Vec<TensorSpec> {
        Self::adaptation_table(self, rank)
    }

    fn facts(&self) -> Facts {
        Facts {
            likelihood: self.likelihood(),
            start: self.start,
            order: Order::Time,
            condition: self.condition.as_ref().map(ConditionConfig::spec),
            hop: self.hop(),
            macs: self.macs_per_sample(),
            past: Some(self.receptive_field()),
        }
    }

    fn pack(&self, tensors: &Tensors, isa: Isa) -> Result<WaveNet, PackError> {
        Ok(WaveNet::new(self, tensors, isa)?)
    }

    fn stream_bytes(&self) -> u64 {
        let (r, d) = (padded(self.residual_channels), padded(self.gate_channels));
        let (s, a) = (padded(self.skip_channels), padded(self.head_channels));
        let (k, layers) = (self.kernel_size as u64, self.dilations.len() as u64);
        let batch = LARGEST_BATCH as u64;
        // A row of each queue has a scale where its values are codes.
        let rows = (k - 1) * self.dilations.iter().map(|&d| d as u64).sum::<u64>();
        let taps = padded(self.kernel_size * self.residual_channels);
        // Of each layer: the products that are ready, the biases held and announced, the gated outputs.
        let per_layer = batch * 2 * d + 4 * d + d;
        let scratch = r + (1 + batch) * taps + 2 * d + s + 2 * a + padded(self.likelihood().params());
        let codes = (1 + batch) * k * (r + 1);
        let frame = self.condition.as_ref().map_or(0, |c| {
            3 * c.len() as u64 + c.networks().map(|(_, width)| padded(width) + padded(c.hidden)).sum::<u64>()
        });
        let numbers = padded(self.likelihood().input().numbers()) + self.bunch as u64;
        4 * (rows * (r + 1) + layers * per_layer + scratch + codes + frame + s + numbers) + 512 * layers
    }

    fn describe(&self, sample_rate: Option<u32>) -> Description {
        let field = self.receptive_field();
        let field_ms = sample_rate.map(|rate| field as f64 * 1000.0 / f64::from(rate));
        let condition = |c: &ConditionConfig| {
            format!(
                "speaker vector of {}, {} features with {} frames of context to either side, frame network of {}, a frame \
                 per {} samples",
                c.speaker_dim, c.features, c.context, c.hidden, c.hop
            )
        };
        let lines = vec![
            ("multiply-adds", format!("{} per sample", self.macs_per_sample())),
            (
                "layers",
                format!(
                    "{} of kernel size {}, dilations {}",
                    self.dilations.len(),
                    self.kernel_size,
                    cycles(&self.dilations)
                ),
            ),
            (
                "channels",
                format!(
                    "{} residual, {} gate, {} skip, {} head",
                    self.residual_channels, self.gate_channels, self.skip_channels, self.head_channels
                ),
            ),
            (
                "bunch",
                match self.bunch {
                    1 => "none: the layers run for every sample".into(),
                    n => format!("the layers run once for {n} samples"),
                },
            ),
            (
                "receptive field",
                format!("{field} samples{}", field_ms.map_or(String::new(), |ms| format!(", {ms:.1} ms"))),
            ),
            ("condition", self.condition.as_ref().map_or("none".into(), condition)),
        ];
        let values = [
            ("macs_per_sample", json!(self.macs_per_sample())),
            ("receptive_field", json!(field)),
            ("receptive_field_ms", json!(field_ms)),
        ];
        Description { lines, values: Map::from_iter(values.map(|(k, v)| (k.to_string(), v))) }
    }

    fn shapes() -> Vec<NamedShape<Self>> {
        let shape = |&name: &&'static str| {
            Some(NamedShape { name, config: Self::named(name)?, batch: 4, window: 8000 })
        };
        Self::NAMED.iter().filter_map(shape).collect()
    }

    #[cfg(feature = "train")]
    fn learning(&self) -> Learning {
        Learning::Steps(WindowPast::Field(self.receptive_field() - 1))
    }

    #[cfg(feature = "train")]
    fn objective(&self, options: &ObjectiveOptions) -> candle_core::Result<Option<Box<dyn Objective>>> {
        Ok(Some(match options.is_fused() {
            true => Box::new(
                super::fused::Fused::new(self.clone(), options.isa).learning(|name| (options.learns)(name)),
            ),
            false => Box::new(super::graph::GraphObjective::new(self.clone(), options.device.clone())),
        }))
    }
}

impl ConditionConfig {
    /// The parts that it reads.
    pub fn spec(&self) -> ConditionSpec {
        ConditionSpec {
            embedding: (self.speaker_dim > 0)
                .then_some(EmbeddingSpec { rows: self.speakers, dim: self.speaker_dim }),
            classes: 0,
            frames: (self.features > 0).then_some(FrameSpec {
                features: self.features,
                context: self.context,
                tells_source: self.others > 0,
            }),
            any_order: false,
        }
    }
}

/// Dilations as `2 x (1 2 4 8)` where they repeat.
fn cycles(dilations: &[usize]) -> String {
    let n = dilations.len();
    let cycle = (1..=n).find(|&c| n.is_multiple_of(c) && dilations.chunks(c).all(|k| *k == dilations[..c]));
    let cycle = cycle.unwrap_or(n);
    let one: Vec<_> = dilations[..cycle].iter().map(usize::to_string).collect();
    if cycle == n { one.join(" ") } else { format!("{} x ({})", n / cycle, one.join(" ")) }
}

/// Keys of `[model]`: [`Config`] as far as the data does not decide it. Those of the condition are for data that has one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// R.
    pub residual_channels: usize,
    /// D; R when left out.
    pub gate_channels: Option<usize>,
    /// S.
    pub skip_channels: usize,
    /// A; S when left out.
    pub head_channels: Option<usize>,
    /// K.
    #[serde(default = "two")]
    pub kernel_size: usize,
    /// d_l: a list, or `{ cycle = 10, layers = 16 }` for 1, 2, 4 … 512, 1, 2 …
    pub dilations: Dilations,
    /// B, samples for which the layers run once, 1 when left out; it divides the samples of a frame.
    pub bunch: Option<usize>,
    /// E, 16 when left out; 0 for a model that knows no speakers.
    pub speaker_dim: Option<usize>,
    /// Whether the model is conditioned on a feature track; it is when left out.
    pub features: Option<bool>,
    /// C, frames seen to either side; 2 when left out.
    pub context: Option<usize>,
    /// H, width of the frame-rate network, 64 when left out; 0 for none.
    pub hidden: Option<usize>,
    /// O, inner width of a second frame-rate network for cross-speaker tracks, which `train.others` and
    /// `train.perturbation` bring; 0, for none, when left out.
    pub others: Option<usize>,
}

fn two() -> usize {
    2
}

/// Dilations, written out or by rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "dilations: wanted a list of numbers, or { cycle = 10, layers = 16 }")]
pub enum Dilations {
    /// One number a layer.
    List(Vec<usize>),
    /// Layer l has dilation 2^(l mod cycle).
    Cycle(Cycle),
}

/// The rule of [`Dilations`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cycle {
    /// Layers until the dilation is 1 again.
    pub cycle: usize,
    /// Layers in all.
    pub layers: usize,
}

impl Dilations {
    /// One number a layer.
    ///
    /// # Errors
    /// More layers than a network has.
    pub fn get(&self) -> Result<Vec<usize>, ConfigError> {
        Ok(match self {
            Self::List(list) => list.clone(),
            Self::Cycle(c) => {
                range("dilations", c.layers, 1, MOST_LAYERS, LAYERS)?;
                (0..c.layers).map(|l| 1usize.checked_shl((l % c.cycle.max(1)) as u32).unwrap_or(0)).collect()
            }
        })
    }
}

impl family::Keys for Keys {
    type Config = Config;

    fn config(&self, given: &Given) -> Result<Config, ConfigError> {
        given.without_image()?;
        let of_condition = [
            ("bunch", self.bunch.is_some()),
            ("speaker_dim", self.speaker_dim.is_some()),
            ("features", self.features.is_some()),
            ("context", self.context.is_some()),
            ("hidden", self.hidden.is_some()),
            ("others", self.others.is_some()),
        ];
        if given.condition.is_none()
            && let Some((field, _)) = of_condition.into_iter().find(|(_, is_given)| *is_given)
        {
            let want = "no such key: this data has no condition";
            return Err(ConfigError { field, found: "given".into(), want: want.into() });
        }
        let (speaker_dim, features) = (self.speaker_dim.unwrap_or(16), self.features.unwrap_or(true));
        let condition =
            given.condition.as_ref().filter(|_| speaker_dim > 0 || features).map(|of_data| ConditionConfig {
                speakers: if speaker_dim > 0 { of_data.speakers } else { 0 },
                speaker_dim,
                features: if features { of_data.features } else { 0 },
                context: if features { self.context.unwrap_or(2) } else { 0 },
                hidden: self.hidden.unwrap_or(64),
                others: self.others.unwrap_or(0),
                hop: of_data.hop,
            });
        Ok(Config {
            classes: given.classes,
            start: given.start,
            residual_channels: self.residual_channels,
            gate_channels: self.gate_channels.unwrap_or(self.residual_channels),
            skip_channels: self.skip_channels,
            head_channels: self.head_channels.unwrap_or(self.skip_channels),
            kernel_size: self.kernel_size,
            dilations: self.dilations.get()?,
            bunch: self.bunch.unwrap_or(1),
            condition,
            likelihood: given.likelihood,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_found() {
        assert_eq!(cycles(&[1, 2, 4, 1, 2, 4]), "2 x (1 2 4)");
        assert_eq!(cycles(&[1, 2, 1]), "1 2 1");
        assert_eq!(cycles(&[1, 1]), "2 x (1)");
    }
}
