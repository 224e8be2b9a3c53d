//! What the provider remembers, in memory and, where there is a `data_dir`, in a file there.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use faas_provider::{FunctionDeployment, FunctionName, FunctionNamespace, ProviderError};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::state_file::StateFile;

/// First uid given to a function, where functions get uids of their own.
pub(crate) const FIRST_UID: u32 = 20_000;

/// Everything that survives a restart.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Records {
    /// Functions by `name.namespace`.
    #[serde(default)]
    pub(crate) functions: BTreeMap<String, FunctionRecord>,
    /// Namespaces by name; the default one is always among them.
    #[serde(default)]
    pub(crate) namespaces: BTreeMap<String, FunctionNamespace>,
    /// Secrets by namespace and name.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, BTreeMap<String, SecretValue>>,
}

/// A deployed function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FunctionRecord {
    /// As it was sent.
    pub(crate) deployment: FunctionDeployment,
    /// Replicas asked for.
    pub(crate) replicas: u64,
    /// When it was first deployed.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    /// Its uid, where functions get uids of their own.
    pub(crate) uid: u32,
}

/// A secret's bytes. Its debug form does not show them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretValue(
    #[serde(with = "crate::state_file::base64_bytes")] pub(crate) Vec<u8>,
);

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretValue(..)")
    }
}

impl Records {
    /// The function, or that it does not exist.
    pub(crate) fn function(&self, name: &FunctionName) -> Result<&FunctionRecord, ProviderError> {
        self.functions
            .get(name.as_str())
            .ok_or_else(|| ProviderError::NotFound(name.clone()))
    }

    /// A secret's bytes, where it exists.
    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Option<&SecretValue> {
        self.secrets.get(namespace)?.get(name)
    }

    /// The first uid that no function has.
    pub(crate) fn free_uid(&self) -> u32 {
        let mut taken: Vec<u32> = self
            .functions
            .values()
            .map(|function| function.uid)
            .collect();
        taken.sort_unstable();
        taken.into_iter().fold(
            FIRST_UID,
            |free, uid| if uid == free { free + 1 } else { free },
        )
    }
}

/// The records, and the one way to change them: all or nothing, saved before anybody sees them.
#[derive(Debug)]
pub(crate) struct Ledger {
    records: RwLock<Records>,
    writing: tokio::sync::Mutex<Option<StateFile>>,
}

impl Ledger {
    /// A ledger over the file's records, or over nothing but the default namespace.
    pub(crate) fn new(
        mut records: Records,
        file: Option<StateFile>,
        default_namespace: &str,
    ) -> Self {
        let name = default_namespace.to_owned();
        records
            .namespaces
            .entry(name.clone())
            .or_insert(FunctionNamespace {
                name,
                ..Default::default()
            });
        Self {
            records: RwLock::new(records),
            writing: tokio::sync::Mutex::new(file),
        }
    }

    /// Looks at the records.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Records) -> T) -> T {
        look(&self.records.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the records: `change` works on a copy, which is saved and then takes their place. `then` runs before the
    /// next change can, so that effects happen in the order of the changes. Nothing has happened when this is an error.
    pub(crate) async fn change<T>(
        &self,
        change: impl FnOnce(&mut Records) -> Result<T, ProviderError>,
        then: impl FnOnce(T),
    ) -> Result<(), ProviderError> {
        let mut file = self.writing.lock().await;
        let mut records = self.read(Clone::clone);
        let changed = change(&mut records)?;
        if let Some(file) = file.as_mut() {
            file.save(&records).await.map_err(|error| {
                tracing::error!(%error, "the state file cannot be written; nothing was changed");
                ProviderError::Unavailable(format!("data_dir cannot be written: {error}"))
            })?;
        }
        *self.records.write().unwrap_or_else(PoisonError::into_inner) = records;
        then(changed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_of_deleted_functions_are_given_again() {
        let function = |uid| FunctionRecord {
            deployment: FunctionDeployment::default(),
            replicas: 1,
            created_at: OffsetDateTime::UNIX_EPOCH,
            uid,
        };
        let mut records = Records::default();
        assert_eq!(records.free_uid(), FIRST_UID);
        for (name, offset) in [("a", 0), ("b", 1), ("d", 3)] {
            records
                .functions
                .insert(name.to_owned(), function(FIRST_UID + offset));
        }
        assert_eq!(records.free_uid(), FIRST_UID + 2);
    }
}
