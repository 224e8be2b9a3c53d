//! Starting a shell in a sandbox and hearing what it says.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use faas_provider_memory::sandbox::{Exit, Replica, ReplicaSpec, Sandbox, SandboxConfig};
use tokio::io::AsyncReadExt;

/// Far longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// A user no account has.
pub(crate) const FUNCTION_UID: u32 = 60_123;

/// Directories of a provider, and its settings.
pub(crate) struct Provider {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) config: SandboxConfig,
}

impl Provider {
    /// A provider whose home, data and functions lie in one temporary directory, readable by all.
    pub(crate) fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap())
    }

    /// The same where no fresh /tmp hides anything by itself.
    pub(crate) fn outside_tmp() -> Self {
        // Not the target directory: the checkout itself may lie in /tmp.
        std::fs::create_dir_all("/srv").unwrap();
        Self::in_dir(tempfile::tempdir_in("/srv").unwrap())
    }

    fn in_dir(dir: tempfile::TempDir) -> Self {
        for name in ["home", "home/functions", "home/functions/data"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        readable_by_all(dir.path());
        std::fs::write(dir.path().join("home/private"), "private").unwrap();
        std::fs::write(dir.path().join("home/functions/hello.txt"), "hello").unwrap();
        std::fs::write(dir.path().join("home/functions/data/records"), "records").unwrap();
        let config = SandboxConfig {
            program: env!("CARGO_BIN_EXE_provider-memory").into(),
            home: Some(dir.path().join("home")),
            hidden: vec![dir.path().join("home/functions/data")],
            read_only_dirs: vec![dir.path().join("home/functions")],
            ..SandboxConfig::default()
        };
        Self { dir, config }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) async fn detect(&self) -> Sandbox {
        Sandbox::detect(self.config.clone()).await
    }
}

pub(crate) fn readable_by_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A shell script as a replica's program.
pub(crate) fn shell(script: &str) -> ReplicaSpec {
    ReplicaSpec {
        id: format!("{:x}", fastrand::u64(..)),
        program: Some("/bin/sh".into()),
        argv: vec!["-c".to_owned(), script.to_owned()],
        cwd: "/".into(),
        uid: Some(FUNCTION_UID),
        ..ReplicaSpec::default()
    }
}

pub(crate) fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

pub(crate) async fn start(sandbox: &Sandbox, spec: ReplicaSpec) -> Replica {
    sandbox.start(spec, listener()).await.unwrap()
}

/// Runs a replica to its end: what it printed, complaints included, and how it ended.
pub(crate) async fn run(sandbox: &Sandbox, spec: ReplicaSpec) -> (String, Exit) {
    let mut replica = start(sandbox, spec).await;
    let mut output = String::new();
    let mut complaints = String::new();
    let (mut stdout, mut stderr) = (
        replica.take_stdout().unwrap(),
        replica.take_stderr().unwrap(),
    );
    let heard = async {
        let _ = tokio::join!(
            stdout.read_to_string(&mut output),
            stderr.read_to_string(&mut complaints),
        );
        replica.wait().await
    };
    let exit = tokio::time::timeout(DEADLINE, heard)
        .await
        .expect("the replica did not end");
    (output + &complaints, exit)
}

/// What a script prints.
pub(crate) async fn output(sandbox: &Sandbox, script: &str) -> String {
    run(sandbox, shell(script)).await.0
}

/// Whether a process exists.
pub(crate) fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
