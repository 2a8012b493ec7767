//! The keys of `[model]` in a run file: a network's sizes as far as its data does not decide them.

use super::{Family, FamilyConfig};
use crate::ar::Symbol;
use crate::config::ConfigError;
use crate::families;
use crate::likelihood::LikelihoodConfig;
use crate::order::{Grid, Order};
use crate::weights::Tensors;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::any::Any;
use std::fmt::Debug;

/// What the data decides of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Number of symbols.
    pub classes: usize,
    /// The symbol that stands for x_{−1}.
    pub start: Symbol,
    /// What the outputs mean; `None` for softmax over the symbols.
    pub likelihood: Option<LikelihoodConfig>,
    /// Symbols of a training window.
    pub window: usize,
    /// What the data has beside its symbols.
    pub condition: Option<GivenCondition>,
    /// What images have beside their pixels.
    pub image: Option<GivenImage>,
}

impl Given {
    /// Checks that the likelihood is the softmax over the symbols, for a family that knows no other.
    ///
    /// # Errors
    /// It is another.
    pub fn categorical(&self) -> Result<(), ConfigError> {
        match self.likelihood {
            None | Some(LikelihoodConfig::Categorical(_)) => Ok(()),
            Some(_) => {
                let want = "char_rnn or wavenet: this one gives probabilities of symbols alone";
                Err(ConfigError { field: "family", found: "another".into(), want: want.into() })
            }
        }
    }

    /// Which variable each step fills: time, where the data are no images.
    pub fn order(&self) -> Order {
        self.image.as_ref().map_or(Order::Time, |image| image.order.clone())
    }

    /// The images, for a family of nothing else.
    ///
    /// # Errors
    /// The data are none.
    pub fn images(&self) -> Result<&GivenImage, ConfigError> {
        let want = "a family of sequences: this one is of images, the section [images]";
        let none = || ConfigError { field: "family", found: "another".into(), want: want.into() };
        self.image.as_ref().ok_or_else(none)
    }

    /// Checks that the data are no images, for a family that knows none.
    ///
    /// # Errors
    /// They are.
    pub fn without_image(&self) -> Result<(), ConfigError> {
        match self.image {
            None => Ok(()),
            Some(_) => {
                let want = "a family of images";
                Err(ConfigError { field: "family", found: "another".into(), want: want.into() })
            }
        }
    }

    /// Checks that there are no class labels, for a family that takes none.
    ///
    /// # Errors
    /// There are some.
    pub fn without_labels(&self) -> Result<(), ConfigError> {
        match self.image.as_ref().map_or(0, |image| image.labels) {
            0 => Ok(()),
            n => {
                let want = "none: this family takes no class labels";
                Err(ConfigError { field: "labels", found: n.to_string(), want: want.into() })
            }
        }
    }

    /// Checks that there is no condition, for a family that takes none.
    ///
    /// # Errors
    /// There is one.
    pub fn without_condition(&self) -> Result<(), ConfigError> {
        match self.condition {
            None => Ok(()),
            Some(_) => {
                let want = "wavenet: no other family takes the condition of recordings";
                Err(ConfigError { field: "family", found: "another".into(), want: want.into() })
            }
        }
    }
}

/// What images have beside their pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenImage {
    /// Their size.
    pub grid: Grid,
    /// Which pixel each step fills, all of the grid's.
    pub order: Order,
    /// Class labels; 0 where they have none.
    pub labels: usize,
}

/// What data has beside its symbols.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenCondition {
    /// Speakers.
    pub speakers: usize,
    /// Features of a frame.
    pub features: usize,
    /// Symbols that a frame lasts.
    pub hop: usize,
}

