//! Machines that give less: what is told, what is refused, what still works.

use faas_provider_memory::sandbox::{Allowed, MemoryLimit, SandboxError};

use crate::stand_in::StandIn;
use crate::support::{Provider, listener, output, shell};

#[tokio::test]
async fn what_is_absent_is_told_with_a_reason() {
    let mut provider = Provider::new();
    provider.config.allowed = Allowed::nothing();
    let sandbox = provider.detect().await;
    let told = sandbox.capabilities();
    let absent = [
        &told.pid_namespace,
        &told.mount_namespace,
        &told.network_namespace,
        &told.private_proc,
        &told.own_uid,
        &told.cpu,
        &told.read_only_root,
    ];
    assert!(
        absent.iter().all(|support| !support.reason().is_empty()),
        "{told}"
    );
    assert!(matches!(&told.memory, MemoryLimit::Polling(reason) if !reason.is_empty()));
}

#[tokio::test]
async fn without_a_mount_namespace_secrets_are_refused_by_name() {
    let mut provider = Provider::new();
    provider.config.allowed = Allowed::nothing();
    let sandbox = provider.detect().await;
    let mut spec = shell("true");
    spec.secrets = vec![("key".to_owned(), b"a".to_vec())];
    let refused = sandbox.start(spec, listener()).await.unwrap_err();
    assert!(
        matches!(
            refused,
            SandboxError::Unsupported {
                wanted: "secrets",
                ..
            }
        ),
        "{refused}"
    );
    let mut spec = shell("true");
    spec.private_network = true;
    let refused = sandbox.start(spec, listener()).await.unwrap_err();
    assert!(
        refused.to_string().contains("network namespace"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_program_runs_whatever_is_taken_away() {
    for (pid, mount, user) in [
        (true, false, false),
        (false, true, false),
        (false, false, false),
    ] {
        let mut provider = Provider::new();
        provider.config.allowed.pid_namespace = pid;
        provider.config.allowed.mount_namespace = mount;
        provider.config.allowed.user_namespace = user;
        let sandbox = provider.detect().await;
        let told = sandbox.capabilities();
        assert_eq!(
            (told.pid_namespace.is_yes(), told.mount_namespace.is_yes()),
            (pid, mount),
            "{told}"
        );
        assert_eq!(output(&sandbox, "echo $((6*7))").await, "42\n", "{told}");
    }
}

#[tokio::test]
async fn a_program_that_is_no_sandbox_is_told_and_not_waited_for() {
    let mut provider = Provider::new();
    provider.config.program = "/bin/true".into();
    let sandbox = provider.detect().await;
    assert!(!sandbox.capabilities().pid_namespace.is_yes());
    assert!(sandbox.start(shell("true"), listener()).await.is_err());
}

#[test]
fn an_ordinary_user_gets_a_room_by_a_user_namespace() {
    let provider = StandIn::as_nobody();
    let told = provider.told();
    assert!(
        told.contains("pid namespace: yes; mount namespace: yes; user namespace: used"),
        "{told}"
    );
    assert!(
        told.contains("network namespace: yes; own /proc: yes"),
        "{told}"
    );
    assert!(told.contains("read-only root: yes"), "{told}");
    assert!(
        told.contains(
            "room: 65534 NoNewPrivs:1 CapEff:0000000000000000 secret:a,unwritable,kept hello"
        ),
        "{told}"
    );
    assert!(told.contains("private network: inside"), "{told}");
}
