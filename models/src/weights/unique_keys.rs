//! JSON whose objects name every key once: which of two would count is another program's guess.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// Checks that no object of `json` has a key twice, those in its strings left out.
///
/// # Errors
/// Such a key, or no JSON.
pub fn unique_keys(json: &str) -> serde_json::Result<()> {
    serde_json::from_str::<Unique>(json).map(|_| ())
}

/// Any value, read and forgotten.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Unique)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self, A::Error> {
        while values.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            entries.next_value::<Self>()?;
            if let Some(key) = keys.replace(key) {
                return Err(A::Error::custom(format!("the key {key:?} stands twice")));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::unique_keys;

    #[test]
    fn a_key_stands_once_in_its_object() {
        assert!(unique_keys(r#"{"a": [1, -2.5, null, true, "x"], "b": {"a": {}, "b": []}}"#).is_ok());
        for twice in
            [r#"{"a": 1, "a": 1}"#, r#"[{"b": {"c": 1, "d": 2, "c": 3}}]"#, r#"{"a": 1, "\u0061": 2}"#]
        {
            assert!(unique_keys(twice).unwrap_err().to_string().contains("stands twice"), "{twice}");
        }
        assert!(unique_keys(&"[".repeat(100_000)).is_err());
    }
}
