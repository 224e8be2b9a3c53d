//! What a replica sees of the machine, and what it does not.

use crate::support::{Provider, output, run, shell};

#[tokio::test]
async fn a_program_runs_with_the_listener_as_its_standard_input() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    println!("{}", sandbox.capabilities());
    let (said, exit) = run(&sandbox, shell("readlink /proc/self/fd/0; exit 3")).await;
    assert!(said.starts_with("socket:"), "{said}");
    assert_eq!(exit.status.code(), Some(3));
}

#[tokio::test]
async fn the_environment_is_what_the_spec_says_and_nothing_else() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let mut spec = shell("exec cat /proc/self/environ");
    spec.env = vec![
        ("A".to_owned(), "b c".to_owned()),
        ("PATH".to_owned(), "/usr/bin".to_owned()),
    ];
    let (said, _) = run(&sandbox, spec).await;
    let mut said: Vec<&str> = said.split_terminator('\0').collect();
    said.sort();
    // PWD is the shell's own.
    assert_eq!(said, ["A=b c", "PATH=/usr/bin", "PWD=/"]);
}

#[tokio::test]
async fn a_replica_sees_its_own_processes_only() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let count: usize = output(&sandbox, "ls -d /proc/[0-9]* | wc -l")
        .await
        .trim()
        .parse()
        .unwrap();
    assert!(count <= 4, "{count} processes");
}
