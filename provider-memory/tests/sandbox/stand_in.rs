//! A provider in a process of its own, to be killed or to be another user: this test binary, started again
//! for the one test below, which does nothing in an ordinary run.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use faas_provider_memory::sandbox::Allowed;
use tempfile::TempDir;

use crate::endings::hiding;
use crate::support::{Provider, run, shell, start};

const ROLE: &str = "SANDBOX_TEST_ROLE";
const NAME: &str = "SANDBOX_TEST_NAME";
const NOBODY: u32 = 65_534;
/// The program that makes sandboxes, beside that of a provider without rights.
const SANDBOX: &str = "sandbox";

/// The process.
pub(crate) struct StandIn {
    child: Child,
    /// Where its program is, if it is another than ours.
    _place: Option<TempDir>,
}

impl StandIn {
    /// A provider with one replica that hides a process of this name.
    pub(crate) fn start(role: &str, name: &str) -> Self {
        let child = command(&ourselves(), role).env(NAME, name).spawn();
        Self {
            child: child.unwrap(),
            _place: None,
        }
    }

    /// A provider without any rights. Where our own program is, only its owner may be able to go.
    pub(crate) fn as_nobody() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        let program = place.path().join("provider");
        fs::copy(ourselves(), &program).unwrap();
        fs::copy(
            env!("CARGO_BIN_EXE_provider-memory"),
            place.path().join(SANDBOX),
        )
        .unwrap();
        let mut command = command(&program, "nobody");
        let child = command
            .current_dir(place.path())
            .uid(NOBODY)
            .gid(NOBODY)
            .spawn();
        Self {
            child: child.unwrap(),
            _place: Some(place),
        }
    }

    /// Waits until the replica runs; the pid of its sandbox.
    pub(crate) fn ready(&mut self) -> u32 {
        let stdout = self.child.stdout.as_mut().unwrap();
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let mut ready = lines.filter_map(|line| line.strip_prefix("sandbox ")?.parse().ok());
        ready
            .next()
            .expect("the provider did not start its replica")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it says until it ends.
    pub(crate) fn told(mut self) -> String {
        let mut told = String::new();
        self.child
            .stdout
            .as_mut()
            .unwrap()
            .read_to_string(&mut told)
            .unwrap();
        assert!(self.child.wait().unwrap().success(), "{told}");
        told
    }

    /// All processes below it.
    pub(crate) fn descendants(&self) -> Vec<u32> {
        let mut found = vec![self.child.id()];
        let mut next = 0;
        while let Some(&parent) = found.get(next) {
            found.extend(children(parent));
            next += 1;
        }
        found.split_off(1)
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ourselves() -> PathBuf {
    std::env::current_exe().unwrap()
}

fn command(program: &Path, role: &str) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--exact", "stand_in::the_other_process", "--nocapture"])
        .env(ROLE, role)
        .stdout(Stdio::piped());
    command
}

fn children(of: u32) -> Vec<u32> {
    let listed = Command::new("ps")
        .args(["-o", "pid=", "--ppid", &of.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    text.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

#[tokio::test]
async fn the_other_process() {
    match std::env::var(ROLE).as_deref() {
        Err(_) => {}
        Ok("nobody") => nobody().await,
        Ok("with-namespaces") => hide(Allowed::default()).await,
        Ok("plain") => {
            hide(Allowed {
                cgroups: true,
                ..Allowed::nothing()
            })
            .await;
        }
        Ok(_) => hide(Allowed::nothing()).await,
    }
}

async fn hide(allowed: Allowed) {
    let mut provider = Provider::new();
    provider.config.allowed = allowed;
    let sandbox = provider.detect().await;
    let mut spec = shell(&hiding(&std::env::var(NAME).unwrap()));
    spec.memory_limit = Some(200 << 20);
    let replica = start(&sandbox, spec).await;
    println!("sandbox {}", replica.pid());
    std::future::pending::<()>().await;
}

async fn nobody() {
    let mut provider = Provider::new();
    provider.config.program = ourselves().with_file_name(SANDBOX);
    let sandbox = provider.detect().await;
    println!("{}", sandbox.capabilities());
    let mut spec = shell(
        "cd /var/openfaas/secrets; key=$(cat key); \
         (echo x > key) 2>/dev/null || key=$key,unwritable; rm key 2>/dev/null || key=$key,kept; \
         cd $OLDPWD; status=$(grep -hE 'NoNewPrivs|CapEff' /proc/self/status | tr -d '\\t' | sort -r); \
         echo room: $(id -u) $status secret:$key $(find ../ -type f -exec cat {} +)",
    );
    spec.cwd = provider.path("home/functions");
    spec.secrets = vec![("key".to_owned(), b"a".to_vec())];
    println!("{}", run(&sandbox, spec).await.0);
    let mut spec = shell("grep -q '^ *lo:' /proc/net/dev && echo private network: inside");
    spec.private_network = true;
    println!("{}", run(&sandbox, spec).await.0);
}
