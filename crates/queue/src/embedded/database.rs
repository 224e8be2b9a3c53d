//! The file, open as long as it can be used. After a failed write the store cannot know what is on the disk, and is
//! opened anew.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{Database, DatabaseError};

use super::tables::{META, Snapshot};
use super::writer::transact;
use crate::{Error, VERSION};

/// The file in `data_dir`.
const NAME: &str = "queue.redb";
/// Memory for pages, clean and dirty.
const CACHE_BYTES: usize = 8 * 1024 * 1024;
const FORMAT: &str = "format";

/// Why the queue on this machine's disk cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or file cannot be used.
    #[error("data_dir: {}: {reason}", path.display())]
    Unusable {
        /// What was tried.
        path: PathBuf,
        /// The system's or the store's words.
        reason: String,
    },
    /// Another program holds the file.
    #[error("data_dir: {} is in use by another program; stop it, or choose another data_dir", .0.display())]
    InUse(PathBuf),
    /// A newer program wrote it.
    #[error("data_dir: {} is of version {version}, and this program reads up to version {VERSION}; use a newer one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u64,
    },
}

/// Where the file is, and the file.
pub(super) struct Place {
    path: PathBuf,
    open: RwLock<Option<Database>>,
    trouble: RwLock<Option<String>>,
}

impl Place {
    pub(super) fn open(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(NAME);
        let unusable = |reason: String| OpenError::Unusable {
            path: path.clone(),
            reason,
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(directory)
            .map_err(|error| unusable(error.to_string()))?;
        private(&path).map_err(|error| unusable(error.to_string()))?;
        let database = open(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(path.clone()),
            error => unusable(error.to_string()),
        })?;
        let version = version(&database).map_err(|error| unusable(error.to_string()))?;
        if version > u64::from(VERSION) {
            return Err(OpenError::Newer { path, version });
        }
        Ok(Self {
            path,
            open: RwLock::new(Some(database)),
            trouble: RwLock::default(),
        })
    }

    /// Uses the file; opens it first where an earlier use failed.
    pub(super) fn using<T>(
        &self,
        act: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        let used = self.reopened().and_then(|()| {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            open.as_ref()
                .ok_or(redb::Error::DatabaseClosed)
                .and_then(act)
        });
        if let Err(error) = &used {
            tracing::error!(%error, path = %self.path.display(), "the queue's store failed; it is opened anew");
            drop(
                self.open
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take(),
            );
        }
        let words = used.as_ref().err().map(ToString::to_string);
        *self.trouble.write().unwrap_or_else(PoisonError::into_inner) = words;
        used.map_err(|error| Error::Unavailable(error.to_string()))
    }

    fn reopened(&self) -> Result<(), redb::Error> {
        if self
            .open
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
        {
            return Ok(());
        }
        let database = open(&self.path)?;
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
        Ok(())
    }

    /// What is stored now. It fails where the last write did, until one succeeds.
    pub(super) fn snapshot(&self) -> Result<Snapshot, Error> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let database = open.as_ref().ok_or_else(|| {
            let words = self.trouble().unwrap_or_default();
            Error::Unavailable(words)
        })?;
        Snapshot::of(database).map_err(|error| Error::Unavailable(error.to_string()))
    }

    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.read().unwrap_or_else(PoisonError::into_inner);
        trouble.clone()
    }
}

/// Makes the file, for its owner only.
fn private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map(drop)
}

fn open(path: &Path) -> Result<Database, DatabaseError> {
    Database::builder().set_cache_size(CACHE_BYTES).create(path)
}

/// The version of the store; a new one gets ours, and all its tables.
fn version(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let version = {
        let mut meta = transaction.open_table(META)?;
        let known = redb::ReadableTable::get(&meta, FORMAT)?.map(|version| version.value());
        match known {
            Some(version) => version,
            None => {
                meta.insert(FORMAT, u64::from(VERSION))?;
                VERSION.into()
            }
        }
    };
    transaction.commit()?;
    if version <= u64::from(VERSION) {
        transact(database, true, |_| Ok(()))?;
    }
    Ok(version)
}
