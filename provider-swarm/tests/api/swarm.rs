//! The swarm of the tests: its network, its images, and what is in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use faas_compose_tests::Engine;
use serde_json::Value;

/// The network of functions in these tests.
pub(crate) const NETWORK: &str = "provider-swarm-tests";
/// A watchdog and a busybox: what test functions are made of.
pub(crate) const IMAGE: &str = "provider-swarm-tests/function:latest";
/// A server without a watchdog, which knows nothing of health paths.
pub(crate) const PLAIN: &str = "provider-swarm-tests/plain:latest";
/// A function whose own health check never succeeds.
pub(crate) const UNHEALTHY: &str = "provider-swarm-tests/unhealthy:latest";
/// Nothing at all: what the provider and the gateway are bound into.
pub(crate) const EMPTY: &str = "provider-swarm-tests/empty:latest";

/// The engine, with the network and the images that tests use.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let engine = Engine::of_tests();
        let lines = engine.docker(&["network", "ls", "--format", "{{.Name}}"]);
        if !lines.lines().any(|name| name == NETWORK) {
            let _ = engine.docker(&[
                "network",
                "create",
                "-d",
                "overlay",
                "--attachable",
                NETWORK,
            ]);
        }
        let directory = tempfile::tempdir().unwrap();
        import(&engine, directory.path(), &[], EMPTY);
        lay_out(directory.path());
        let path = [
            "-c",
            "ENV PATH=/usr/bin:/bin",
            "-c",
            "ENTRYPOINT [\"/usr/bin/fwatchdog\"]",
            "-c",
            "USER 100",
        ];
        import(&engine, directory.path(), &path, IMAGE);
        let check = "HEALTHCHECK --interval=1s --timeout=1s --retries=1 CMD exit 1";
        import(
            &engine,
            directory.path(),
            &[&path[..], &["-c", check]].concat(),
            UNHEALTHY,
        );
        let server = "ENTRYPOINT [\"/bin/busybox\", \"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/home/app\"]";
        import(&engine, directory.path(), &["-c", server], PLAIN);
        keep_network(&engine);
        engine
    })
}

/// Holds the network on the node. An overlay network leaves a node with its last container, and a container that starts
/// at that moment is told that there is no such network.
fn keep_network(engine: &Engine) {
    let name = format!("{NETWORK}-keeper");
    let _ = engine
        .command("docker")
        .args(["rm", "-f", &name])
        .output()
        .unwrap();
    let kept = ["run", "-d", "--name", &name, "--network", NETWORK];
    let sleeping = ["--entrypoint", "/bin/sleep", IMAGE, "86400"];
    let _ = engine.docker(&[&kept[..], &sleeping].concat());
}

/// A program of this workspace, as it was built last.
pub(crate) fn built(program: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_provider-swarm")).with_file_name(program);
    assert!(
        path.exists(),
        "{program} is not built: cargo build --workspace --all-targets"
    );
    path
}

/// The root of a function: what images of functions hold (images/lay-out), a server for mode http, and the libraries that
/// programs as tests build them are linked against.
fn lay_out(root: &Path) {
    let watchdog = built("fwatchdog");
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut lay_out = Command::new(checkout.join("images/lay-out"));
    lay_out.arg("function").arg(&watchdog).arg(root);
    let laid_out = lay_out.output().unwrap();
    assert!(laid_out.status.success(), "{laid_out:?}");
    let put = |from: &Path, to: &str| {
        let to = root.join(to.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    };
    put(&built("examples/handler"), "/bin/handler");
    let needed = Command::new("ldd").arg(&watchdog).output().unwrap();
    for word in String::from_utf8(needed.stdout).unwrap().split_whitespace() {
        if word.starts_with('/') {
            put(Path::new(word), word);
        }
    }
    std::fs::write(root.join("home/app/index.html"), "plain").unwrap();
}

fn import(engine: &Engine, root: &Path, changes: &[&str], name: &str) {
    let mut tar = Command::new("tar")
        .arg("-C")
        .arg(root)
        .args(["-c", "."])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut import = engine.command("docker");
    import
        .arg("import")
        .args(changes)
        .args(["-", name])
        .stdin(tar.stdout.take().unwrap());
    let output = import.output().unwrap();
    assert!(
        tar.wait().unwrap().success() && output.status.success(),
        "{output:?}"
    );
}

/// Removes all that a namespace has in the swarm.
pub(crate) fn forget(namespace: &str) {
    let filter = format!("label=ferrofaas.namespace={namespace}");
    for kind in ["service", "secret"] {
        let ids = engine().docker(&[kind, "ls", "-q", "--filter", &filter]);
        for id in ids.split_whitespace() {
            let _ = engine().command("docker").args([kind, "rm", id]).output();
        }
    }
    let _ = engine()
        .command("docker")
        .args(["config", "rm", &format!("ns_{namespace}")])
        .output();
}

/// A service of the swarm as the engine describes it.
pub(crate) fn service(name: &str) -> Value {
    let text = engine().docker(&["service", "inspect", name]);
    let mut all: Vec<Value> = serde_json::from_str(&text).unwrap();
    all.remove(0)
}

/// Whether the swarm has a service of this name.
pub(crate) fn has_service(name: &str) -> bool {
    let mut command = engine().command("docker");
    command
        .args(["service", "inspect", name])
        .output()
        .unwrap()
        .status
        .success()
}
