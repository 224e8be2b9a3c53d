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
            "ENV PATH=/bin",
            "-c",
            "ENTRYPOINT [\"/bin/fwatchdog\"]",
            "-c",
            "USER 100",
        ];
        import(&engine, directory.path(), &path, IMAGE);
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
        "{program} is not built: cargo build --workspace"
    );
    path
}

/// The root of a function: the watchdog with the libraries that it needs, and a static busybox.
fn lay_out(root: &Path) {
    let watchdog = built("fwatchdog");
    let put = |from: &Path, to: &str| {
        let to = root.join(to.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    };
    put(&watchdog, "/bin/fwatchdog");
    put(Path::new("/bin/busybox"), "/bin/busybox");
    for program in [
        "cat",
        "cut",
        "date",
        "dd",
        "echo",
        "env",
        "hostname",
        "head",
        "printf",
        "sh",
        "sha512sum",
        "sleep",
        "touch",
        "tr",
        "yes",
    ] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(program)).unwrap();
    }
    let needed = Command::new("ldd").arg(&watchdog).output().unwrap();
    for word in String::from_utf8(needed.stdout).unwrap().split_whitespace() {
        if word.starts_with('/') {
            put(Path::new(word), word);
        }
    }
    for directory in ["tmp", "home/app"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    std::fs::set_permissions(root.join("tmp"), open).unwrap();
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
