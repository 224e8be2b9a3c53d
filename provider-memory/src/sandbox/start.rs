//! Starting a replica, from the provider's side.

use std::fs;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;

use super::cgroup::{Cgroups, Group};
use super::error::step;
use super::keeper::Keeper;
use super::memory::Readings;
use super::replica::Replica;
use super::wire::{self, Inside, Namespaces, ReadOnlyDir, Root};
use super::{Capabilities, OUTER, ReplicaSpec, SandboxConfig, SandboxError, Support};

/// A start that takes longer hangs in the kernel, on a dead network file system for one.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts replicas, each in a sandbox of its own, as well as this machine permits.
#[derive(Debug)]
pub struct Sandbox {
    pub(super) shared: Shared,
    pub(super) capabilities: Capabilities,
}

/// What a start needs besides its spec.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) program: PathBuf,
    pub(super) home: Option<PathBuf>,
    pub(super) hidden: Vec<PathBuf>,
    pub(super) read_only_dirs: Vec<ReadOnlyDir>,
    pub(super) run_files: Vec<PathBuf>,
    pub(super) cgroups: Cgroups,
    pub(super) readings: Arc<Readings>,
}

impl Shared {
    /// Resolves links now: inside, they would be resolved against another root.
    pub(super) fn new(config: &SandboxConfig, cgroups: Cgroups) -> Self {
        let resolved = |path: &PathBuf| fs::canonicalize(path).ok();
        // A service without a home directory has `/`, and that cannot be hidden.
        let home = config
            .home
            .as_ref()
            .and_then(resolved)
            .filter(|home| home != Path::new("/"));
        let resolv_conf = fs::canonicalize("/etc/resolv.conf").ok();
        Self {
            program: config.program.clone(),
            home,
            hidden: config.hidden.iter().filter_map(resolved).collect(),
            read_only_dirs: config
                .read_only_dirs
                .iter()
                .flat_map(read_only_dir)
                .collect(),
            run_files: resolv_conf
                .into_iter()
                .filter(|path| path.starts_with("/run"))
                .collect(),
            cgroups,
            readings: Arc::default(),
        }
    }

    /// Starts a replica with exactly these namespaces.
    pub(super) async fn start(
        &self,
        spec: ReplicaSpec,
        namespaces: Namespaces,
        listener: Option<std::net::TcpListener>,
    ) -> Result<Replica, SandboxError> {
        let (ours, theirs) = StdUnixStream::pair().map_err(step("making the control socket"))?;
        ours.set_nonblocking(true)
            .map_err(step("making the control socket"))?;
        let lifeline = ours
            .try_clone()
            .map_err(step("making the control socket"))?;
        let control = UnixStream::from_std(ours).map_err(step("making the control socket"))?;
        let (reading, mut writing) = control.into_split();

        let group = self
            .group(&spec, namespaces)
            .await
            .map_err(step("making the cgroup"))?;
        let mut child = self.spawn(theirs).map_err(step("starting the sandbox"))?;
        let pid = child.id().unwrap_or_default();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let keeper = Keeper {
            child,
            pid,
            group: group.clone(),
            memory_limit: spec.memory_limit,
            counted_by_us: self.cgroups.memory.is_err(),
            readings: self.readings.clone(),
        };
        let (start, exit, oom_kills) = keeper.keep(reading);
        // From here on the lifeline ends the sandbox, also when this future is dropped.
        let shared_proc = None;
        let mut replica = Replica {
            pid,
            lifeline,
            stdout,
            stderr,
            exit,
            oom_kills,
            shared_proc,
        };
        join(group, pid).await.map_err(step("joining the cgroup"))?;

        let frame = wire::frame(&namespaces).map_err(step("writing the namespaces"))?;
        let inside =
            wire::frame(&self.inside(spec, namespaces)).map_err(step("writing the spec"))?;
        let sending = async {
            writing.write_all(&frame).await?;
            send(writing.as_ref(), &inside, listener).await?;
            // Dropping this half would close the socket's sending side, and with it the lifeline.
            writing.forget();
            io::Result::Ok(())
        };
        let both = async { (sending.await, start.await) };
        let both = tokio::time::timeout(START_TIMEOUT, both).await;
        let (sent, outcome) = both.map_err(|_| SandboxError::Silent)?;
        // What the sandbox has to say about a failure is worth more than "broken pipe".
        match outcome {
            Ok(Ok(shared_proc)) => replica.shared_proc = shared_proc,
            Ok(Err(words)) => return Err(SandboxError::Inside(words)),
            Err(_) if replica.wait().await.oom_killed => return Err(SandboxError::MemoryLimit),
            Err(_) => {
                return Err(sent
                    .err()
                    .map_or(SandboxError::Silent, step("sending the spec")));
            }
        }
        Ok(replica)
    }

