//! Targets of callbacks that are away, or that hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::functions::Functions;
use crate::stack::{Port, Stack};
use crate::{long_or, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_away_gets_what_it_missed_and_no_other_waits_for_it() {
    let away = Duration::from_secs(long_or(300, 8));
    let further = [(
        "callback_retry_waits",
        "1s,2s,4s,8s,16s,32s,64s,64s,64s,64s",
    )];
    let stack = Stack::with("60s", &further).await;
    let target = Port::reserved();
    let missing = format!("http://{}/callback", target.0);
    let there = stack.functions.url("/callback");
    let began = Instant::now();
    let mut calls = [Vec::new(), Vec::new()];
    while began.elapsed() < away {
        for (url, calls) in [&missing, &there].into_iter().zip(&mut calls) {
            let id = stack.accepted("f", &[("x-callback-url", url)]).await;
            calls.push((id, Instant::now()));
        }
        stack.wait(Duration::from_millis(50)).await;
    }
    let [missed, others] = calls;
    until("the other target to be called back", async || {
        stack.functions.callbacks().len() == others.len()
    })
    .await;
    let times = stack.functions.called_back_at();
    let mut took: Vec<_> = others.iter().map(|(id, at)| times[id] - *at).collect();
    took.sort();
    let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!(
        "{} callbacks: {half:?} half of them, {most:?} 99 %",
        took.len()
    );
    assert!(most < Duration::from_secs(1), "{most:?}");
    stack.settled().await;

    let back = Functions::on(target.0).await;
    until("all to be called back", async || {
        back.called_back_at().len() == missed.len()
    })
    .await;
    let (_, letters) = stack.get("/system/dead-letters").await;
    assert!(!letters.contains("callback_failed"), "{letters}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_hangs_holds_up_no_call_and_no_other_target() {
    let further = [
        ("max_inflight", "2"),
        ("callback_max_inflight", "12"),
        ("callback_timeout", "10s"),
        ("callback_retry_waits", "1s,1s,1s,1s,1s"),
    ];
    let stack = Stack::with("60s", &further).await;
    let hanging = Hanging::start().await;
    let began = Instant::now();
    let held = stack
        .all_accepted("f", 40, &[("x-callback-url", &hanging.url)])
        .await;
    let there = stack.functions.url("/callback");
    let others = stack
        .all_accepted("f", 40, &[("x-callback-url", &there)])
        .await;
    stack.settled().await;
    until("the other target to be called back", async || {
        stack.functions.called_back_at().len() == others.len()
    })
    .await;
    let took = began.elapsed();
    println!(
        "{} calls and callbacks in {took:?}",
        held.len() + others.len()
    );
    assert!(took < Duration::from_secs(8), "{took:?}");
    // The first ten are given up after their time, and others are tried.
    until("others to be tried", async || hanging.count() > 10).await;
    assert!(began.elapsed() > Duration::from_secs(9));
}

/// A target that takes connections and says nothing.
struct Hanging {
    url: String,
    count: Arc<AtomicUsize>,
}

impl Hanging {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                taken.push(stream);
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { url, count }
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}
