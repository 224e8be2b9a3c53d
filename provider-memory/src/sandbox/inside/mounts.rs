//! Mounting, and making read-only what is mounted.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use super::words::{During, Words};

const NOTHING: Option<&Path> = None;

/// Cuts this mount namespace off: what happens here stays here, and the other way round.
pub(super) fn make_private() -> Result<(), Words> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NOTHING, "/", NOTHING, flags, NOTHING).during("making mounts private")
}

/// An empty file system in memory.
pub(super) fn tmpfs(target: &Path, options: &str) -> Result<(), Words> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options))
        .during(format_args!("mounting {}", target.display()))
}

/// The pid namespace's own /proc.
pub(super) fn proc(target: &Path) -> Result<(), Words> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), target, Some("proc"), flags, NOTHING)
        .during(format_args!("mounting {}", target.display()))
}

/// Shows a file or a tree at a second place, with everything mounted in it: in a user namespace the
/// kernel refuses to show a tree without its mounts.
pub(super) fn bind(source: &Path, target: &Path) -> Result<(), Words> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(source), target, NOTHING, flags, NOTHING)
        .during(format_args!("binding {}", target.display()))
}

/// One line of /proc/self/mountinfo.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MountPoint {
    id: u64,
    path: PathBuf,
    flags: MsFlags,
}

/// Makes read-only every mount that a rule picks by its path.
pub(super) fn read_only_where(picked: impl Fn(&Path) -> bool) -> Result<(), Words> {
    let table = fs::read_to_string("/proc/self/mountinfo").during("reading the mounts")?;
    for point in table.lines().filter_map(parse) {
        if picked(&point.path) && is_on_top(&point) {
            read_only(&point)?;
        }
    }
    Ok(())
}

/// Whether a mount is what its path leads to. One below another, or below something hidden, is out of
/// reach: for us, and for the program.
fn is_on_top(point: &MountPoint) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    match statx(CWD, &point.path, flags, StatxFlags::MNT_ID) {
        // Kernels before 5.8 do not say; there is seldom more than one mount to a path.
        Ok(found) => {
            found.stx_mask & StatxFlags::MNT_ID.bits() == 0 || found.stx_mnt_id == point.id
        }
        Err(_) => false,
    }
}

fn read_only(point: &MountPoint) -> Result<(), Words> {
    let flags = point.flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(NOTHING, &point.path, NOTHING, flags, NOTHING)
        .during(format_args!("making {} read-only", point.path.display()))
}

fn parse(line: &str) -> Option<MountPoint> {
    let mut fields = line.split(' ');
    Some(MountPoint {
        id: fields.next()?.parse().ok()?,
        path: unescape(fields.nth(3)?).into(),
        flags: flags(fields.next()?),
    })
}

/// A remount says all flags anew; in a user namespace those set outside are locked, and leaving one out
/// is refused.
fn flags(options: &str) -> MsFlags {
    let mut flags = MsFlags::empty();
    for option in options.split(',') {
        flags |= match option {
            "nosuid" => MsFlags::MS_NOSUID,
            "nodev" => MsFlags::MS_NODEV,
            "noexec" => MsFlags::MS_NOEXEC,
            "noatime" => MsFlags::MS_NOATIME,
            "nodiratime" => MsFlags::MS_NODIRATIME,
            "relatime" => MsFlags::MS_RELATIME,
            _ => MsFlags::empty(),
        };
    }
    if !flags.intersects(MsFlags::MS_NOATIME | MsFlags::MS_RELATIME) {
        flags |= MsFlags::MS_STRICTATIME;
    }
    flags
}

/// Blanks, tabs, newlines and backslashes are written as three octal digits.
fn unescape(field: &str) -> String {
    [
        (r"\040", " "),
        (r"\011", "\t"),
        (r"\012", "\n"),
        (r"\134", r"\"),
    ]
    .iter()
    .fold(field.to_owned(), |path, (escaped, plain)| {
        path.replace(escaped, plain)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_mount_keeps_its_flags_and_its_blanks() {
        let line = r"36 35 98:0 / /mnt/a\040b rw,nosuid,noexec,noatime shared:1 - ext4 /dev/x rw";
        let expected = MountPoint {
            id: 36,
            path: "/mnt/a b".into(),
            flags: MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NOATIME,
        };
        assert_eq!(parse(line).unwrap(), expected);
    }

    #[test]
    fn a_mount_that_notes_every_access_goes_on_doing_so() {
        assert_eq!(flags("rw"), MsFlags::MS_STRICTATIME);
    }
}
