//! One run: reach the platform, check, clean up, whatever happens in between.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Instant;

use crate::clean_up::clean_up;
use crate::detect;
use crate::failure::{Failure, Outcome};
use crate::mask::Mask;
use crate::options::Options;
use crate::plan::{CLEAN_UP, Planned, REACH, SELECTION, SKIPS, plan};
use crate::platform::Platform;
use crate::report::{Line, Report, Verdict};
use crate::round::round;
use crate::rule::Rule;
use crate::skips::only_allowed;

/// What happens in a run, as it happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// So many lines will come, in each round.
    Planned(usize),
    /// This is being tried now, in this namespace.
    Started(&'a Rule, &'a str),
    /// This is the result.
    Finished(&'a Line),
}

/// Runs every check that `options` select and removes what they made.
pub async fn run(options: Options) -> Report {
    run_until(options, |_| {}, std::future::pending()).await
}

/// The same, telling `observe` each line as it comes. When `stop` completes the checks at work are
/// given up and fail, the rest is skipped, and what was made is removed all the same.
pub async fn run_until(
    options: Options,
    mut observe: impl FnMut(&Line) + Send,
    stop: impl Future<Output = ()> + Send,
) -> Report {
    let lines = |event: Event<'_>| {
        if let Event::Finished(line) = event {
            observe(line);
        }
    };
    run_watched(options, lines, stop).await
}

/// The same, telling everything.
pub async fn run_watched(
    options: Options,
    observe: impl FnMut(Event<'_>) + Send,
    stop: impl Future<Output = ()> + Send,
) -> Report {
    let mut story = Story {
        lines: Vec::new(),
        round: 1,
        mask: Mask::new(&options.credentials),
        observe,
    };
    let started = Instant::now();
    let url = options.entry.url().to_owned();
    let mut claims = Vec::new();
    match plan(&options) {
        Ok(planned) => {
            let mut stop = pin!(stop);
            for number in 1..=options.repeat.max(1) {
                story.round = number;
                let ended = one_round(&options, &planned, &mut story, stop.as_mut()).await;
                claims = ended.claims;
                if !ended.go_on {
                    break;
                }
            }
        }
        Err(failure) => story.of_the_run(SELECTION, Err(failure), Instant::now()),
    }
    if let Some(allowed) = &options.expected_skips {
        let outcome = only_allowed(&story.lines, allowed);
        story.of_the_run(SKIPS, outcome, Instant::now());
    }
    Report {
        url,
        lines: story.lines,
        claims,
        elapsed: started.elapsed(),
    }
}

/// How a round ended.
struct Ended {
    claims: Vec<(crate::Capability, crate::Claim)>,
    go_on: bool,
}

async fn one_round<O: FnMut(Event<'_>) + Send>(
    options: &Options,
    planned: &[Planned],
    story: &mut Story<O>,
    stop: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Ended {
    let started = Instant::now();
    let platform = match reach(options).await {
        Ok(platform) => platform,
        Err(failure) => {
            story.of_the_run(REACH, Err(failure), started);
            story.skip(planned.to_vec(), "there is nothing to check");
            return Ended {
                claims: Vec::new(),
                go_on: false,
            };
        }
    };
    story.of_the_run(REACH, Ok(()), started);
    let claims = platform.claims.get().cloned().unwrap_or_default();
    let go_on = round(&platform, &claims, planned, story, stop).await;

    let started = Instant::now();
    let outcome = clean_up(&platform).await;
    story.of_the_run(CLEAN_UP, outcome, started);
    Ended {
        claims: claims.all().collect(),
        go_on,
    }
}

async fn reach(options: &Options) -> Outcome<Arc<Platform>> {
    let mut platform = Platform::new(options.clone())?;
    platform.reach().await?;
    platform.take_free_prefix().await;
    let claims = detect::claims(&platform).await;
    platform.claims.get_or_init(|| claims);
    Ok(Arc::new(platform))
}

/// The lines so far, and whoever wants to see them come.
pub(crate) struct Story<O> {
    lines: Vec<Line>,
    round: u32,
    mask: Mask,
    observe: O,
}

impl<O: FnMut(Event<'_>) + Send> Story<O> {
    pub(crate) fn tell(&mut self, event: Event<'_>) {
        (self.observe)(event);
    }

    /// A line of a round, on which nothing secret stands any more.
    pub(crate) fn add(&mut self, mut line: Line) {
        line.round = self.round;
        self.mask_line(&mut line);
        self.tell(Event::Finished(&line));
        self.lines.push(line);
    }

    /// Where the lines of the present round begin; they are put in order when it is over.
    pub(crate) fn mark(&self) -> usize {
        self.lines.len()
    }

    /// Puts the lines since `mark` into the order of the plan: they came as they ended.
    pub(crate) fn sort_since(&mut self, mark: usize, order: impl Fn(&Line) -> usize) {
        self.lines[mark..].sort_by_key(order);
    }

    /// Skips the rest without a word for each: they all have one reason, and that has been said.
    pub(crate) fn skip(&mut self, planned: Vec<Planned>, reason: &str) {
        let round = self.round;
        self.lines.extend(planned.into_iter().map(|planned| Line {
            round,
            ..Line::skipped(planned.check.rule, Some(planned.namespace), reason)
        }));
    }

    fn of_the_run(&mut self, rule: Rule, outcome: Outcome, started: Instant) {
        let verdict = match outcome {
            Ok(()) => Verdict::Passed,
            Err(failure) => Verdict::Failed(failure),
        };
        self.add(Line::new(rule, None, verdict, started.elapsed()));
    }

    fn mask_line(&self, line: &mut Line) {
        let Verdict::Failed(Failure {
            expected,
            got,
            sent,
            received,
        }) = &mut line.verdict
        else {
            return line.exchanges.clear();
        };
        for text in [expected, got, sent, received] {
            *text = self.mask.apply(text);
        }
        for exchange in &mut line.exchanges {
            exchange.sent = self.mask.apply(&exchange.sent);
            exchange.received = self.mask.apply(&exchange.received);
        }
    }
}
