//! Upstreams that are gone without a word, as when their machine is lost. Needs root: each test has a network of its own.

use std::process::Command;
use std::time::{Duration, Instant};

use faas_http::forward::Failure;
use nix::sched::{CloneFlags, unshare};

use crate::support::{Hop, Limits, Played, Wire};

const POST: &str =
    "POST / HTTP/1.1\r\nHost: f\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// The silence of 4 s, the second between two looks, and what a busy machine needs.
const NOTICED: Duration = Duration::from_secs(8);

/// Runs a test in a network of its own.
fn apart(test: impl AsyncFnOnce() + Send + 'static) {
    let apart = std::thread::spawn(move || {
        // Of this thread only, and of what it starts.
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        run("ip", &["link", "set", "lo", "up"]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(test());
    });
    if let Err(panic) = apart.join() {
        std::panic::resume_unwind(panic);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let ended = Command::new(program).args(arguments).output().unwrap();
    assert!(ended.status.success(), "{program}: {ended:?}");
}

/// Nothing comes from there any more, and nothing gets there.
fn lose(upstream: &Played) {
    let port = upstream.address.port().to_string();
    for side in ["--sport", "--dport"] {
        run(
            "iptables",
            &["-A", "INPUT", "-p", "tcp", side, &port, "-j", "DROP"],
        );
    }
}

/// A caller whose call the upstream has read, and the upstream's side of it.
async fn in_flight(hop: &Hop, upstream: &Played) -> (Wire, Wire) {
    let caller = hop.call(POST).await;
    let (mut replica, _) = upstream.request().await;
    replica.text(5).await;
    (caller, replica)
}

#[test]
fn a_call_that_an_upstream_took_along_ends_within_the_silence() {
    apart(async || {
        let upstream = Played::start().await;
        let mut hop = Hop::before(&upstream).await;
        let (mut caller, _replica) = in_flight(&hop, &upstream).await;
        lose(&upstream);
        let since = Instant::now();
        let answer = caller.rest().await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        assert!(matches!(hop.failure().await, Failure::Broken { .. }));
        assert!(since.elapsed() < NOTICED, "{:?}", since.elapsed());
    });
}

#[test]
fn an_answer_that_an_upstream_took_along_is_cut_within_the_silence() {
    apart(async || {
        let upstream = Played::start().await;
        let hop = Hop::before(&upstream).await;
        let (mut caller, mut replica) = in_flight(&hop, &upstream).await;
        replica
            .send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
            .await;
        caller.until("hello").await;
        lose(&upstream);
        let since = Instant::now();
        caller.closed().await;
        assert!(since.elapsed() < NOTICED, "{:?}", since.elapsed());
        assert_eq!(hop.in_flight(), 0);
    });
}

#[test]
fn after_that_calls_go_elsewhere_at_once() {
    apart(async || {
        let (lost, other) = (Played::start().await, Played::start().await);
        let mut hop = Hop::start(&[lost.address, other.address], Limits::default()).await;
        let (mut caller, _replica) = loop {
            let mut caller = hop.call(POST).await;
            tokio::select! {
                (mut replica, _) = lost.request() => {
                    replica.text(5).await;
                    break (caller, replica);
                }
                (mut replica, _) = other.request() => replica.send(OK).await,
            }
            caller.rest().await;
        };
        lose(&lost);
        caller.rest().await;
        assert!(matches!(hop.failure().await, Failure::Broken { .. }));
        // Well within the time that it is passed over for. Whoever tried it would wait for a second.
        let since = Instant::now();
        for _ in 0..20 {
            let mut caller = hop.call(POST).await;
            let (mut replica, _) = other.request().await;
            replica.text(5).await;
            replica
                .send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
                .await;
            assert!(caller.rest().await.ends_with("ok"));
        }
        assert!(
            since.elapsed() < Duration::from_secs(1),
            "{:?}",
            since.elapsed()
        );
    });
}

#[test]
fn an_upstream_that_only_takes_its_time_is_waited_for() {
    apart(async || {
        let upstream = Played::start().await;
        let hop = Hop::before(&upstream).await;
        let (mut caller, mut replica) = in_flight(&hop, &upstream).await;
        // Its system answers for it meanwhile.
        tokio::time::sleep(Duration::from_secs(8)).await;
        replica.send(OK).await;
        assert!(caller.rest().await.ends_with("ok"));
    });
}
