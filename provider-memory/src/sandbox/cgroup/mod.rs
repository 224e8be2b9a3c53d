//! Limits kept by the kernel: one control group per replica, in whichever version the machine has.

mod group;
mod place;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(super) use group::Group;

/// Every group of ours is called `ferro-<provider's pid>-<replica>`.
const PREFIX: &str = "ferro-";

/// Which interface a directory below /sys/fs/cgroup speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// A directory in which groups with one controller can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) version: Version,
    pub(super) dir: PathBuf,
}

/// Where this provider can make groups, and why not where it cannot.
#[derive(Clone, Debug)]
pub(super) struct Cgroups {
    pub(super) memory: Result<Place, String>,
    pub(super) cpu: Result<Place, String>,
}

impl Cgroups {
    /// Tries, by making a group and setting a limit, and removes what a killed provider left behind.
    pub(super) fn find() -> Self {
        let found = Self {
            memory: place::find(&place::MEMORY),
            cpu: place::find(&place::CPU),
        };
        for place in [&found.memory, &found.cpu].into_iter().flatten() {
            remove_stale(&place.dir);
        }
        found
    }

    /// No groups, for a reason.
    pub(super) fn none(reason: &str) -> Self {
        Self {
            memory: Err(reason.to_owned()),
            cpu: Err(reason.to_owned()),
        }
    }

    /// Makes the group of one replica with its limits. A limit whose controller is absent is left out.
    pub(super) fn create(
        &self,
        id: &str,
        memory_bytes: Option<u64>,
        cpu_millis: Option<u64>,
    ) -> io::Result<Group> {
        let name = format!("{PREFIX}{}-{id}", std::process::id());
        let mut group = Group::default();
        if let Ok(place) = &self.memory {
            group.limit_memory(place, &name, memory_bytes)?;
        }
        if let (Ok(place), Some(millis)) = (&self.cpu, cpu_millis) {
            group.limit_cpu(place, &name, millis)?;
        }
        Ok(group)
    }
}

/// Removes groups of providers that are dead. Only empty ones can be removed; a group that is not empty
/// still has a sandbox in it that is about to notice.
fn remove_stale(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(owner);
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn owner(name: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    pid.parse().ok()
}

/// cgroup files take one value per write and tell errors at the write.
fn set(dir: &Path, file: &str, value: impl ToString) -> io::Result<()> {
    let path = dir.join(file);
    fs::write(&path, value.to_string()).map_err(|error| {
        io::Error::new(error.kind(), format!("writing {}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_empty_groups_of_dead_providers_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let own = format!("ferro-{}-a", std::process::id());
        // Above any pid the kernel gives out.
        for name in [
            "ferro-2147483647-a",
            "ferro-2147483647-b/x",
            &own,
            "other-2147483647-a",
        ] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        remove_stale(dir.path());
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut expected = vec![
            "ferro-2147483647-b".to_owned(),
            own,
            "other-2147483647-a".to_owned(),
        ];
        expected.sort();
        assert_eq!(left, expected);
    }
}
