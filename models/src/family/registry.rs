//! How a family's name leads to its code.

use super::keys::ErasedKeys;
use super::{Family, FamilyConfig, NamedShape};
use serde_json::Value;

/// A family as the list of families holds it.
pub struct Registered {
    /// [`Family::NAME`].
    pub name: &'static str,
    read: fn(&Value) -> Result<FamilyConfig, String>,
    pub(super) keys: fn(Value) -> Result<Box<dyn ErasedKeys>, String>,
    shapes: fn() -> Vec<NamedShape<FamilyConfig>>,
}

impl Registered {
    /// The family whose config is `F`.
    pub const fn of<F: Family>() -> Self {
        Self { name: F::NAME, read: read::<F>, keys: keys::<F>, shapes: shapes::<F> }
    }

    /// The config that a checkpoint's header holds.
    ///
    /// # Errors
    /// An unknown or missing key, or a size out of range.
    pub fn read(&self, config: &Value) -> Result<FamilyConfig, String> {
        (self.read)(config)
    }

    /// Sizes that are measured beside other programs'.
    pub fn shapes(&self) -> Vec<NamedShape<FamilyConfig>> {
        (self.shapes)()
    }
}

fn read<F: Family>(config: &Value) -> Result<FamilyConfig, String> {
    let config: F = serde_json::from_value(config.clone()).map_err(|e| format!("config: {e}"))?;
    config.validate().map_err(|e| e.to_string())?;
    Ok(config.into())
}

fn keys<F: Family>(keys: Value) -> Result<Box<dyn ErasedKeys>, String> {
    let keys: F::Keys = serde_json::from_value(keys).map_err(|e| e.to_string())?;
    Ok(Box::new(keys))
}

fn shapes<F: Family>() -> Vec<NamedShape<FamilyConfig>> {
    let erased = |s: NamedShape<F>| {
        let NamedShape { name, config, batch, window } = s;
        NamedShape { name, config: config.into(), batch, window }
    };
    F::shapes().into_iter().map(erased).collect()
}
