//! The weights of a model of other phones, as a run begins from them: each phone begins as the one whose sound is nearest.

use crate::tts::context::{NEIGHBOURS, WITHIN, phone_features, stress_row};
use crate::tts::model::{SECTION, SaySection};
use crate::tts::phones::PhoneSet;
use crate::tts::pronounce::sounds::{self, sound};
use anyhow::{Context, Result, ensure};
use wavesynth_models::families::char_rnn::names::CONDITION;
use wavesynth_models::second::PREFIX;
use wavesynth_models::weights::{Checkpoint, Tensor};

/// Fits `file` to the phones of `language`. Gives a note of what was changed.
///
/// # Errors
/// A checkpoint that is no text-to-speech model, or whose tensors are not those of its phones.
pub fn adopt(file: &mut Checkpoint, phones: &PhoneSet, language: &str) -> Result<Option<String>> {
    let section = file.header.sections.get(SECTION).context("it is no text-to-speech model")?;
    let section: SaySection =
        serde_json::from_value(section.clone()).with_context(|| format!("section `{SECTION}`"))?;
    if section.phones == phones.names() {
        return Ok(None);
    }
    let theirs: Vec<_> = section.phones.iter().map(|name| sound(&section.language, name)).collect();
    let nearest: Vec<Option<Nearest>> =
        phones.names().iter().map(|name| Nearest::of(sound(language, name), &theirs)).collect();
    for (name, within) in [(CONDITION.to_string(), WITHIN), (format!("{PREFIX}{CONDITION}"), 0)] {
        let tensor = file.tensors.get_mut(&name).with_context(|| format!("it has no tensor {name}"))?;
        let rows = phone_features(theirs.len()) + within;
        ensure!(
            tensor.shape.len() == 2 && tensor.shape[0] == rows,
            "{name} has the shape {:?}, wanted {rows} rows",
            tensor.shape
        );
        *tensor = fitted(tensor, theirs.len(), &nearest);
    }
    let unknown: Vec<&str> = (phones.names().iter().zip(&nearest))
        .filter(|(_, n)| n.is_none())
        .map(|(name, _)| &name[..])
        .collect();
    let rest = match unknown.is_empty() {
        true => String::new(),
        false => format!("; {} as the mean of all", unknown.join(", ")),
    };
    Ok(Some(format!(
        "{} phones begin as those of `{}` that are nearest{rest}",
        phones.len() - unknown.len(),
        section.language
    )))
}

/// The phone that another one begins as.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Nearest {
    phone: usize,
    /// The stress that it does not have by itself.
    stress: u8,
}

impl Nearest {
    fn of(wanted: (&str, u8), all: &[(&str, u8)]) -> Option<Self> {
        // Of several behind one another the first.
        let nearest = sounds::nearest(wanted.0, |s| all.iter().any(|(sound, _)| *sound == s))?;
        let sound = nearest.first()?;
        let exact = all.iter().position(|s| s.0 == sound && s.1 == wanted.1);
        let phone = exact.or_else(|| all.iter().position(|s| s.0 == sound))?;
        let stress = if all[phone].1 == 0 { wanted.1 } else { 0 };
        Some(Self { phone, stress })
    }
}

/// The rows of `tensor`, which is told of `before` phones, for the phones of `nearest`.
fn fitted(tensor: &Tensor, before: usize, nearest: &[Option<Nearest>]) -> Tensor {
    let width = tensor.shape[1];
    let row = |i: usize| &tensor.data[i * width..][..width];
    let mut data = Vec::new();
    for neighbour in 0..NEIGHBOURS.len() {
        let mean: Vec<f32> = (0..width)
            .map(|k| {
                (1..before).map(|p| row(neighbour * before + p)[k]).sum::<f32>() / (before - 1).max(1) as f32
            })
            .collect();
        for nearest in nearest {
            let at = data.len();
            match nearest {
                None => data.extend_from_slice(&mean),
                Some(n) => data.extend_from_slice(row(neighbour * before + n.phone)),
            }
            let stress = nearest.and_then(|n| stress_row(before, neighbour, n.stress));
            if let Some(stress) = stress {
                data[at..].iter_mut().zip(row(stress)).for_each(|(x, s)| *x += s);
            }
        }
    }
    data.extend_from_slice(&tensor.data[NEIGHBOURS.len() * before * width..]);
    Tensor::new(&[data.len() / width, width], data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_begin_as_the_nearest_ones() {
        // Of two phones, a and b: rows of one number, which tells their place.
        let before = 3;
        let rows = phone_features(before) + WITHIN;
        let tensor = Tensor::new(&[rows, 1], (0..rows).map(|i| i as f32).collect());
        let theirs = [("pau", 0), ("a", 0), ("b", 0)];
        let nearest: Vec<_> = [("pau", 0), ("b", 0), ("aː", 1), ("ǃ", 0)]
            .into_iter()
            .map(|s| Nearest::of(s, &theirs))
            .collect();
        let fitted = fitted(&tensor, before, &nearest);
        assert_eq!(fitted.shape, [phone_features(4) + WITHIN, 1]);
        let stress = |neighbour| stress_row(before, neighbour, 1).map_or(0.0, |row| row as f32);
        // The phone itself, then the one before it: the pause, b, a stressed a, and the mean of a and b.
        assert_eq!(fitted.data[..4], [0.0, 2.0, 1.0 + stress(0), 1.5]);
        assert_eq!(fitted.data[4..8], [3.0, 5.0, 4.0 + stress(1), 4.5]);
        assert_eq!(stress(0), (NEIGHBOURS.len() * before) as f32);
        assert_eq!(stress(3), 0.0, "nothing is told of the stress of the one behind the next");
        assert_eq!(fitted.data[NEIGHBOURS.len() * 4..], tensor.data[NEIGHBOURS.len() * before..]);
    }
}