/// A family's keys of `[model]`.
pub trait Keys: Clone + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What they are keys of.
    type Config: Family<Keys = Self>;

    /// The config for data that decides `given`; not yet validated.
    ///
    /// # Errors
    /// A key that means nothing for this data.
    fn config(&self, given: &Given) -> Result<Self::Config, ConfigError>;

    /// Rate of dropout while it is trained.
    fn dropout(&self) -> f64 {
        0.0
    }

    /// The table of a family that is counted in one pass over the training data `symbols`; `None` for one that learns by
    /// steps.
    fn count(&self, given: &Given, symbols: &[Symbol]) -> Option<(Self::Config, Tensors)> {
        let _ = (given, symbols);
        None
    }
}

/// [`Keys`] with their type forgotten.
pub(super) trait ErasedKeys: Debug + Send + Sync {
    fn family(&self) -> &'static str;
    fn config(&self, given: &Given) -> Result<FamilyConfig, ConfigError>;
    fn dropout(&self) -> f64;
    fn count(&self, given: &Given, symbols: &[Symbol]) -> Option<(FamilyConfig, Tensors)>;
    fn to_json(&self) -> serde_json::Result<Value>;
    fn boxed(&self) -> Box<dyn ErasedKeys>;
    fn as_any(&self) -> &dyn Any;
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<K: Keys> ErasedKeys for K {
    fn family(&self) -> &'static str {
        K::Config::NAME
    }

    fn config(&self, given: &Given) -> Result<FamilyConfig, ConfigError> {
        let config = Keys::config(self, given)?;
        config.validate()?;
        Ok(config.into())
    }

    fn dropout(&self) -> f64 {
        Keys::dropout(self)
    }

    fn count(&self, given: &Given, symbols: &[Symbol]) -> Option<(FamilyConfig, Tensors)> {
        Keys::count(self, given, symbols).map(|(config, tensors)| (config.into(), tensors))
    }

    fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    fn boxed(&self) -> Box<dyn ErasedKeys> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<K>().is_some_and(|other| self == other)
    }
}

/// Section `[model]` of a run file: a family and its keys.
#[derive(Debug)]
pub struct ModelKeys(Box<dyn ErasedKeys>);

impl ModelKeys {
    /// The family that a run file without the key `family` means.
    pub const DEFAULT_FAMILY: &str = "wavenet";

    /// The family's name.
    pub fn family(&self) -> &'static str {
        self.0.family()
    }

    /// The network for data that decides `given`.
    ///
    /// # Errors
    /// A size out of range, or a key that means nothing for this data.
    pub fn config(&self, given: &Given) -> Result<FamilyConfig, ConfigError> {
        self.0.config(given)
    }

    /// Rate of dropout while it is trained.
    pub fn dropout(&self) -> f64 {
        self.0.dropout()
    }

    /// The table of a family that is counted in one pass over the training data `symbols`; `None` for one that learns by
    /// steps.
    pub fn count(&self, given: &Given, symbols: &[Symbol]) -> Option<(FamilyConfig, Tensors)> {
        self.0.count(given, symbols)
    }
}

impl<K: Keys> From<K> for ModelKeys {
    fn from(keys: K) -> Self {
        Self(Box::new(keys))
    }
}

impl Clone for ModelKeys {
    fn clone(&self) -> Self {
        Self(self.0.boxed())
    }
}

impl PartialEq for ModelKeys {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other.0.as_any())
    }
}

impl Serialize for ModelKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let mut table = Map::from_iter([("family".to_string(), self.family().into())]);
        if let Value::Object(keys) = self.0.to_json().map_err(S::Error::custom)? {
            table.extend(keys);
        }
        table.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ModelKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Map::deserialize(deserializer)?;
        let family = table.remove("family").unwrap_or_else(|| Self::DEFAULT_FAMILY.into());
        let known = family.as_str().and_then(families::find).ok_or_else(|| {
            let names = families::names(|name| format!("\"{name}\""), "or");
            D::Error::custom(format!("family is {family}, wanted {names}"))
        })?;
        // An error without the parser's own place, which belongs to no line of the file.
        let said = |e| D::Error::custom(format!("family {}: {e}", known.name));
        (known.keys)(Value::Object(table)).map(Self).map_err(said)
    }
}
