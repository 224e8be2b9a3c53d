//! Where groups can be made: in the provider's own group, or above it as far as it may write.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::group::{limit_cpu, limit_memory};
use super::{PREFIX, Place, Version, set};

/// Enough for anything that is only tried.
const TRIAL_MEMORY_BYTES: u64 = 64 << 20;
const TRIAL_CPU_MILLIS: u64 = 1000;

/// A controller, and how to see that it works.
pub(super) struct Controller {
    name: &'static str,
    try_limit: fn(Version, &Path) -> io::Result<()>,
}

pub(super) const MEMORY: Controller = Controller {
    name: "memory",
    try_limit: |version, dir| limit_memory(version, dir, TRIAL_MEMORY_BYTES),
};

pub(super) const CPU: Controller = Controller {
    name: "cpu",
    try_limit: |version, dir| limit_cpu(version, dir, TRIAL_CPU_MILLIS),
};

/// The first place where a group with this controller can be made and limited, v2 before v1.
pub(super) fn find(controller: &Controller) -> Result<Place, String> {
    let groups = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
    let mut reason = format!("no cgroup file system with {}", controller.name);
    for version in [Version::V2, Version::V1] {
        let Some((own, top)) = own_dir(controller.name, version, &groups, &mounts) else {
            continue;
        };
        match search(controller, version, &own, &top) {
            Ok(dir) => return Ok(Place { version, dir }),
            Err(refused) => reason = refused,
        }
    }
    Err(reason)
}

/// The provider's own group upwards. In v2 a group with processes in it cannot hand controllers down, and
/// the groups above may be somebody else's; the provider's own, emptied by moving into a leaf, comes last.
fn search(
    controller: &Controller,
    version: Version,
    own: &Path,
    top: &Path,
) -> Result<PathBuf, String> {
    if version == Version::V2 {
        let offered = fs::read_to_string(own.join("cgroup.controllers")).unwrap_or_default();
        if !offered
            .split_whitespace()
            .any(|name| name == controller.name)
        {
            return Err(format!(
                "cgroup v2 has no {} controller here",
                controller.name
            ));
        }
    }
    let mut reason = String::new();
    for dir in own.ancestors().take_while(|dir| dir.starts_with(top)) {
        match attempt(controller, version, dir) {
            Ok(()) => return Ok(dir.to_owned()),
            Err(error) if reason.is_empty() => reason = error.to_string(),
            Err(_) => {}
        }
        // cgroup v1 hands its controllers down without conditions: what fails here fails above.
        if version == Version::V1 {
            return Err(reason);
        }
    }
    move_into_leaf(own)
        .and_then(|()| attempt(controller, version, own))
        .map(|()| own.to_owned())
        .map_err(|_| reason)
}

/// Makes a group, sets a limit and removes the group again.
fn attempt(controller: &Controller, version: Version, dir: &Path) -> io::Result<()> {
    if version == Version::V2 {
        hand_down(controller.name, dir)?;
    }
    let trial = dir.join(format!(
        "{PREFIX}{}-trial-{:x}",
        std::process::id(),
        fastrand::u64(..)
    ));
    fs::create_dir(&trial).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("making a group in {}: {error}", dir.display()),
        )
    })?;
    let outcome = (controller.try_limit)(version, &trial);
    fs::remove_dir(&trial)?;
    outcome
}

/// Lets child groups have a controller, where they do not have it yet.
fn hand_down(controller: &str, dir: &Path) -> io::Result<()> {
    let handed_down = fs::read_to_string(dir.join("cgroup.subtree_control"))?;
    if handed_down
        .split_whitespace()
        .any(|name| name == controller)
    {
        return Ok(());
    }
    set(dir, "cgroup.subtree_control", format!("+{controller}"))
}

/// Empties the provider's own group, if the provider is alone in it.
fn move_into_leaf(own: &Path) -> io::Result<()> {
    let pid = std::process::id();
    let members = fs::read_to_string(own.join("cgroup.procs"))?;
    if members.trim() != pid.to_string() {
        return Err(io::Error::other("the provider is not alone in its group"));
    }
    let leaf = own.join(format!("{PREFIX}{pid}-provider"));
    fs::create_dir(&leaf)?;
    set(&leaf, "cgroup.procs", pid)
}

/// The directory of this process's own group, and the top of what is mounted of its hierarchy.
fn own_dir(
    controller: &str,
    version: Version,
    groups: &str,
    mounts: &str,
) -> Option<(PathBuf, PathBuf)> {
    let group = groups.lines().find_map(|line| {
        let (id, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let found = match version {
            Version::V2 => id == "0" && controllers.is_empty(),
            Version::V1 => controllers.split(',').any(|name| name == controller),
        };
        found.then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut file_system = file_system.split(' ');
        let kind = file_system.next()?;
        let options = file_system.nth(1)?;
        let found = match version {
            Version::V2 => kind == "cgroup2",
            Version::V1 => kind == "cgroup" && options.split(',').any(|name| name == controller),
        };
        // Seen from inside a container, the mount's root is the container's group.
        let below = Path::new(group).strip_prefix(root).ok()?;
        found.then(|| (Path::new(point).join(below), PathBuf::from(point)))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MOUNTS: &str = "\
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn the_own_group_is_found_in_its_hierarchy() {
        let groups = "4:memory:/a/b\n3:cpu,cpuacct:/\n0::/c\n";
        let found = |name, version| own_dir(name, version, groups, MOUNTS).unwrap().0;
        let cases = [
            ("memory", Version::V1, "/sys/fs/cgroup/memory/a/b"),
            ("cpu", Version::V1, "/sys/fs/cgroup/cpu,cpuacct/"),
            ("memory", Version::V2, "/sys/fs/cgroup/unified/c"),
        ];
        for (name, version, expected) in cases {
            assert_eq!(found(name, version), Path::new(expected));
        }
    }

    #[test]
    fn a_container_finds_its_group_at_the_mount_point() {
        let mounts = "35 31 0:32 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let (own, top) = own_dir("memory", Version::V1, "4:memory:/docker/x\n", mounts).unwrap();
        assert_eq!(own, Path::new("/sys/fs/cgroup/memory"));
        assert_eq!(top, own);
    }
}