    fn spawn(&self, control: StdUnixStream) -> io::Result<Child> {
        Command::new(&self.program)
            .arg(OUTER)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(control)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    /// The replica's cgroup. Also without limits where there is no pid namespace: it is the surest way to
    /// find every process.
    async fn group(
        &self,
        spec: &ReplicaSpec,
        namespaces: Namespaces,
    ) -> io::Result<Option<Arc<Group>>> {
        let limited = spec.memory_limit.is_some() || spec.cpu_limit_millis.is_some();
        if !limited && namespaces.pid {
            return Ok(None);
        }
        let cgroups = self.cgroups.clone();
        let (id, memory, cpu) = (spec.id.clone(), spec.memory_limit, spec.cpu_limit_millis);
        let group = spawn_blocking(move || cgroups.create(&id, memory, cpu)).await??;
        Ok(Some(Arc::new(group)))
    }

    fn inside(&self, spec: ReplicaSpec, namespaces: Namespaces) -> Inside {
        let as_root = spec.uid.is_none() && nix::unistd::geteuid().is_root();
        let root = namespaces.mount.then(|| Root {
            home: self.home.clone(),
            hidden: self.hidden.clone(),
            read_only_dirs: self.read_only_dirs.clone(),
            run_files: self.run_files.clone(),
            secrets: spec.secrets,
            // Root that cannot be another user must at least not write what is root's.
            read_only: spec.read_only_root || as_root,
            for_root: as_root,
            tmp: spec.tmp,
            tmp_size_bytes: spec.memory_limit,
        });
        Inside {
            program: spec.program,
            argv: spec.argv,
            env: spec.env,
            cwd: spec.cwd,
            uid: spec.uid,
            namespaces,
            root,
        }
    }
}

/// Joining a group waits until every CPU has noticed, which is long for a thread that serves calls.
async fn join(group: Option<Arc<Group>>, pid: u32) -> io::Result<()> {
    match group {
        Some(group) => spawn_blocking(move || group.add(pid)).await?,
        None => Ok(()),
    }
}

/// A directory at its resolved path, and at the one the operator wrote where that is another.
fn read_only_dir(path: &PathBuf) -> Vec<ReadOnlyDir> {
    let Ok(source) = fs::canonicalize(path) else {
        return Vec::new();
    };
    // Everything is shown at its own path anyway, but for what must stay hidden.
    if source == Path::new("/") {
        return Vec::new();
    }
    let mut targets = vec![source.clone()];
    if *path != source && path.is_absolute() {
        targets.push(path.clone());
    }
    let at = |target| ReadOnlyDir {
        source: source.clone(),
        target,
    };
    targets.into_iter().map(at).collect()
}

/// Sends a frame with the listener beside its first byte.
async fn send(
    control: &UnixStream,
    frame: &[u8],
    listener: Option<std::net::TcpListener>,
) -> io::Result<()> {
    let fds: Vec<_> = listener.iter().map(AsFd::as_fd).collect();
    let mut sent = control
        .async_io(Interest::WRITABLE, || send_some(control, frame, &fds))
        .await?;
    while sent < frame.len() {
        sent += control
            .async_io(Interest::WRITABLE, || {
                send_some(control, &frame[sent..], &[])
            })
            .await?;
    }
    Ok(())
}

fn send_some(
    control: &UnixStream,
    bytes: &[u8],
    fds: &[std::os::fd::BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("no room for the listener"));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    Ok(sendmsg(
        control,
        &[IoSlice::new(bytes)],
        &mut ancillary,
        flags,
    )?)
}

impl Sandbox {
    /// What replicas get here.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Starts a replica; its program runs when this returns. The listener becomes its standard input, and
    /// is closed here.
    ///
    /// Dropping the future, or the replica, kills what was started.
    pub async fn start(
        &self,
        mut spec: ReplicaSpec,
        listener: std::net::TcpListener,
    ) -> Result<Replica, SandboxError> {
        self.check(&spec)?;
        if !self.capabilities.own_uid.is_yes() {
            spec.uid = None;
        }
        // To the kernel's file systems, no memory at all would mean no limit.
        spec.memory_limit = spec.memory_limit.map(|bytes| bytes.max(1));
        let namespaces = self.capabilities.namespaces(spec.private_network);
        self.shared.start(spec, namespaces, Some(listener)).await
    }

    fn check(&self, spec: &ReplicaSpec) -> Result<(), SandboxError> {
        let needs = |wanted, needed, support: &Support| match support {
            Support::Yes => Ok(()),
            Support::No(reason) => Err(SandboxError::Unsupported {
                wanted,
                needed,
                reason: reason.clone(),
            }),
        };
        if !spec.secrets.is_empty() {
            needs(
                "secrets",
                "a mount namespace",
                &self.capabilities.mount_namespace,
            )?;
        }
        if spec.private_network {
            let network = &self.capabilities.network_namespace;
            needs("a private network", "a network namespace", network)?;
        }
        let plain = |name: &str| {
            !name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != ".."
        };
        match spec.secrets.iter().find(|(name, _)| !plain(name)) {
            Some((name, _)) => Err(SandboxError::SecretName(name.clone())),
            None => Ok(()),
        }
    }
}
