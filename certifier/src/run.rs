//! One run: reach the platform, check, clean up, whatever happens in between.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::check::Rule;
use crate::checks;
use crate::clean_up::clean_up;
use crate::failure::{Failure, Outcome};
use crate::options::Options;
use crate::plan::{CLEAN_UP, Planned, REACH, SELECTION, plan};
use crate::platform::Platform;
use crate::report::{Line, Report, Verdict};
use crate::target::Target;

/// Runs every check that `options` select and removes what they made.
pub async fn run(options: Options) -> Report {
    run_until(options, |_| {}, std::future::pending()).await
}

/// The same, telling `observe` each line as it comes. When `stop` completes the check at work is
/// given up and fails, the rest is skipped, and what was made is removed all the same.
pub async fn run_until(
    options: Options,
    observe: impl FnMut(&Line) + Send,
    stop: impl Future<Output = ()> + Send,
) -> Report {
    let mut progress = Progress {
        lines: Vec::new(),
        started: Instant::now(),
        observe,
    };
    let url = options.entry.url().to_owned();
    let checks = checks::all();
    match plan(&checks, &options) {
        Ok(planned) => carry_out(options, planned, &mut progress, pin!(stop)).await,
        Err(failure) => progress.add(SELECTION, None, Verdict::Failed(failure), Duration::ZERO),
    }
    Report {
        url,
        lines: progress.lines,
        elapsed: progress.started.elapsed(),
    }
}

async fn carry_out<O: FnMut(&Line)>(
    options: Options,
    planned: Vec<Planned<'_>>,
    progress: &mut Progress<O>,
    mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
) {
    let started = Instant::now();
    let platform = match reach(options).await {
        Ok(platform) => platform,
        Err(failure) => {
            progress.add(REACH, None, Verdict::Failed(failure), started.elapsed());
            return progress.skip(planned, "there is nothing to check");
        }
    };
    progress.add(REACH, None, Verdict::Passed, started.elapsed());

    let mut planned = planned.into_iter();
    while let Some(next) = planned.next() {
        let started = Instant::now();
        let target = Target::new(platform.clone(), next.namespace.clone());
        let verdict = match &next.skipped {
            Some(reason) => Verdict::Skipped(reason.clone()),
            None => tokio::select! {
                outcome = next.check.run(target) => verdict(outcome),
                () = stop.as_mut() => {
                    let failure = Failure::new("time to finish", "the run was interrupted");
                    progress.of(&next, Verdict::Failed(failure), started.elapsed());
                    progress.skip(planned.collect(), "the run was interrupted");
                    break;
                }
            },
        };
        progress.of(&next, verdict, started.elapsed());
    }

    let started = Instant::now();
    let outcome = clean_up(&platform).await;
    progress.add(CLEAN_UP, None, verdict(outcome), started.elapsed());
}

async fn reach(options: Options) -> Outcome<Arc<Platform>> {
    let platform = Platform::new(options)?;
    platform.reach().await?;
    Ok(Arc::new(platform))
}

fn verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Ok(()) => Verdict::Passed,
        Err(failure) => Verdict::Failed(failure),
    }
}

/// The lines so far, and whoever wants to see them come.
struct Progress<O> {
    lines: Vec<Line>,
    started: Instant,
    observe: O,
}

impl<O: FnMut(&Line)> Progress<O> {
    fn add(&mut self, rule: Rule, namespace: Option<String>, verdict: Verdict, elapsed: Duration) {
        let line = Line {
            rule,
            namespace,
            verdict,
            elapsed,
        };
        (self.observe)(&line);
        self.lines.push(line);
    }

    fn of(&mut self, planned: &Planned<'_>, verdict: Verdict, elapsed: Duration) {
        let namespace = Some(planned.namespace.clone());
        self.add(planned.check.rule, namespace, verdict, elapsed);
    }

    /// Skips the rest without a word for each: they all have one reason, and that has been said.
    fn skip(&mut self, planned: Vec<Planned<'_>>, reason: &str) {
        self.lines.extend(planned.into_iter().map(|planned| Line {
            rule: planned.check.rule,
            namespace: Some(planned.namespace),
            verdict: Verdict::Skipped(reason.to_owned()),
            elapsed: Duration::ZERO,
        }));
    }
}
