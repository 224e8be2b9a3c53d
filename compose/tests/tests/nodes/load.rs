//! Callers, and an account of how each call went.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use faas_compose_tests::Answer;
use reqwest::Client;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, answer};

/// From when on new calls are safe.
pub(crate) const SAFE: Duration = Duration::from_secs(5);
const CALLERS: usize = 8;
/// A caller's own patience: longer than anything here may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two calls of a caller.
const PAUSE: Duration = Duration::from_millis(20);

/// How a call went.
#[derive(Clone, Debug)]
struct Call {
    began: Instant,
    took: Duration,
    answer: Answer,
}

impl Call {
    fn failed(&self) -> bool {
        self.answer.0 != 200 || self.answer.1 != "x"
    }
}

/// Calls of one function without an end.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<Mutex<Vec<Call>>>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Callers of a function that echoes.
    pub(crate) fn start(cluster: &Cluster, name: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let http = Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
        let url = cluster.url(&format!("/function/{name}"));
        let caller = |_| {
            let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
            let (http, url) = (http.clone(), url.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let answer = answer(http.post(&url).body("x")).await;
                    let took = began.elapsed();
                    calls.lock().unwrap().push(Call {
                        began,
                        took,
                        answer,
                    });
                    tokio::time::sleep(PAUSE).await;
                }
            })
        };
        let callers = (0..CALLERS).map(caller).collect();
        Self {
            stop,
            calls,
            callers,
        }
    }

    /// Ends the calls, and prints how they went around the moment when a node was lost: those in flight then, those of the
    /// seconds in which nobody can know, and those after. One of the last that failed fails the test.
    #[allow(
        clippy::print_stdout,
        reason = "the numbers are what the test is for, too"
    )]
    pub(crate) async fn account(self, what: &str, lost: Instant) {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
        let calls = self.calls.lock().unwrap().clone();
        let part = |from: Instant, to: Instant| {
            let part = calls.iter().filter(move |call| {
                let kept = call.began >= from && call.began < to;
                kept && (from >= lost || call.began + call.took > lost)
            });
            part.cloned().collect::<Vec<_>>()
        };
        let far = Duration::from_secs(3600);
        let in_flight = part(lost - far, lost);
        let unsure = part(lost, lost + SAFE);
        let later = part(lost + SAFE, lost + far);
        let failed = |calls: &[Call]| calls.iter().filter(|call| call.failed()).count();
        let after = calls.iter().filter(|call| call.began >= lost);
        let last = after.filter(|call| call.failed()).map(|call| call.began);
        let recovered = last.max().map_or(Duration::ZERO, |last| last - lost);
        let slowest = later.iter().map(|call| call.took).max().unwrap_or_default();
        println!(
            "{what}: {} calls; in flight then: {}, failed {}; begun within {SAFE:?}: {}, failed {}, the last after {recovered:.1?}; \
             later: {}, failed {}, the slowest {slowest:.1?}",
            calls.len(),
            in_flight.len(),
            failed(&in_flight),
            unsure.len(),
            failed(&unsure),
            later.len(),
            failed(&later),
        );
        let before = calls.iter().filter(|call| call.began + call.took <= lost);
        let wrong: Vec<_> = before.chain(&later).filter(|call| call.failed()).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(later.len() > 100, "{} calls", later.len());
    }
}
