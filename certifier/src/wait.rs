//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Repeats `attempt` until it holds or `limit` has passed; the last failure is the evidence.
pub(crate) async fn eventually<T, A, F>(limit: Duration, mut attempt: A) -> Outcome<T>
where
    A: FnMut() -> F,
    F: Future<Output = Outcome<T>>,
{
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut attempts = 1;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(failure) if started.elapsed() + pause > limit => {
                return Err(after(failure, attempts, started.elapsed()));
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = LONGEST_PAUSE.min(pause * 2);
        attempts += 1;
    }
}

fn after(failure: Failure, attempts: u32, elapsed: Duration) -> Failure {
    let waited = format!("{attempts} attempts in {:.1} s", elapsed.as_secs_f64());
    Failure {
        got: format!("{} (the last of {waited})", failure.got),
        ..failure
    }
}
