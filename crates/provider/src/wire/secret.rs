//! Secrets, whose values no form of printing shows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::Wire;

/// A secret. Lists of secrets carry no value.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Secret {
    /// The secret's name.
    pub name: String,
    /// Where it is; empty means the default namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The value as text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// The value as base64 of its bytes; wins over `value`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub raw_value: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} in {:?})", self.name, self.namespace)
    }
}

impl Secret {
    /// The bytes: `rawValue` where it is set, else `value`.
    ///
    /// # Errors
    /// In words, when `rawValue` is no base64.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        if self.raw_value.is_empty() {
            return Ok(self.value.clone().into_bytes());
        }
        STANDARD
            .decode(&self.raw_value)
            .map_err(|error| format!("no base64 ({error})"))
    }
}

impl Wire for Secret {
    const FIELDS: &'static [&'static str] = &["name", "namespace", "value", "rawValue"];
}
