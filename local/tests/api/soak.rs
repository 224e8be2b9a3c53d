//! Long runs: what they leave behind. Short here; as long as written with `SOAK=1`, which `.ci/soak` sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use reqwest::{Body, Method, StatusCode};

use crate::processes::below;
use crate::support::{Local, until};

pub(crate) const CALLERS: u64 = 16;
const PIECE: usize = 64 * 1024;
/// What the program may hold more after all this than before, in kilobytes: the logs of five functions fill up (5,000 lines
/// each, 12 MB were measured after 50,000 calls), and nothing else grows.
const GROWTH_KB: u64 = 18 * 1024;

/// A size as written, or scaled down where the long run was not asked for.
pub(crate) fn long_or(long: u64, short: u64) -> u64 {
    if std::env::var_os("SOAK").is_some() {
        long
    } else {
        short
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_and_changes_leave_nothing_behind() {
    let local = Arc::new(Local::start().await);
    const FUNCTIONS: [&str; 5] = ["f0", "f1", "f2", "f3", "f4"];
    for name in FUNCTIONS {
        local.deploy(name, "cat").await;
        local.available(name, 1).await;
    }
    calls(&local, &FUNCTIONS, 200).await;
    let before = Held::by(&local);

    let rounds = 5;
    let each = long_or(50_000, 2_000) / rounds;
    for _ in 0..rounds {
        for name in FUNCTIONS {
            local.scale(name, 2).await;
        }
        calls(&local, &FUNCTIONS, each).await;
        for name in FUNCTIONS {
            local.scale(name, 1).await;
        }
    }

    until("everything to be as before", async || {
        let now = Held::by(&local);
        now.processes == before.processes && now.descriptors <= before.descriptors + CALLERS
    })
    .await;
    let after = Held::by(&local);
    assert!(
        after.resident_kb <= before.resident_kb + GROWTH_KB,
        "{before:?} became {after:?}"
    );
    eprintln!("{} calls: {before:?} became {after:?}", each * rounds);
}

/// So many calls in all, all answered with what was sent.
async fn calls(local: &Arc<Local>, functions: &'static [&'static str], count: u64) {
    let number = Arc::new(AtomicU64::new(0));
    let caller = |_| {
        let (local, number) = (Arc::clone(local), Arc::clone(&number));
        tokio::spawn(async move {
            loop {
                let call = number.fetch_add(1, Ordering::Relaxed);
                if call >= count {
                    return;
                }
                let function = functions[usize::try_from(call).unwrap() % functions.len()];
                let body = format!("call {call}");
                assert_eq!(local.call(function, &body).await, (StatusCode::OK, body));
            }
        })
    };
    for caller in join_all((0..CALLERS).map(caller)).await {
        caller.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_goes_in_and_out_and_is_not_held() {
    let local = Local::with(&[("upstream_timeout", "0"), ("read_timeout", "0")]).await;
    local.deploy("echo", "cat").await;
    local.available("echo", 1).await;
    let pieces = long_or(1024, 128) * 1024 * 1024 / PIECE as u64;
    let piece = Bytes::from(vec![7; PIECE]);
    let body = stream::iter(0..pieces).map(move |_| Ok::<_, std::io::Error>(piece.clone()));

    let request = local.request(Method::POST, "/function/echo");
    let response = request.body(Body::wrap_stream(body)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut came = response.bytes_stream();
    let mut bytes = 0;
    while let Some(piece) = came.next().await {
        let piece = piece.unwrap();
        assert!(piece.iter().all(|byte| *byte == 7));
        bytes += piece.len() as u64;
    }
    assert_eq!(bytes, pieces * PIECE as u64);
    let peak = status(&local, "VmHWM");
    eprintln!("{} MiB: peak resident {peak} kB", bytes >> 20);
    assert!(peak < 50_000, "{peak} kB");
}

/// What the program holds.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) processes: usize,
    pub(crate) descriptors: u64,
    resident_kb: u64,
}

impl Held {
    pub(crate) fn by(local: &Local) -> Self {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", local.pid())).unwrap();
        Self {
            processes: below(local.pid()).len(),
            descriptors: descriptors.count() as u64,
            resident_kb: status(local, "VmRSS"),
        }
    }
}

/// A line of the program's /proc/PID/status, in kilobytes.
fn status(local: &Local, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", local.pid())).unwrap();
    let value = status
        .lines()
        .find_map(|text| text.strip_prefix(line))
        .unwrap();
    value
        .trim_matches(|c: char| !c.is_ascii_digit())
        .parse()
        .unwrap()
}
