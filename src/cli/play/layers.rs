//! `play --layer`: more voices in the same sound.

use crate::cli::args::{ConditionArgs, LengthArgs, MAX_SECONDS, PolicyArgs, seed};
use crate::cli::usage;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::str::FromStr;
use wavesynth::synth::{Layer, Part, SamplingPolicy, UniformSource};
use wavesynth::voice::Voice;

/// Softest and loudest gain.
const GAINS: (f64, f64) = (0.001, 1000.0);

/// One `--layer`, as typed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LayerArg {
    condition: Option<PathBuf>,
    track: Option<PathBuf>,
    seed: Option<u64>,
    start: f64,
    seconds: Option<f64>,
    gain: f32,
}

/// Settings of the first voice, for what a layer leaves out.
pub(super) struct Base<'a> {
    pub track: Option<&'a PathBuf>,
    pub length: &'a LengthArgs,
    pub policy: &'a PolicyArgs,
}

impl FromStr for LayerArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut layer =
            Self { condition: None, track: None, seed: None, start: 0.0, seconds: None, gain: 1.0 };
        for (i, item) in text.split(',').enumerate() {
            let (key, value) = match item.split_once('=') {
                Some((key, value)) => (key.trim(), value.trim()),
                None if i == 0 => ("condition", item.trim()),
                None => {
                    return Err(format!(
                        "`{item}`: wanted condition, track, seed, start, seconds or gain, then ="
                    ));
                }
            };
            if value.is_empty() {
                return Err(format!("{key} is empty"));
            }
            let number = |low: f64, high: f64| match value.parse::<f64>() {
                Ok(n) if (low..=high).contains(&n) => Ok(n),
                _ => Err(format!("{key} `{value}`: wanted a number from {low} to {high}")),
            };
            match key {
                "condition" => layer.condition = Some(value.into()),
                "track" => layer.track = Some(value.into()),
                "seed" => {
                    layer.seed = Some(seed(value).map_err(|e| format!("seed `{value}`: {e}"))?);
                }
                "start" => layer.start = number(0.0, MAX_SECONDS)?,
                // The upper bound and zero are --seconds' own.
                "seconds" => layer.seconds = Some(number(0.0, MAX_SECONDS)?),
                "gain" => layer.gain = number(GAINS.0, GAINS.1)? as f32,
                _ => {
                    return Err(format!(
                        "`{key}`: no such key; there are condition, track, seed, start, seconds, gain"
                    ));
                }
            }
        }
        Ok(layer)
    }
}

impl LayerArg {
    /// The layer meant, number `number` from 1, beside `base`.
    pub(super) fn layer(&self, number: u64, voice: &Voice, base: &Base) -> Result<Layer> {
        let at = || format!("--layer {number}");
        let own = ConditionArgs { condition: self.condition.clone(), track: self.track.clone() };
        let mut conditioning = own.conditioning(voice).with_context(at)?;
        if !conditioning.has_track() && base.track.is_some() {
            conditioning =
                ConditionArgs { track: base.track.cloned(), ..own }.conditioning(voice).with_context(at)?;
        }
        let seconds = LengthArgs { seconds: self.seconds.or(base.length.seconds) };
        let rate = voice.section.sample_rate;
        let length = seconds.get(&conditioning, rate).with_context(at)?;
        let base_seed = base.policy.seed();
        let Some(seed) = self.seed.or(base_seed.checked_add(number)) else {
            usage!("--layer {number}: wanted seed=, as --seed {base_seed} leaves none above it");
        };
        let policy = base.policy.get(SamplingPolicy::usual(voice, conditioning.has_track()))?;
        let part = Part {
            conditioning: Box::new(conditioning),
            front: None,
            policy,
            uniforms: UniformSource::seed(seed),
            length,
            record: false,
            post_filter: base.policy.post_filter(),
        };
        Ok(Layer { part, start: (self.start * f64::from(rate)).round() as u64, gain: self.gain })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_a_condition_and_what_else_is_said() {
        let bare = LayerArg { condition: Some("ann".into()), ..LayerArg::from_str("seed=0").unwrap() };
        assert_eq!(LayerArg::from_str("ann"), Ok(LayerArg { seed: None, ..bare.clone() }));
        let all = "ann,track=t.bin,seed=7,start=0.5,seconds=2,gain=0.25";
        let want = LayerArg {
            track: Some("t.bin".into()),
            seed: Some(7),
            start: 0.5,
            seconds: Some(2.0),
            gain: 0.25,
            ..bare
        };
        assert_eq!(LayerArg::from_str(all), Ok(want.clone()));
        assert_eq!(LayerArg::from_str(&format!("condition={all}")), Ok(want));
        for bad in [
            "",
            "ann,bob",
            "ann,track=",
            "ann,seed=-1",
            "ann,start=x",
            "ann,gain=0",
            "ann,gain=nan",
            "ann,pan=1",
        ] {
            assert!(LayerArg::from_str(bad).is_err(), "{bad}");
        }
    }
}
