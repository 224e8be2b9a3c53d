//! Memory and CPU: what is asked for is what there is.

use crate::stand_in::StandIn;
use crate::support::{Provider, run, shell};

/// Python that takes 100 MB and then says so.
const GREEDY: &str = "exec python3 -c 'a = bytearray(100 << 20); print(len(a))'";

fn greedy() -> faas_provider_memory::sandbox::ReplicaSpec {
    let mut spec = shell(GREEDY);
    spec.env = vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())];
    spec.memory_limit = Some(20 << 20);
    spec
}

#[tokio::test]
async fn a_program_over_its_memory_limit_is_killed_and_it_is_told() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let (said, exit) = run(&sandbox, greedy()).await;
    assert!(exit.oom_killed && !exit.status.success(), "{exit:?} {said}");
    assert_eq!(said, "");
}

#[tokio::test]
async fn files_in_tmp_are_within_the_memory_limit() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let mut spec = shell("dd if=/dev/zero of=/tmp/a bs=1M count=100 2>&1; stat -c %s /tmp/a");
    spec.memory_limit = Some(20 << 20);
    let (said, _) = run(&sandbox, spec).await;
    assert!(!said.contains("104857600"), "{said}");
}

#[tokio::test]
async fn a_function_killed_for_memory_is_told_while_its_watchdog_lives_on() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let mut spec = greedy();
    // The shell stands for a watchdog, python for its function.
    spec.argv[1] = format!("({GREEDY}); exec sleep 600");
    let replica = crate::support::start(&sandbox, spec).await;
    let mut kills = replica.oom_kills();
    let told = tokio::time::timeout(
        crate::support::DEADLINE,
        kills.wait_for(|&kills| kills == 1),
    );
    told.await.expect("no kill was told").unwrap();
    assert!(crate::support::alive(replica.pid()));
}

#[tokio::test]
async fn without_cgroups_the_provider_adds_up_and_kills() {
    let mut provider = Provider::new();
    provider.config.allowed.cgroups = false;
    let sandbox = provider.detect().await;
    let mut spec = greedy();
    // Two processes, each within the limit, together over it; and both would stay for ever.
    let half = "python3 -c 'a = bytearray(15 << 20); import time; time.sleep(600)'";
    spec.argv[1] = format!("{half} & {half}");
    let (_, exit) = run(&sandbox, spec).await;
    assert!(exit.oom_killed, "{exit:?}");
}

#[tokio::test]
async fn a_cpu_limit_limits() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let mut spec = shell("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; times");
    spec.cpu_limit_millis = Some(200);
    let started = std::time::Instant::now();
    let (said, _) = run(&sandbox, spec).await;
    let worked = seconds(said.split_whitespace().next().unwrap());
    // A fifth of a CPU takes five times as long; three leaves room for the kernel's own slices.
    let took = started.elapsed().as_secs_f64();
    assert!(took > 3.0 * worked, "{worked} s of work in {took} s");
}

/// `0m0.25s`, as the shell prints it.
fn seconds(text: &str) -> f64 {
    let (minutes, seconds) = text.trim_end_matches('s').split_once('m').unwrap();
    minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
}

#[tokio::test]
async fn cgroups_are_gone_when_their_replica_is() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let mut spec = shell("exit 0");
    spec.memory_limit = Some(64 << 20);
    spec.cpu_limit_millis = Some(500);
    let name = format!("ferro-{}-{}", std::process::id(), spec.id);
    let mut running = spec.clone();
    running.id += "-running";
    running.argv[1] = "read wait; exec sleep 600".to_owned();
    let _running = crate::support::start(&sandbox, running).await;
    assert!(cgroups().any(|path| path.contains(&format!("{name}-running"))));
    run(&sandbox, spec).await;
    assert!(!cgroups().any(|path| path.ends_with(&name)));
}

#[tokio::test]
async fn cgroups_of_a_killed_provider_are_removed_by_the_next() {
    let name = format!("hidden-{:x}", fastrand::u64(..));
    let mut killed = StandIn::start("with-namespaces", &name);
    killed.ready();
    let group = format!("/ferro-{}-", killed.pid());
    assert!(cgroups().any(|path| path.contains(&group)));
    killed.kill();
    let started = std::time::Instant::now();
    while cgroups().any(|path| path.contains(&group)) {
        // The first may come while the dead are still leaving the group.
        Provider::new().detect().await;
        assert!(started.elapsed() < crate::support::DEADLINE);
    }
}

#[tokio::test]
async fn a_limit_that_not_even_the_sandbox_fits_in_is_told() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let mut spec = shell("true");
    spec.memory_limit = Some(64 << 10);
    let refused = sandbox.start(spec, crate::support::listener()).await;
    let told = refused.unwrap_err().to_string();
    assert_eq!(told, "the memory limit is too small to start a program");
}

/// All control groups of the machine.
pub(crate) fn cgroups() -> impl Iterator<Item = String> {
    let found = std::process::Command::new("find")
        .args(["/sys/fs/cgroup", "-type", "d", "-name", "ferro-*"])
        .output()
        .unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    text.lines()
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}
