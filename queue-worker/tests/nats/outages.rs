//! What everything depends on is away for a while, and comes back: NATS, its disk, the gateway. Short here; as long as
//! written with `SOAK=1`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::StatusCode;
use tokio::net::TcpSocket;

use crate::server::Server;
use crate::small::Small;
use crate::stack::Stack;
use crate::{long_or, until};

/// What a program may hold more at the end of a long outage than at its beginning.
const GROWTH_KB: u64 = 12 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_may_be_away_for_long_and_nothing_piles_up_meanwhile() {
    const AT_ONCE: usize = 50;
    let mut stack = Stack::start("5s").await;
    let mut accepted = stack.all_accepted("f", AT_ONCE, &[]).await;
    stack.settled().await;
    stack.nats.kill();
    let away = Instant::now();
    let mut resident = Vec::new();
    // A round takes ten seconds.
    for _ in 0..long_or(60, 3) {
        let refused = (0..AT_ONCE).map(|_| async {
            let posted = Instant::now();
            let answer = stack.answer("f", &[], vec![7; 100_000]).await.unwrap();
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.headers().contains_key("retry-after"));
            posted.elapsed()
        });
        let called = async {
            let (status, _) = stack.get("/function/f").await;
            assert_eq!(status, StatusCode::OK);
        };
        let (took, ()) = tokio::join!(join_all(refused), called);
        let longest = took.iter().max().unwrap();
        assert!(*longest < Duration::from_secs(12), "{longest:?}");
        let worker = stack.worker.as_ref().unwrap();
        resident.push([stack.gateway.resident_kb(), worker.resident_kb()]);
    }
    let away = away.elapsed();
    println!("away for {away:?}: gateway and worker held (kB) {resident:?}");
    // What bodies leave of the heap comes and goes; what is kept would be five megabytes more in each round.
    for program in 0..2 {
        let of = |round: &[u64; 2]| round[program];
        let early = resident[..2].iter().map(of).max();
        let late = resident[resident.len() - 2..].iter().map(of).min();
        assert!(late < early.map(|early| early + GROWTH_KB), "{resident:?}");
    }
    stack.nats.begin().await;
    accepted.push(stack.accepted("f", &[]).await);
    let books = stack.settled().await;
    assert_eq!(stack.functions.ran_twice(&accepted), 0);
    // What was refused was not kept to be sent later.
    assert_eq!(books["accepted"], accepted.len(), "{books}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_to_be_made_again_do_so_through_a_restart_of_nats() {
    let wait = Duration::from_secs(long_or(30, 10));
    let further = [("initial_retry_wait", format!("{}s", wait.as_secs()))];
    let further = further
        .each_ref()
        .map(|(name, text)| (*name, text.as_str()));
    let mut stack = Stack::with("60s", &further).await;
    stack.functions.plays("f", Duration::ZERO, 500);
    let calls = usize::try_from(long_or(1000, 200)).unwrap();
    let accepted = stack.all_accepted("f", calls, &[]).await;
    for id in &accepted {
        until("all to fail", async || {
            stack.status(id).await["failures"] == 1
        })
        .await;
    }
    assert_eq!(stack.functions.runs().len(), calls);
    stack.functions.plays("f", Duration::ZERO, 200);
    stack.nats.stop();
    stack.nats.begin().await;
    stack.settled().await;
    let mut runs: HashMap<String, Vec<_>> = HashMap::new();
    for run in stack.functions.runs() {
        runs.entry(run.id).or_default().push((run.at, run.retry));
    }
    for id in &accepted {
        let [first, second] = &runs[id][..] else {
            panic!("{id} ran {} times", runs[id].len());
        };
        assert_eq!((first.1.as_str(), second.1.as_str()), ("0", "1"));
        let waited = second.0 - first.0;
        let difference = waited.abs_diff(wait);
        assert!(difference < Duration::from_secs(2), "{waited:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_away_costs_no_call_a_try_and_is_not_run_down() {
    let away = Duration::from_secs(long_or(60, 4));
    let mut stack = Stack::with("60s", &[("max_retry_attempts", "0")]).await;
    let first = stack.accepted("f", &[]).await;
    stack.stands(&first, "succeeded").await;
    let worker = stack.worker.as_ref().unwrap();
    worker.sleep();
    let calls = usize::try_from(long_or(1000, 200)).unwrap();
    let accepted = stack.all_accepted("f", calls, &[]).await;
    stack.gateway.kill();
    worker.wake();
    until("the worker to find out", async || {
        let (_, page) = stack.worker_page("/metrics").await.unwrap();
        // What is under way would find somebody who takes it and says nothing.
        unreached(&page) >= 5.0 && inflight(&page) == 0.0
    })
    .await;
    let tried = knocks(&stack, away).await;
    assert!(tried < away.as_secs() * 5, "{tried} times in {away:?}");
    assert!(tried > 0);
    assert_eq!(stack.functions.runs().len(), 1);
    stack.begin_gateway();
    stack.gateway_answers().await;
    let books = stack.settled().await;
    assert_eq!(books["succeeded"], calls + 1, "{books}");
    assert_eq!(stack.functions.ran_twice(&accepted), 0);
    assert!(stack.functions.runs().iter().all(|run| run.retry == "0"));
}

/// Attempts that did not reach the gateway, as a page of metrics tells them.
fn unreached(page: &str) -> f64 {
    sum(page, "queue_worker_retries_total{code=\"unreachable\"")
}

fn inflight(page: &str) -> f64 {
    sum(page, "queue_worker_function_invocation_inflight{")
}

fn sum(page: &str, series: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(series));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

/// How often somebody connects to where the gateway was.
async fn knocks(stack: &Stack, time: Duration) -> u64 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(stack.public.0).unwrap();
    let listener = socket.listen(64).unwrap();
    let mut count = 0;
    let counting = async {
        loop {
            drop(listener.accept().await.unwrap());
            count += 1;
        }
    };
    // It never ends by itself.
    let _ = tokio::time::timeout(time, counting).await;
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_nats_refuses_calls_and_loses_none() {
    let disk = Small::mount("64m");
    let mut nats = Server::absent_in(disk.path());
    nats.begin().await;
    let mut stack = Stack::idle(nats, "5s", &[]).await;
    let mut accepted = stack.all_accepted("f", 50, &[]).await;
    let filler = disk.path().join("filler");
    fill(&filler);
    let refused = loop {
        let answer = stack.answer("f", &[], vec![7; 100_000]).await.unwrap();
        match answer.status() {
            StatusCode::ACCEPTED => {
                let id = &answer.headers()["x-invocation-id"];
                accepted.push(id.to_str().unwrap().to_owned());
            }
            status => break status,
        }
        assert!(accepted.len() < 1000, "the disk does not fill up");
    };
    println!("{} accepted before the disk was full", accepted.len());
    assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE);
    let (status, _) = stack.get("/function/f").await;
    assert_eq!(status, StatusCode::OK);

    std::fs::remove_file(&filler).unwrap();
    // A server whose disk was full stores nothing until it is started again, and 2.9 does not heed SIGTERM any more.
    stack.nats.kill();
    stack.nats.begin().await;
    accepted.push(stack.accepted("f", &[]).await);
    stack.begin_worker();
    let books = stack.settled().await;
    stack.functions.ran_twice(&accepted);
    assert_eq!(books["dead"], 0, "{books}");
}

/// Takes all the room that is left.
fn fill(path: &std::path::Path) {
    let mut file = std::fs::File::create(path).unwrap();
    let block = vec![0; 64 * 1024];
    while std::io::Write::write_all(&mut file, &block).is_ok() {}
}
