//! Mixing speaker vectors.

use super::file::finite;
use super::{CondError, Condition, SpeakerVector};
use crate::features::SpeakerStats;

/// The weighted mean of the parts' speaker vectors, weights scaled to sum 1. Negative weights lead away from a speaker.
/// The statistics are mixed alike where all parts have some, and left out where the result is not valid. There is no
/// track.
pub fn mix(parts: &[(&Condition, f32)]) -> Result<Condition, CondError> {
    let sum: f64 = parts.iter().map(|(_, w)| *w as f64).sum();
    if !(sum.is_finite() && sum > 1e-6) {
        return Err(CondError::Mix(format!("the weights sum to {sum}, wanted a number above 0")));
    }
    let mut mixed: Option<(SpeakerVector, Vec<f64>)> = None;
    for (c, weight) in parts {
        if c.speaker.as_ref().is_some_and(|s| !s.is_plain()) {
            let what =
                "is an enrolled speaker, whom a vector alone does not bring; mix the voice's own speakers";
            return Err(CondError::Mix(format!("{:?} {what}", c.name)));
        }
        let vector = c
            .speaker
            .as_ref()
            .ok_or_else(|| CondError::Mix(format!("{:?} has no speaker vector, only a track", c.name)))?;
        let (first, total) = mixed.get_or_insert_with(|| (vector.clone(), vec![0.0; vector.values.len()]));
        if vector.space != first.space || vector.values.len() != first.values.len() {
            return Err(CondError::Mix(format!(
                "{:?} lies in space {:?} with {} values, the first part in {:?} with {}",
                c.name,
                vector.space,
                vector.values.len(),
                first.space,
                first.values.len()
            )));
        }
        for (t, v) in total.iter_mut().zip(&vector.values) {
            *t += *weight as f64 / sum * *v as f64;
        }
    }
    let (first, total) = mixed.ok_or_else(|| CondError::Mix("there are no parts".into()))?;
    let values: Vec<f32> = total.iter().map(|v| *v as f32).collect();
    finite("speaker", &values).map_err(CondError::Mix)?;
    let stats: Option<Vec<(&SpeakerStats, f32)>> =
        parts.iter().map(|(c, w)| Some((c.speaker_stats()?, (*w as f64 / sum) as f32))).collect();
    let stats = stats.and_then(|stats| SpeakerStats::mixed(&stats));
    let parts: Vec<String> =
        parts.iter().map(|(c, w)| format!("{:.3} {}", *w as f64 / sum, c.name)).collect();
    Ok(Condition {
        name: "mix".into(),
        source: parts.join(" + "),
        speaker: Some(SpeakerVector::new(first.space, values)),
        stats,
        track: None,
    })
}

/// Name and weight of a part of a mixture as it is written, `NAME=WEIGHT`: 1 where none is given, `None` where what stands
/// there is no number.
pub fn weighted(part: &str) -> (&str, Option<f32>) {
    match part.rsplit_once('=') {
        None => (part, Some(1.0)),
        Some((name, weight)) => (name, weight.parse().ok().filter(|w: &f32| w.is_finite())),
    }
}

#[cfg(test)]
mod tests {
    use super::weighted;

    #[test]
    fn weights_are_what_stands_behind_the_last_equals_sign() {
        assert_eq!(weighted("a.bin"), ("a.bin", Some(1.0)));
        assert_eq!(weighted("x=y/a.bin=0.25"), ("x=y/a.bin", Some(0.25)));
        assert_eq!(weighted("a.bin=-0.5"), ("a.bin", Some(-0.5)));
        assert_eq!(weighted("a.bin=much"), ("a.bin", None));
        assert_eq!(weighted("a.bin=NaN"), ("a.bin", None));
    }
}
