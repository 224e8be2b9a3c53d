//! A temporary directory on disk for each replica.
//!
//! A watchdog keeps large bodies there: in memory they would count against the function's limit, and the first large upload
//! would kill the replica. And it keeps its lock file there and removes it when it stops: in a shared directory, the first
//! replica to go would take all others out of service.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

/// Every directory is called `ferro-<provider's pid>-<replica>`.
const PREFIX: &str = "ferro-";

/// Where the directories are made.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// In the machine's directory for large temporary files, cleared of what a killed provider left there. `/tmp` is in
    /// memory on many machines.
    pub(crate) fn on_disk() -> Self {
        let large = Path::new("/var/tmp");
        let usable = tempfile_can_be_made(large);
        let place = if usable {
            large.to_owned()
        } else {
            std::env::temp_dir()
        };
        remove_stale(&place);
        Self(place)
    }

    /// Makes a directory that only `uid` (the provider's own user, where `None`) can use.
    pub(super) fn directory(&self, id: &str, uid: Option<u32>) -> io::Result<Directory> {
        let name = format!("{PREFIX}{}-{id}", std::process::id());
        let directory = Directory(self.0.join(name));
        DirBuilder::new().mode(0o700).create(&directory.0)?;
        chown(&directory.0, uid, uid)?;
        Ok(directory)
    }
}

/// One replica's directory, removed with everything in it when dropped.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Tried, not guessed: the directory may be missing, read-only, or not ours to write.
fn tempfile_can_be_made(place: &Path) -> bool {
    let name = format!(
        "{PREFIX}{}-probe-{:x}",
        std::process::id(),
        fastrand::u64(..)
    );
    let probe = place.join(name);
    fs::create_dir(&probe).is_ok() && fs::remove_dir(&probe).is_ok()
}

fn remove_stale(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'))
            .and_then(|(pid, _)| pid.parse::<i32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_is_private_and_goes_with_its_replica() {
        let place = tempfile::tempdir().unwrap();
        let directory = Scratch(place.path().to_owned())
            .directory("f-1", None)
            .unwrap();
        let mode = fs::metadata(directory.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        fs::write(directory.path().join(".lock"), "").unwrap();
        drop(directory);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_directories_of_dead_providers_are_cleared_away() {
        let place = tempfile::tempdir().unwrap();
        let own = format!("{PREFIX}{}-f-1", std::process::id());
        // Above any pid the kernel gives out.
        for name in [
            "ferro-2147483647-f-1/x",
            "other-2147483647-f",
            "ferro-x",
            &own,
        ] {
            fs::create_dir_all(place.path().join(name)).unwrap();
        }
        remove_stale(place.path());
        let left = fs::read_dir(place.path()).unwrap().flatten();
        let mut left: Vec<_> = left.map(|entry| entry.file_name()).collect();
        left.sort();
        let mut expected = ["other-2147483647-f", "ferro-x", &own];
        expected.sort_unstable();
        assert_eq!(left, expected);
    }
}
