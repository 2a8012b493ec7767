//! A second network in the checkpoint of a first one, as durations beside frames: its family and config are a section of the
//! header, and its tensors' names begin with [`PREFIX`].

use crate::family::FamilyConfig;
use crate::loaded::ModelError;
use crate::weights::{Checkpoint, Header, TensorSpec, Tensors, VERSION};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The section of the header.
pub const NAME: &str = "second";

/// What the names of its tensors begin with.
pub const PREFIX: &str = "second.";

/// The section [`NAME`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    family: String,
    config: Value,
}

/// The section that says that `config` is a checkpoint's second network.
///
/// # Errors
/// None that a config of numbers gives.
pub fn section(config: &FamilyConfig) -> serde_json::Result<Value> {
    serde_json::to_value(Section { family: config.family().into(), config: config.to_json()? })
}

/// The header that the second network would have in a checkpoint of its own.
fn header(of: &Header) -> Result<Option<Header>, ModelError> {
    let Some(value) = of.sections.get(NAME) else { return Ok(None) };
    let wrong = |e: serde_json::Error| ModelError::Config(format!("{NAME}: {e}"));
    let Section { family, config } = serde_json::from_value(value.clone()).map_err(wrong)?;
    Ok(Some(Header { version: VERSION, family, config, sections: Map::new() }))
}

/// The tensors of `config` as a first network's checkpoint names them.
pub fn prefixed_table(config: &FamilyConfig) -> Vec<TensorSpec> {
    let prefixed = |s: TensorSpec| TensorSpec { name: format!("{PREFIX}{}", s.name), ..s };
    config.table().into_iter().map(prefixed).collect()
}

/// The same of the second network that a header names; none without one.
///
/// # Errors
/// An unknown family, or sizes out of range.
pub(crate) fn table(of: &Header) -> Result<Vec<TensorSpec>, ModelError> {
    let Some(header) = header(of)? else { return Ok(Vec::new()) };
    Ok(prefixed_table(&FamilyConfig::from_header(&header)?))
}

/// Takes the second network out of a checkpoint, where it has one.
///
/// # Errors
/// A section that is none.
pub(crate) fn take(file: &mut Checkpoint) -> Result<Option<Checkpoint>, ModelError> {
    let Some(header) = header(&file.header)? else { return Ok(None) };
    let taken = file.tensors.extract_if(.., |name, _| name.starts_with(PREFIX));
    let tensors: Tensors = taken.map(|(name, t)| (name[PREFIX.len()..].to_string(), t)).collect();
    Ok(Some(Checkpoint { header, tensors }))
}
