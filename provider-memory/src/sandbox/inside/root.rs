//! The root directory of a replica: the machine's own entries, bound one by one, with everything private
//! replaced, hidden or sealed.

use std::fs::{self, DirBuilder, File, FileType, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use nix::unistd::{chdir, pivot_root};

use super::mounts::{bind, make_private, proc, read_only_where, tmpfs};
use super::words::{During, Words};
use crate::sandbox::wire::{ReadOnlyDir, Root};

/// Where the machine's root stays reachable while ours is built from it.
const MACHINE: &str = "/.machine";
const SECRETS: &str = "/var/openfaas/secrets";
/// A directory that exists nearly everywhere, to mount our root on before it takes the place of `/`.
const STAGES: [&str; 6] = ["/tmp", "/run", "/mnt", "/var", "/dev", "/proc"];
/// Built here rather than taken over from the machine.
const OURS: [&str; 6] = ["proc", "sys", "dev", "tmp", "run", "var"];
/// What stays writable under a read-only root.
const WRITABLE: [&str; 5] = ["/proc", "/dev", "/tmp", "/var/tmp", MACHINE];

/// Changes into the new root; why /proc is the machine's, where it is.
pub(super) fn build(root: &Root, own_pids: bool) -> Result<Option<String>, Words> {
    make_private()?;
    take_the_place()?;
    mirror(Path::new("/"), &OURS)?;
    let shared_proc = mount_proc(own_pids)?;
    mount_system(root)?;
    mount_run(root)?;
    mount_var(root)?;
    mount_tmp(root)?;

    let mut sealed = vec![PathBuf::from("/"), "/var".into(), SECRETS.into()];
    if root.for_root {
        separate_settings(&mut sealed)?;
    }
    hide(root.home.as_deref(), &mut sealed)?;
    hide(&root.hidden, &mut sealed)?;
    bind_read_only_dirs(root, &mut sealed)?;
    write_secrets(&root.secrets)?;
    leave_the_machine()?;
    seal(root, &sealed)?;
    Ok(shared_proc)
}

/// Makes an empty file system our root and keeps the machine's below it for the time being.
fn take_the_place() -> Result<(), Words> {
    let is_dir = |path: &&&str| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    let stage = STAGES
        .iter()
        .find(is_dir)
        .ok_or("no directory to build the root on")?;
    let stage = Path::new(stage);
    tmpfs(stage, "mode=0755")?;
    let old = stage.join(&MACHINE[1..]);
    fs::create_dir(&old).during("making room for the machine's root")?;
    pivot_root(stage, &old).during("changing the root")?;
    chdir("/").during("changing the root")
}

/// The machine's path of something, until we leave it.
fn on_machine(path: &Path) -> PathBuf {
    Path::new(MACHINE).join(path.strip_prefix("/").unwrap_or(path))
}

/// Shows the entries of one of the machine's directories at the same place here.
fn mirror(dir: &Path, except: &[&str]) -> Result<(), Words> {
    let Ok(entries) = fs::read_dir(on_machine(dir)) else {
        return Ok(());
    };
    let step = || format!("listing {}", dir.display());
    for entry in entries {
        let entry = entry.during(step())?;
        let name = entry.file_name();
        if !except.iter().any(|left_out| name == *left_out) {
            // As the directory says it: asking the entry itself fails on a file system that is gone.
            let kind = entry.file_type().during(step())?;
            mirror_entry(kind, &entry.path(), &dir.join(name))?;
        }
    }
    Ok(())
}

fn mirror_entry(kind: FileType, source: &Path, target: &Path) -> Result<(), Words> {
    let step = || format!("making {}", target.display());
    if kind.is_symlink() {
        let points_to = fs::read_link(source).during(step())?;
        symlink(points_to, target).during(step())
    } else if kind.is_dir() {
        fs::create_dir(target).during(step())?;
        bind(source, target)
    } else if kind.is_file() {
        File::create(target).during(step())?;
        bind(source, target)
    } else {
        // Sockets, pipes and devices at such places are the machine's own affair.
        Ok(())
    }
}

fn mount_proc(own_pids: bool) -> Result<Option<String>, Words> {
    let target = Path::new("/proc");
    make_dir(target)?;
    let refused = if own_pids {
        proc(target).err()
    } else {
        Some("no pid namespace".to_owned())
    };
    if refused.is_some() {
        bind(&on_machine(target), target)?;
    }
    Ok(refused)
}

fn mount_system(root: &Root) -> Result<(), Words> {
    let [devices, system] = [Path::new("/dev"), Path::new("/sys")];
    make_dir(system)?;
    bind(&on_machine(system), system)?;
    make_dir(devices)?;
    if root.for_root {
        mount_harmless_devices(devices)?;
    } else {
        bind(&on_machine(devices), devices)?;
    }
    let shared_memory = Path::new("/dev/shm");
    if is_plain_dir(shared_memory) {
        tmpfs(shared_memory, &temporary_options(root))?;
    }
    Ok(())
}

/// Root needs no capability to write to a disk, its files being root's; so it does not see any.
fn mount_harmless_devices(devices: &Path) -> Result<(), Words> {
    tmpfs(devices, "mode=0755")?;
    make_dir(&devices.join("shm"))?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let target = devices.join(name);
        File::create(&target).during(format_args!("making {}", target.display()))?;
        bind(&on_machine(&target), &target)?;
    }
    for (name, points_to) in [
        ("fd", ""),
        ("stdin", "/0"),
        ("stdout", "/1"),
        ("stderr", "/2"),
    ] {
        symlink(format!("/proc/self/fd{points_to}"), devices.join(name))
            .during("making links in /dev")?;
    }
    Ok(())
}

