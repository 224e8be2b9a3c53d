//! The group of one replica, from the first process in it to its removal.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Place, Version, set};

const CPU_PERIOD_US: u64 = 100_000;
/// The kernel refuses quotas below this.
const SMALLEST_QUOTA_US: u64 = 1_000;
const REMOVAL_INTERVAL: Duration = Duration::from_millis(5);
const REMOVAL_ATTEMPTS: u32 = 200;

/// The directories that make up one replica's group: one in v2, one per controller in v1.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Group {
    dirs: Vec<PathBuf>,
    memory: Option<Place>,
}

impl Group {
    /// Makes the group for memory; without a limit it still counts its processes.
    pub(super) fn limit_memory(
        &mut self,
        place: &Place,
        name: &str,
        bytes: Option<u64>,
    ) -> io::Result<()> {
        let dir = self.make(place, name)?;
        if let Some(bytes) = bytes {
            limit_memory(place.version, &dir, bytes)?;
        }
        self.memory = Some(Place {
            version: place.version,
            dir,
        });
        Ok(())
    }

    /// Makes the group for CPU time and sets its quota.
    pub(super) fn limit_cpu(&mut self, place: &Place, name: &str, millis: u64) -> io::Result<()> {
        let dir = self.make(place, name)?;
        limit_cpu(place.version, &dir, millis)
    }

    fn make(&mut self, place: &Place, name: &str) -> io::Result<PathBuf> {
        let dir = place.dir.join(name);
        if !self.dirs.contains(&dir) {
            fs::create_dir(&dir)?;
            self.dirs.push(dir.clone());
        }
        Ok(dir)
    }

    /// Moves a process in; its children to come are born there.
    pub(in crate::sandbox) fn add(&self, pid: u32) -> io::Result<()> {
        self.dirs
            .iter()
            .try_for_each(|dir| set(dir, "cgroup.procs", pid))
    }

    /// How many processes the kernel has killed here for memory.
    pub(in crate::sandbox) fn oom_kills(&self) -> u64 {
        let Some(place) = &self.memory else { return 0 };
        let file = match place.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        let text = fs::read_to_string(place.dir.join(file)).unwrap_or_default();
        text.lines().find_map(oom_kill).unwrap_or(0)
    }

    /// Kills whatever is still in the group.
    pub(in crate::sandbox) fn kill(&self) {
        for dir in &self.dirs {
            let pids = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            for pid in pids.lines().filter_map(|line| line.parse().ok()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }

    /// Removes the group, killing what is in it; the kernel takes a moment to let the dead go.
    pub(in crate::sandbox) async fn remove(&self) -> io::Result<()> {
        for _ in 1..REMOVAL_ATTEMPTS {
            if self.try_remove().is_ok() {
                return Ok(());
            }
            self.kill();
            tokio::time::sleep(REMOVAL_INTERVAL).await;
        }
        self.try_remove()
    }

    fn try_remove(&self) -> io::Result<()> {
        for dir in &self.dirs {
            match fs::remove_dir(dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Group {
    /// For a start that failed half-way; the next provider removes what cannot go yet.
    fn drop(&mut self) {
        let _ = self.try_remove();
    }
}

/// Swap is no way out: it is part of the limit in v1, and none in v2. A kernel that does not account for
/// swap has no such file.
pub(super) fn limit_memory(version: Version, dir: &Path, bytes: u64) -> io::Result<()> {
    match version {
        Version::V1 => {
            set(dir, "memory.limit_in_bytes", bytes)?;
            set_if_present(dir, "memory.memsw.limit_in_bytes", bytes)
        }
        Version::V2 => {
            set(dir, "memory.max", bytes)?;
            set_if_present(dir, "memory.swap.max", 0)
        }
    }
}

pub(super) fn limit_cpu(version: Version, dir: &Path, millis: u64) -> io::Result<()> {
    let quota = (millis.saturating_mul(CPU_PERIOD_US) / 1000).max(SMALLEST_QUOTA_US);
    match version {
        Version::V1 => {
            set(dir, "cpu.cfs_period_us", CPU_PERIOD_US)?;
            set(dir, "cpu.cfs_quota_us", quota)
        }
        Version::V2 => set(dir, "cpu.max", format!("{quota} {CPU_PERIOD_US}")),
    }
}

fn set_if_present(dir: &Path, file: &str, value: u64) -> io::Result<()> {
    if dir.join(file).exists() {
        set(dir, file, value)?;
    }
    Ok(())
}

fn oom_kill(line: &str) -> Option<u64> {
    line.strip_prefix("oom_kill ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A directory with the files of a cgroup.
    fn fake(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(dir.path().join(file), "").unwrap();
        }
        dir
    }

    fn text(dir: &tempfile::TempDir, file: &str) -> String {
        fs::read_to_string(dir.path().join(file)).unwrap()
    }

    #[test]
    fn a_v2_group_gets_no_swap_and_a_quota_per_period() {
        let dir = fake(&["memory.max", "memory.swap.max", "cpu.max"]);
        limit_memory(Version::V2, dir.path(), 20 << 20).unwrap();
        limit_cpu(Version::V2, dir.path(), 250).unwrap();
        assert_eq!(text(&dir, "memory.max"), "20971520");
        assert_eq!(text(&dir, "memory.swap.max"), "0");
        assert_eq!(text(&dir, "cpu.max"), "25000 100000");
    }

    #[test]
    fn a_v1_group_counts_swap_into_the_limit() {
        let dir = fake(&["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]);
        limit_memory(Version::V1, dir.path(), 1000).unwrap();
        assert_eq!(text(&dir, "memory.memsw.limit_in_bytes"), "1000");
    }

    #[test]
    fn a_tiny_cpu_limit_is_the_smallest_the_kernel_takes() {
        let dir = fake(&["cpu.max"]);
        limit_cpu(Version::V2, dir.path(), 1).unwrap();
        assert_eq!(text(&dir, "cpu.max"), "1000 100000");
    }

    #[test]
    fn kills_for_memory_are_read_from_either_version() {
        for (version, file) in [
            (Version::V1, "memory.oom_control"),
            (Version::V2, "memory.events"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(
                dir.path().join(file),
                "oom_kill_disable 0\noom 7\noom_kill 3\n",
            )
            .unwrap();
            let place = Place {
                version,
                dir: dir.path().to_owned(),
            };
            let group = Group {
                dirs: Vec::new(),
                memory: Some(place),
            };
            assert_eq!(group.oom_kills(), 3);
        }
    }
}
