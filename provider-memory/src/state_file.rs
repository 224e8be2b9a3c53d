//! The file in `data_dir`: written beside, synced, renamed over the old one, so that a crash leaves one or the other.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::records::Records;

/// Version of the format. A newer one is refused; there is no older one yet.
const VERSION: u32 = 1;
const NAME: &str = "provider-memory.json";

/// Why the state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory or file cannot be used.
    #[error("data_dir: {}", path.display())]
    Io {
        /// What was tried.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Another provider holds the directory.
    #[error("data_dir: {} is in use by another provider; stop it, or choose another data_dir", .0.display())]
    InUse(PathBuf),
    /// The file is not what we wrote.
    #[error("data_dir: {} cannot be read ({reason}); move it away to start with nothing", path.display())]
    Garbage {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Contents<R> {
    version: u32,
    #[serde(flatten)]
    records: R,
}

/// The open state of one provider. No other provider can open it meanwhile.
#[derive(Debug)]
pub(crate) struct StateFile {
    directory: PathBuf,
    _lock: Arc<File>,
}

impl StateFile {
    /// Opens the directory, making it if need be (mode 0700), and reads what is there.
    pub(crate) fn open(directory: &Path) -> Result<(Self, Records), Error> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            |source| Error::Io { path, source }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(fail(directory))?;
        let lock_path = directory.join("lock");
        let lock = private()
            .truncate(false)
            .open(&lock_path)
            .map_err(fail(&lock_path))?;
        if lock.try_lock().is_err() {
            return Err(Error::InUse(directory.to_owned()));
        }
        let path = directory.join(NAME);
        let records = match fs::read(&path) {
            Ok(text) => parse(&text).map_err(|reason| Error::Garbage { path, reason })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Records::default(),
            Err(error) => return Err(fail(&path)(error)),
        };
        Ok((
            Self {
                directory: directory.to_owned(),
                _lock: Arc::new(lock),
            },
            records,
        ))
    }

    /// Writes the records, synced to the disk when this returns.
    pub(crate) async fn save(&mut self, records: &Records) -> io::Result<()> {
        let text = serde_json::to_vec(&Contents {
            version: VERSION,
            records,
        })?;
        let directory = self.directory.clone();
        tokio::task::spawn_blocking(move || replace(&directory, &text))
            .await
            .map_err(io::Error::other)?
    }
}

fn private() -> fs::OpenOptions {
    let mut options = File::options();
    options.write(true).create(true).mode(0o600);
    options
}

fn replace(directory: &Path, text: &[u8]) -> io::Result<()> {
    let beside = directory.join(format!("{NAME}.new"));
    let put = write(&beside, text).and_then(|()| fs::rename(&beside, directory.join(NAME)));
    if let Err(error) = put {
        // Half of it would only take room that a full disk does not have.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    // The rename itself lies in the directory.
    File::open(directory)?.sync_all()
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = private().truncate(true).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

fn parse(text: &[u8]) -> Result<Records, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!(
            "it is of version {version}, this program knows version {VERSION}"
        ));
    }
    let contents: Contents<Records> =
        serde_json::from_slice(text).map_err(|error| error.to_string())?;
    Ok(contents.records)
}

/// Bytes as base64 text.
pub(crate) mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        STANDARD
            .decode(String::deserialize(deserializer)?)
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::SecretValue;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn what_was_saved_is_read_again_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("data");
        let (mut file, mut records) = StateFile::open(&place).unwrap();
        let secret = SecretValue(vec![0, 255, 10]);
        records
            .secrets
            .entry("ns".into())
            .or_default()
            .insert("s".into(), secret.clone());
        file.save(&records).await.unwrap();
        drop(file);

        let (_file, records) = StateFile::open(&place).unwrap();
        assert_eq!(records.secret("ns", "s"), Some(&secret));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&place.join(NAME))), (0o700, 0o600));
    }

    #[test]
    fn one_provider_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let _first = StateFile::open(directory.path()).unwrap();
        assert!(matches!(
            StateFile::open(directory.path()),
            Err(Error::InUse(_))
        ));
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        for (text, words) in [
            ("{\"version\":2}", "version 2"),
            ("garbage", "expected value"),
            ("", "EOF"),
        ] {
            fs::write(directory.path().join(NAME), text).unwrap();
            let error = StateFile::open(directory.path()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert_eq!(
                fs::read_to_string(directory.path().join(NAME)).unwrap(),
                text
            );
        }
    }
}
