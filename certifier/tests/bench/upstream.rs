//! A server that does as the test says, and remembers its calls.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use certifier::bench::{Bench, Load, Measured, run};
use certifier::{Failure, Options};
use tokio::net::TcpListener;

pub(crate) const FUNCTION: &str = "echo";

/// What is known of the calls of one server, or of several that share it.
#[derive(Default)]
pub(crate) struct Seen {
    /// Who was called, and when.
    pub(crate) calls: Mutex<Vec<(&'static str, Instant)>>,
    pub(crate) in_flight: AtomicUsize,
    pub(crate) most_in_flight: AtomicUsize,
}

impl Seen {
    pub(crate) fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

/// Serves until the test ends. `answer` gets the number of the call, from 0; its URL.
pub(crate) async fn upstream<F>(
    name: &'static str,
    seen: &Arc<Seen>,
    answer: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
) -> String
where
    F: Future<Output = StatusCode> + Send,
{
    let seen = seen.clone();
    let call = async move || {
        let number = {
            let mut calls = seen.calls.lock().unwrap();
            calls.push((name, Instant::now()));
            calls.len() - 1
        };
        let now = seen.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most_in_flight.fetch_max(now, Ordering::SeqCst);
        let status = answer(number).await;
        seen.in_flight.fetch_sub(1, Ordering::SeqCst);
        status
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(call);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// A load without a warm-up; nothing in these tests takes as long as its time limit.
pub(crate) fn load(rate: f64, seconds: f64) -> Load {
    Load {
        rate,
        duration: Duration::from_secs_f64(seconds),
        warm_up: Duration::ZERO,
        ..Load::default()
    }
}

pub(crate) async fn measure(urls: &[&str], load: Load) -> Result<Measured, Failure> {
    let mut urls = urls.iter().map(|url| Options::gateway(*url));
    let bench = Bench {
        first: urls.next().unwrap(),
        second: urls.next(),
        function: Some(FUNCTION.to_owned()),
        load,
    };
    run(bench, |_| {}, std::future::pending()).await
}
