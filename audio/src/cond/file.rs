//! Reading and writing a condition file.

use super::{
    AdaptationTensor, CondError, Condition, KEY, MAX_ADAPTATION, MAX_FEATURES, MAX_FRAMES, MAX_SPEAKER,
    SpeakerVector, TrackInfo, VERSION,
};
use crate::features::SpeakerStats;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use wavesynth_output::Output;
use wavesynth_output::name::{self, NameError};

/// What stands before the names of an adaptation's tensors.
const ADAPTATION: &str = "adaptation.";
/// Most bytes of the safetensors header, and of each text in it.
const MAX_HEADER: usize = 1 << 20;
const MAX_TEXT: usize = 1 << 16;
const MAX_FILE: u64 =
    8 + MAX_HEADER as u64 + 4 * (MAX_SPEAKER + MAX_ADAPTATION + MAX_FRAMES * MAX_FEATURES) as u64;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    name: String,
    space: String,
    recipe: String,
    sample_rate: u32,
    hop: u32,
    stats: Option<SpeakerStats>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reads: Option<SpeakerStats>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    speaker_stats: Option<SpeakerStats>,
    source: String,
}

/// Only the version, so that a later format says "version" and not "missing field".
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Condition {
    /// Reads a condition file.
    pub fn read(path: &Path) -> Result<Self, CondError> {
        let fail = |source| CondError::Read { path: path.into(), source };
        let mut file = File::open(path).map_err(fail)?;
        let mut bytes = Vec::new();
        // No more than the header says that there is, and one byte that tells whether the file goes on.
        let mut read = |bytes: &mut Vec<u8>, n| file.by_ref().take(n).read_to_end(bytes).map_err(fail);
        read(&mut bytes, 8)?;
        if let Some(n) = header_len(&bytes).filter(|n| *n <= MAX_HEADER as u64) {
            read(&mut bytes, n)?;
            let metadata = serde_json::from_slice::<Metadata>(&bytes[8..]).ok();
            let tensors = metadata.and_then(|m| m.tensors().values().map(|t| t.data_offsets.1 as u64).max());
            read(&mut bytes, tensors.unwrap_or(0).min(MAX_FILE) + 1)?;
        }
        Self::from_bytes(&bytes).map_err(|what| CondError::Format { path: path.into(), what })
    }

    /// Writes a condition file, whole or not at all. Equal conditions give equal bytes.
    pub fn write(&self, path: &Path) -> Result<(), CondError> {
        self.write_to(Output::at(path)?)
    }

    /// Writes a condition file to an output that is checked already.
    pub fn write_to(&self, output: Output) -> Result<(), CondError> {
        Ok(output.write(&self.to_bytes()?)?)
    }

    /// Parses the bytes of a condition file; the error says what was found and what was wanted.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > MAX_FILE {
            return Err(format!("it has more than {MAX_FILE} bytes"));
        }
        if header_len(bytes).is_some_and(|n| n > MAX_HEADER as u64) {
            return Err(format!("its header has more than {MAX_HEADER} bytes"));
        }
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let json = metadata
            .metadata()
            .as_ref()
            .and_then(|m| m.get(KEY))
            .ok_or_else(|| format!("its metadata have no entry {KEY:?}"))?;
        let bad_json = |e: serde_json::Error| format!("its entry {KEY:?} is wrong: {e}");
        let Version { version } = serde_json::from_str(json).map_err(bad_json)?;
        if version != VERSION {
            return Err(format!(
                "it has version {version}, this program reads {VERSION}: use a program that knows it"
            ));
        }
        let header: Header = serde_json::from_str(json).map_err(bad_json)?;
        let known = |n: &str| matches!(n, "speaker" | "track") || n.starts_with(ADAPTATION);
        if let Some(name) = tensors.names().into_iter().find(|n| !known(n)) {
            return Err(format!("tensor {name:?} is unknown, wanted speaker, track and {ADAPTATION}*"));
        }
        let mut adaptation = BTreeMap::new();
        for (name, tensor) in tensors.iter().filter(|(n, _)| n.starts_with(ADAPTATION)) {
            let (shape, values) = floats(name, &tensor)?;
            adaptation.insert(name[ADAPTATION.len()..].to_owned(), AdaptationTensor { shape, values });
        }
        let speaker = match tensors.tensor("speaker") {
            Err(_) if !adaptation.is_empty() => {
                return Err("it has an adaptation without a tensor speaker".into());
            }
            Err(_) if !header.space.is_empty() => {
                return Err("its \"space\" names the space of a tensor speaker that is not there".into());
            }
            Err(_) => None,
            Ok(t) => {
                let (shape, values) = floats("speaker", &t)?;
                if shape.len() != 1 {
                    return Err(format!("tensor speaker has shape {shape:?}, wanted [E]"));
                }
                let (reads, stats) = (header.reads, header.speaker_stats);
                Some(SpeakerVector { space: header.space, values, adaptation, reads, stats })
            }
        };
        let track = match tensors.tensor("track") {
            Err(_) if (&header.recipe[..], header.sample_rate, header.hop) != ("", 0, 0) => {
                return Err("its \"recipe\", \"sample_rate\" and \"hop\" are those of a tensor track that is not there".into());
            }
            Err(_) => None,
            Ok(t) => {
                let (shape, frames) = floats("track", &t)?;
                let &[_, features] = &shape[..] else {
                    return Err(format!("tensor track has shape {shape:?}, wanted [N, F]"));
                };
                Some(TrackInfo {
                    recipe: header.recipe,
                    sample_rate: header.sample_rate,
                    hop: header.hop,
                    features,
                    frames,
                })
            }
        };
        let condition =
            Condition { name: header.name, source: header.source, speaker, stats: header.stats, track };
        condition.check()?;
        Ok(condition)
    }

    /// The bytes of a condition file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CondError> {
        let content = |what| CondError::Content { name: self.name.clone(), what };
        self.check().map_err(content)?;
        let (track, speaker) = (self.track.as_ref(), self.speaker.as_ref());
        let header = Header {
            version: VERSION,
            name: self.name.clone(),
            space: speaker.map_or_else(String::new, |s| s.space.clone()),
            recipe: track.map_or_else(String::new, |t| t.recipe.clone()),
            sample_rate: track.map_or(0, |t| t.sample_rate),
            hop: track.map_or(0, |t| t.hop),
            stats: self.stats.clone(),
            reads: speaker.and_then(|s| s.reads.clone()),
            speaker_stats: speaker.and_then(|s| s.stats.clone()),
            source: self.source.clone(),
        };
        let json = serde_json::to_string(&header).map_err(|e| content(e.to_string()))?;
        let bytes_of = |v: &[f32]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let mut tensors = Vec::new();
        if let Some(s) = speaker {
            tensors.push(("speaker".to_owned(), vec![s.values.len()], bytes_of(&s.values)));
            let named = s.adaptation.iter();
            tensors.extend(
                named.map(|(n, t)| (format!("{ADAPTATION}{n}"), t.shape.clone(), bytes_of(&t.values))),
            );
        }
        if let Some(t) = track {
            tensors.push(("track".to_owned(), vec![t.len(), t.features], bytes_of(&t.frames)));
        }
        let mut views = Vec::new();
        for (name, shape, bytes) in &tensors {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            views.push((name, view.map_err(|e| content(e.to_string()))?));
        }
        let metadata = HashMap::from([(KEY.to_owned(), json)]);
        safetensors::serialize(views, Some(metadata)).map_err(|e| content(e.to_string()))
    }

    /// What the format asks of a condition, read or to be written.
    pub(super) fn check(&self) -> Result<(), String> {
        // A condition need not have a name.
        if !self.name.is_empty() {
            name::check(&self.name).map_err(|e| format!("its name {e}"))?;
        }
        let (track, speaker) = (self.track.as_ref(), self.speaker.as_ref());
        let recipe = track.map(|t| ("recipe", &t.recipe));
        let space = speaker.map(|s| ("space", &s.space));
        for (what, text) in [("source", &self.source)].into_iter().chain(recipe).chain(space) {
            name::check_text(text, MAX_TEXT).map_err(|e: NameError| format!("its {what} {e}"))?;
        }
        if self.speaker.is_none() && self.track.is_none() {
            return Err("it has neither a tensor speaker nor a tensor track".into());
        }
        if let Some(s) = &self.speaker {
            if !(1..=MAX_SPEAKER).contains(&s.values.len()) {
                return Err(format!(
                    "tensor speaker has {} values, wanted 1..={MAX_SPEAKER}",
                    s.values.len()
                ));
            }
            if s.space.is_empty() || s.space.len() > MAX_TEXT {
                return Err("tensor speaker is there but \"space\" does not name its space".into());
            }
            finite("speaker", &s.values)?;
            let size = s.adaptation_len();
            if size > MAX_ADAPTATION {
                return Err(format!("its adaptation has {size} values, at most {MAX_ADAPTATION}"));
            }
            for (name, t) in &s.adaptation {
                finite(&format!("{ADAPTATION}{name}"), &t.values)?;
            }
            for (key, stats) in [("reads", &s.reads), ("speaker_stats", &s.stats)] {
                if stats.as_ref().is_some_and(|s| !s.is_valid()) {
                    return Err(format!("its {key} hold {}", SpeakerStats::INVALID));
                }
            }
        }
        if let Some(t) = &self.track {
            let n = t.len();
            if !(1..=MAX_FEATURES).contains(&t.features)
                || !(1..=MAX_FRAMES).contains(&n)
                || n * t.features != t.frames.len()
            {
                return Err(format!(
                    "tensor track has {} values in rows of {}, wanted 1..={MAX_FRAMES} rows of \
                     1..={MAX_FEATURES}",
                    t.frames.len(),
                    t.features
                ));
            }
            if t.recipe.is_empty() || t.recipe.len() > MAX_TEXT || t.hop == 0 || t.sample_rate == 0 {
                return Err(format!(
                    "tensor track is there with recipe {:?}, hop {}, sample_rate {}: wanted a name and \
                     numbers above 0",
                    t.recipe, t.hop, t.sample_rate
                ));
            }
            finite("track", &t.frames)?;
        }
        if self.stats.as_ref().is_some_and(|s| !s.is_valid()) {
            return Err(format!("its stats hold {}", SpeakerStats::INVALID));
        }
        Ok(())
    }
}

/// Bytes of the header, as a file says in front of it.
fn header_len(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.first_chunk()?))
}

pub(super) fn finite(name: &str, values: &[f32]) -> Result<(), String> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(format!("tensor {name}, value {i} is {}: wanted a finite number", values[i])),
        None => Ok(()),
    }
}

fn floats(name: &str, t: &TensorView<'_>) -> Result<(Vec<usize>, Vec<f32>), String> {
    if t.dtype() != Dtype::F32 {
        return Err(format!("tensor {name} holds {:?}, wanted F32", t.dtype()));
    }
    let values = t.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Ok((t.shape().to_vec(), values))
}
