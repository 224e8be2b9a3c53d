//! Health: the lock file, and the answers that orchestrators ask for.

use std::fs::{OpenOptions, create_dir_all, remove_file};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, StatusCode};

use crate::answer::{self, Response};
use crate::config::Config;

/// Name of the lock file in the temporary directory.
pub(crate) const LOCK_FILE: &str = ".lock";

/// Whether the function can take calls, as seen from outside.
#[derive(Debug)]
pub(crate) struct Health {
    accepting: AtomicBool,
    /// None where it is suppressed.
    lock_file: Option<PathBuf>,
    /// Whether its directory is made where it is missing.
    makes_directory: bool,
}

impl Health {
    /// With the settings of `config`.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            accepting: AtomicBool::new(true),
            lock_file: (!config.suppress_lock).then(|| config.temporary_directory.join(LOCK_FILE)),
            // Compat: the classic watchdog ends with an error instead.
            makes_directory: !config.mode.is_classic(),
        }
    }

    /// Writes the lock file, empty.
    pub(crate) fn lock(&self) -> Result<(), (PathBuf, io::Error)> {
        let Some(path) = &self.lock_file else {
            log!(
                "Warning: \"suppress_lock\" is enabled. There is no lock file for health checks to look at."
            );
            return Ok(());
        };
        log!("Writing lock-file to: {}", path.display());
        if self.makes_directory
            && let Some(directory) = path.parent()
        {
            create_dir_all(directory).map_err(|error| (path.clone(), error))?;
        }
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o660)
            .open(path)
            .map(drop)
            .map_err(|error| (path.clone(), error))
    }

    /// From now on the function is not healthy; calls still run.
    pub(crate) fn stop_accepting(&self) {
        self.accepting.store(false, Ordering::Relaxed);
        let Some(path) = &self.lock_file else { return };
        log!("Removing lock-file : {}", path.display());
        if let Err(error) = remove_file(path) {
            log!("Unable to mark server as unhealthy: {error}");
        }
    }

    /// Looked up each time: removing the file by hand takes a function out of service.
    pub(crate) fn is_healthy(&self) -> bool {
        self.accepting.load(Ordering::Relaxed) && self.lock_file.as_deref().is_none_or(Path::exists)
    }

    /// The answer of `/_/health`.
    pub(crate) fn answer(&self, method: &Method) -> Response {
        if method != Method::GET {
            return answer::empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        if self.is_healthy() {
            answer::plain(StatusCode::OK, "OK")
        } else {
            answer::empty(StatusCode::SERVICE_UNAVAILABLE)
        }
    }

    /// The answer of `/_/ready`: like health, 503 until the function is ready as well, and 429 while there is no place
    /// for another call.
    pub(crate) fn readiness(&self, method: &Method, ready: bool, full: bool) -> Response {
        let ready = ready && self.is_healthy();
        answer::empty(match (method == Method::GET, ready, full) {
            (false, ..) => StatusCode::METHOD_NOT_ALLOWED,
            (_, false, _) => StatusCode::SERVICE_UNAVAILABLE,
            (_, _, true) => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::OK,
        })
    }
}