/// The kernel's settings obey root even without a capability. Gives them a mount of their own, to be
/// sealed with the others.
fn separate_settings(sealed: &mut Vec<PathBuf>) -> Result<(), Words> {
    for name in ["sys", "sysrq-trigger", "irq", "bus", "fs"] {
        let path = Path::new("/proc").join(name);
        if path.exists() {
            bind(&path, &path)?;
            sealed.push(path);
        }
    }
    Ok(())
}

/// An empty /run: the machine's holds secrets and the sockets of its services. Links are kept (some
/// distributions have their whole /usr behind one), and the files that name resolution needs.
fn mount_run(root: &Root) -> Result<(), Words> {
    let run = Path::new("/run");
    make_dir(run)?;
    tmpfs(run, "mode=0755")?;
    for entry in fs::read_dir(on_machine(run))
        .into_iter()
        .flatten()
        .flatten()
    {
        if let Ok(points_to) = fs::read_link(entry.path()) {
            symlink(points_to, run.join(entry.file_name())).during("making links in /run")?;
        }
    }
    for file in &root.run_files {
        let source = on_machine(file);
        let found = fs::symlink_metadata(&source).during("finding the name servers")?;
        make_parent(file)?;
        mirror_entry(found.file_type(), &source, file)?;
    }
    Ok(())
}

fn mount_var(root: &Root) -> Result<(), Words> {
    let var = Path::new("/var");
    make_dir(var)?;
    tmpfs(var, "mode=0755")?;
    mirror(var, &["tmp", "openfaas"])?;
    mount_temporary(Path::new("/var/tmp"), root)
}

/// The replica's own directory on the machine's disk, where it has one: what lies there is no memory of anybody's.
fn mount_tmp(root: &Root) -> Result<(), Words> {
    let tmp = Path::new("/tmp");
    match &root.tmp {
        None => mount_temporary(tmp, root),
        Some(directory) => {
            make_dir(tmp)?;
            bind(&on_machine(directory), tmp)
        }
    }
}

fn mount_temporary(target: &Path, root: &Root) -> Result<(), Words> {
    make_dir(target)?;
    tmpfs(target, &temporary_options(root))
}

/// Files in memory count as memory: a replica may have no more of them than of the other kind.
fn temporary_options(root: &Root) -> String {
    match root.tmp_size_bytes {
        Some(size) => format!("mode=1777,size={size}"),
        None => "mode=1777".to_owned(),
    }
}

/// Lays something empty over each path that exists here.
fn hide<'a>(
    paths: impl IntoIterator<Item = impl AsRef<Path> + 'a>,
    sealed: &mut Vec<PathBuf>,
) -> Result<(), Words> {
    for path in paths {
        let path = path.as_ref();
        if is_plain_dir(path) {
            tmpfs(path, "mode=0755")?;
            sealed.push(path.to_owned());
        } else if path.exists() {
            bind(Path::new("/dev/null"), path)?;
        }
    }
    Ok(())
}

/// Binds parents before children, and hides again what a directory brought back into sight.
fn bind_read_only_dirs(root: &Root, sealed: &mut Vec<PathBuf>) -> Result<(), Words> {
    let mut dirs: Vec<&ReadOnlyDir> = root.read_only_dirs.iter().collect();
    dirs.sort_by_key(|dir| dir.target.components().count());
    for ReadOnlyDir { source, target } in dirs {
        fs::create_dir_all(target).during(format_args!("making {}", target.display()))?;
        bind(&on_machine(source), target)?;
        read_only_where(|path| path.starts_with(target))?;
        let returned = |path: &&PathBuf| path.starts_with(source);
        // A functions directory that is the home directory itself is meant to be seen.
        let home = root
            .home
            .iter()
            .filter(returned)
            .filter(|home| *home != source);
        let returned = home.chain(root.hidden.iter().filter(returned));
        let below = |path: &PathBuf| {
            path.strip_prefix(source)
                .map(|rest| join(target, rest))
                .ok()
        };
        hide(returned.filter_map(below), sealed)?;
    }
    Ok(())
}

/// `Path::join`, but joining nothing adds no slash, which mountinfo would not have.
fn join(dir: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() {
        dir.to_owned()
    } else {
        dir.join(rest)
    }
}

fn write_secrets(secrets: &[(String, Vec<u8>)]) -> Result<(), Words> {
    let dir = Path::new(SECRETS);
    fs::create_dir_all(dir).during("making the secrets' directory")?;
    tmpfs(dir, "mode=0755")?;
    for (name, value) in secrets {
        let path = dir.join(name);
        let step = || format!("writing secret {name}");
        fs::write(&path, value).during(step())?;
        fs::set_permissions(&path, Permissions::from_mode(0o444)).during(step())?;
    }
    Ok(())
}

fn leave_the_machine() -> Result<(), Words> {
    umount2(MACHINE, MntFlags::MNT_DETACH).during("leaving the machine's root")?;
    fs::remove_dir(MACHINE).during("leaving the machine's root")
}

fn seal(root: &Root, sealed: &[PathBuf]) -> Result<(), Words> {
    let below = |path: &Path, dirs: &[&str]| dirs.iter().any(|dir| path.starts_with(dir));
    read_only_where(|path| {
        sealed.iter().any(|seal| seal == path)
            || path.starts_with("/sys")
            || (root.read_only && !below(path, &WRITABLE))
    })
}

fn is_plain_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

fn make_dir(path: &Path) -> Result<(), Words> {
    let made = DirBuilder::new().mode(0o755).recursive(true).create(path);
    made.during(format_args!("making {}", path.display()))
}

fn make_parent(path: &Path) -> Result<(), Words> {
    path.parent().map_or(Ok(()), make_dir)
}
