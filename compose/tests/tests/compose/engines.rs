//! The tests' own engines leave nothing behind, however they end.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn output(program: &str, arguments: &[&str]) -> Output {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory);
    command.output().unwrap()
}

fn engine(arguments: &[&str]) {
    let done = output(".ci/engine", arguments);
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {words}");
}

/// Command lines of all processes that name this directory.
fn processes_of(directory: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(directory)).collect()
}

#[test]
fn an_engine_that_was_killed_leaves_nothing_behind() {
    // Where the engine's data may lie: not every /tmp is a disk.
    let home = tempfile::Builder::new()
        .prefix("ferro.")
        .tempdir_in("/var/tmp")
        .unwrap();
    let directory = home.path().join("e");
    let directory = directory.to_str().unwrap();
    engine(&["up", directory, "2"]);
    let number = fs::read_to_string(format!("{directory}/number")).unwrap();
    let network = format!("ferro{}", number.trim());
    assert_eq!(
        output("ip", &["link", "show", &network]).status.code(),
        Some(0)
    );

    let first = fs::read_to_string(format!("{directory}/1/pid")).unwrap();
    assert!(output("kill", &["-KILL", first.trim()]).status.success());
    engine(&["down", directory]);

    assert_eq!(processes_of(directory), Vec::<String>::new());
    assert_ne!(
        output("ip", &["link", "show", &network]).status.code(),
        Some(0)
    );
    let namespaces = output("ip", &["netns", "list"]).stdout;
    let namespaces = String::from_utf8(namespaces).unwrap();
    let mut names = namespaces.lines().filter_map(|line| line.split(' ').next());
    let ours = |name: &&str| *name == network || name.starts_with(&format!("{network}-"));
    assert_eq!(names.find(ours), None);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(directory), "{mounts}");
    assert!(!Path::new(directory).exists());
}
