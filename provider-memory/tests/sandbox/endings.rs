//! How replicas end, and that nothing of them is left.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

use faas_provider_memory::sandbox::{Allowed, Sandbox};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;

use crate::limits::cgroups;
use crate::stand_in::StandIn;
use crate::support::{DEADLINE, Provider, output, shell, start};

/// A program that says when it is ready, notes a SIGTERM, and has a child that must not get one.
const PARENT: &str = "trap 'echo terminated; exit 7' TERM; \
    (trap 'echo child terminated' TERM; while :; do sleep 600 & wait; done) & \
    echo ready; while :; do sleep 600 & wait; done";

/// Everything a program can do not to be found: a session of its own, a forgotten parent, no ear for
/// signals. The name is what it is searched by.
pub(crate) fn hiding(name: &str) -> String {
    format!(
        "trap '' TERM INT HUP; \
         setsid sh -c 'trap \"\" TERM INT HUP; (sh -c \"while :; do sleep 600; done\" {name}) &' & \
         wait; echo ready; while :; do sleep 600; done"
    )
}

/// Processes whose command line has a word in it.
pub(crate) fn processes_named(name: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let named = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0)
            .any(|word| word == name.as_bytes())
    };
    pids.filter(named).collect()
}

/// Waits until a condition holds, as long as `limit`; how long it took.
pub(crate) fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::yield_now();
    }
    started.elapsed()
}

async fn ready(sandbox: &Sandbox, script: &str) -> faas_provider_memory::sandbox::Replica {
    let mut replica = start(sandbox, shell(script)).await;
    let mut line = [0; 6];
    let mut stdout = replica.take_stdout().unwrap();
    let read = tokio::time::timeout(DEADLINE, stdout.read_exact(&mut line)).await;
    read.expect("the program was not ready").unwrap();
    // Nobody reads on; the programs here have nothing more to say.
    replica
}

fn rooms() -> [(&'static str, Allowed); 2] {
    [
        ("with namespaces", Allowed::default()),
        ("plain", Allowed::nothing()),
    ]
}

async fn sandbox_with(allowed: Allowed) -> (Provider, Sandbox) {
    let mut provider = Provider::new();
    provider.config.allowed = allowed;
    let sandbox = provider.detect().await;
    (provider, sandbox)
}

#[tokio::test]
async fn terminate_reaches_the_program_and_not_its_children() {
    for (room, allowed) in rooms() {
        let (_provider, sandbox) = sandbox_with(allowed).await;
        let mut replica = start(&sandbox, shell(PARENT)).await;
        let mut stdout = replica.take_stdout().unwrap();
        let mut said = [0; 6];
        stdout.read_exact(&mut said).await.unwrap();
        replica.terminate();
        let exit = tokio::time::timeout(DEADLINE, replica.wait())
            .await
            .unwrap();
        assert_eq!(exit.status.code(), Some(7), "{room}");
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "terminated\n", "{room}");
    }
}

#[tokio::test]
async fn kill_and_drop_leave_no_process() {
    for (room, allowed) in rooms() {
        let (_provider, sandbox) = sandbox_with(allowed).await;
        for drop_it in [false, true] {
            let name = format!("hidden-{:x}", fastrand::u64(..));
            let replica = ready(&sandbox, &hiding(&name)).await;
            until(&format!("{room}: the hidden one starts"), DEADLINE, || {
                !processes_named(&name).is_empty()
            });
            if drop_it {
                drop(replica);
            } else {
                replica.kill();
                let exit = tokio::time::timeout(DEADLINE, replica.wait())
                    .await
                    .unwrap();
                assert_eq!(
                    exit.status
                        .code()
                        .or(exit.status.signal())
                        .map(|code| code & 127),
                    Some(9)
                );
            }
            until(
                &format!("{room}: all are gone"),
                Duration::from_secs(1),
                || processes_named(&name).is_empty(),
            );
        }
    }
}

#[tokio::test]
async fn a_program_that_ends_takes_its_children_with_it() {
    for (room, allowed) in rooms() {
        let (_provider, sandbox) = sandbox_with(allowed).await;
        let name = format!("hidden-{:x}", fastrand::u64(..));
        let script = hiding(&name);
        let (start, _) = script.rsplit_once("echo ready").unwrap();
        let script = format!("{start} echo ready >&2; exit 5");
        let (_, exit) = crate::support::run(&sandbox, shell(&script)).await;
        assert_eq!(exit.status.code(), Some(5), "{room}");
        until(room, Duration::from_secs(1), || {
            processes_named(&name).is_empty()
        });
    }
}

