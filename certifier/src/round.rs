//! The checks of one round: some beside each other, some alone, each on its own feet.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinError, JoinSet};

use crate::capability::Claims;
use crate::failure::{Failure, Outcome};
use crate::journal::Journal;
use crate::plan::{Planned, reason_to_skip};
use crate::platform::Platform;
use crate::report::{Line, Verdict};
use crate::run::{Event, Story};
use crate::target::Target;

const INTERRUPTED: &str = "the run was interrupted";

/// A check at work.
struct Working {
    planned: Planned,
    journal: Journal,
    started: Instant,
}

/// Tries everything once; false if `stop` came first.
pub(crate) async fn round<O: FnMut(Event<'_>) + Send>(
    platform: &Arc<Platform>,
    claims: &Claims,
    planned: &[Planned],
    story: &mut Story<O>,
    mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> bool {
    story.tell(Event::Planned(planned.len()));
    let mark = story.mark();
    let (alone, beside): (Vec<_>, Vec<_>) = planned
        .iter()
        .cloned()
        .partition(|planned| planned.check.rule.alone);
    let width = platform.options.parallel.max(1);
    let mut go_on = true;
    for (checks, width) in [(beside, width), (alone, 1)] {
        if !go_on {
            story.skip(checks, INTERRUPTED);
            continue;
        }
        let mut shift = Shift {
            platform,
            claims,
            waiting: checks.into(),
            working: HashMap::new(),
            tasks: JoinSet::new(),
        };
        go_on = shift.run(width, story, stop.as_mut()).await;
    }
    story.sort_since(mark, |line| place(line, planned));
    go_on
}

fn place(line: &Line, planned: &[Planned]) -> usize {
    let same = |planned: &Planned| {
        planned.check.rule.id == line.rule.id && line.namespace.as_ref() == Some(&planned.namespace)
    };
    planned.iter().position(same).unwrap_or(planned.len())
}

/// Checks that may run beside each other.
struct Shift<'a> {
    platform: &'a Arc<Platform>,
    claims: &'a Claims,
    waiting: VecDeque<Planned>,
    working: HashMap<Id, Working>,
    tasks: JoinSet<(Outcome, Duration)>,
}

impl Shift<'_> {
    async fn run<O: FnMut(Event<'_>) + Send>(
        &mut self,
        width: usize,
        story: &mut Story<O>,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> bool {
        loop {
            while self.working.len() < width
                && let Some(next) = self.waiting.pop_front()
            {
                self.begin(next, story);
            }
            if self.working.is_empty() {
                return true;
            }
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => self.end(ended, story),
                () = stop.as_mut() => {
                    self.give_up(story).await;
                    return false;
                }
            }
        }
    }

    fn begin<O: FnMut(Event<'_>) + Send>(&mut self, planned: Planned, story: &mut Story<O>) {
        let rule = planned.check.rule;
        if let Some(reason) = reason_to_skip(&rule, &self.platform.options, self.claims) {
            return story.add(Line::skipped(rule, Some(planned.namespace), &reason));
        }
        story.tell(Event::Started(&rule, &planned.namespace));
        let journal = Journal::begin();
        let target = Target::new(
            self.platform.clone(),
            planned.namespace.clone(),
            journal.clone(),
        );
        let check = planned.check.clone();
        let started = Instant::now();
        let task = self.tasks.spawn(async move {
            let outcome = check.run(target.clone()).await;
            let elapsed = started.elapsed();
            target.tidy().await;
            (outcome, elapsed)
        });
        let working = Working {
            planned,
            journal,
            started,
        };
        self.working.insert(task.id(), working);
    }

    fn end<O: FnMut(Event<'_>) + Send>(
        &mut self,
        ended: Result<(Id, (Outcome, Duration)), JoinError>,
        story: &mut Story<O>,
    ) {
        let (id, outcome, elapsed) = match ended {
            Ok((id, (outcome, elapsed))) => (id, outcome, Some(elapsed)),
            Err(error) => (error.id(), Err(crash(error)), None),
        };
        let Some(working) = self.working.remove(&id) else {
            return;
        };
        let elapsed = elapsed.unwrap_or_else(|| working.started.elapsed());
        let verdict = match outcome {
            Ok(()) => Verdict::Passed,
            Err(failure) => Verdict::Failed(failure),
        };
        story.add(working.line(verdict, elapsed));
    }

    /// Nothing may still be asking for functions while the clean-up removes them.
    async fn give_up<O: FnMut(Event<'_>) + Send>(&mut self, story: &mut Story<O>) {
        self.tasks.shutdown().await;
        for (_, working) in self.working.drain() {
            let failure = Failure::new("time to finish", INTERRUPTED);
            let elapsed = working.started.elapsed();
            story.add(working.line(Verdict::Failed(failure), elapsed));
        }
        story.skip(self.waiting.drain(..).collect(), INTERRUPTED);
    }
}

impl Working {
    fn line(self, verdict: Verdict, elapsed: Duration) -> Line {
        let (exchanges, left_out) = self.journal.read();
        let rule = self.planned.check.rule;
        Line {
            exchanges,
            left_out,
            ..Line::new(rule, Some(self.planned.namespace), verdict, elapsed)
        }
    }
}

/// A check that panics is a fault of the suite, and costs one line.
fn crash(error: JoinError) -> Failure {
    let words = match error.try_into_panic() {
        Ok(panic) => said(panic.as_ref()),
        Err(error) => error.to_string(),
    };
    Failure::new(
        "the check to come to an end",
        format!("it broke: {words} (a fault of the certifier; please report it)"),
    )
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no words".to_owned())
}