#[test]
fn a_killed_provider_leaves_no_process() {
    for role in ["with-namespaces", "plain", "plain-without-cgroups"] {
        let name = format!("hidden-{:x}", fastrand::u64(..));
        let mut provider = StandIn::start(role, &name);
        provider.ready();
        until("the hidden one starts", DEADLINE, || {
            !processes_named(&name).is_empty()
        });
        let below = provider.descendants();
        provider.kill();
        let took = until(role, Duration::from_secs(1), || {
            processes_named(&name).is_empty() && !below.iter().any(|pid| exists(*pid))
        });
        println!("{role}: gone after {took:?}");
    }
}

/// Without namespaces and without cgroups this cannot be promised: who hides well is found by nobody but
/// the sandbox.
#[test]
fn a_killed_sandbox_leaves_no_process_either() {
    for role in ["with-namespaces", "plain"] {
        let name = format!("hidden-{:x}", fastrand::u64(..));
        let mut provider = StandIn::start(role, &name);
        let sandbox = Pid::from_raw(provider.ready().cast_signed());
        until("the hidden one starts", DEADLINE, || {
            !processes_named(&name).is_empty()
        });
        kill(sandbox, Signal::SIGKILL).unwrap();
        until(role, Duration::from_secs(1), || {
            processes_named(&name).is_empty()
        });
        // Its group goes last: whatever does not carry the name is gone as well.
        let group = format!("/ferro-{}-", provider.pid());
        until(role, Duration::from_secs(1), || {
            !cgroups().any(|path| path.contains(&group))
        });
    }
}

fn exists(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie holds nothing but its number, until whoever inherited it looks.
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn orphans_are_reaped() {
    for (room, allowed) in rooms() {
        let (_provider, sandbox) = sandbox_with(allowed).await;
        // Twenty orphans die; the script ends when none of its session is left, dead or alive, but itself.
        let script = "for i in $(seq 20); do (sh -c 'exit 0' &) ; done; tries=0; \
            while grep -sh ') Z ' /proc/[0-9]*/stat | grep -q \" $(cut -d' ' -f6 /proc/self/stat) \"; do \
              tries=$((tries+1)); [ $tries -gt 200 ] && { echo zombies; exit 1; }; done; echo none";
        assert_eq!(output(&sandbox, script).await, "none\n", "{room}");
    }
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_is_still_killed() {
    let (_provider, sandbox) = sandbox_with(Allowed::default()).await;
    let replica = ready(
        &sandbox,
        "trap '' TERM; echo ready; while :; do sleep 600; done",
    )
    .await;
    replica.terminate();
    replica.kill();
    let exit = tokio::time::timeout(DEADLINE, replica.wait())
        .await
        .unwrap();
    assert!(!exit.status.success());
    assert!(!Path::new(&format!("/proc/{}", replica.pid())).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_given_up_leaves_no_process() {
    let (_provider, sandbox) = sandbox_with(Allowed::default()).await;
    let name = format!("hidden-{:x}", fastrand::u64(..));
    for micros in (0..8000).step_by(400) {
        let mut spec = shell(&hiding(&name));
        spec.memory_limit = Some(200 << 20);
        let start = sandbox.start(spec, crate::support::listener());
        let _ = tokio::time::timeout(Duration::from_micros(micros), start).await;
    }
    until("all are gone", Duration::from_secs(1), || {
        processes_named(&name).is_empty()
    });
}

#[tokio::test]
async fn a_program_that_never_stops_forking_is_stopped() {
    for (room, allowed) in rooms() {
        let (_provider, sandbox) = sandbox_with(allowed).await;
        let name = format!("hidden-{:x}", fastrand::u64(..));
        let storm = format!("(while :; do (sh -c 'sleep 0.01' {name} &); done) &");
        let replica = ready(&sandbox, &format!("{storm} {storm} echo ready; wait")).await;
        until(room, DEADLINE, || processes_named(&name).len() > 3);
        replica.kill();
        let ended = tokio::time::timeout(DEADLINE, replica.wait()).await;
        ended.expect("the storm outlived its sandbox");
        assert_eq!(processes_named(&name).len(), 0, "{room}");
    }
}

/// The provider starts replicas from tasks that move between threads.
#[test]
fn starting_and_waiting_can_move_between_threads() {
    fn movable(_: impl Send) {}
    let _unused = |sandbox: &Sandbox, replica: &faas_provider_memory::sandbox::Replica| {
        movable(sandbox.start(shell("true"), crate::support::listener()));
        movable(replica.wait());
    };
}
