//! What a run found.

mod json;
mod junit;
mod tap;
mod text;

use std::time::Duration;

use crate::capability::{Capability, Claim};
use crate::failure::Failure;
use crate::journal::Exchange;
use crate::plan::{REACH, SELECTION};
use crate::rule::Rule;

/// The result of one run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where the platform was entered.
    pub url: String,
    /// One line per check, namespace and round, in the order of the suite.
    pub lines: Vec<Line>,
    /// What the platform claims to be able to do; empty if it was not reached.
    pub claims: Vec<(Capability, Claim)>,
    /// How long the run took.
    pub elapsed: Duration,
}

/// The result of one check in one namespace.
#[derive(Clone, Debug)]
pub struct Line {
    /// What had to hold.
    pub rule: Rule,
    /// Where it was tried; `None` for what belongs to the run as a whole.
    pub namespace: Option<String>,
    /// Whether it held.
    pub verdict: Verdict,
    /// How long it took.
    pub elapsed: Duration,
    /// In which round of a repeated run, from 1.
    pub round: u32,
    /// Every request that the check sent, if it failed.
    pub exchanges: Vec<Exchange>,
    /// So many more in the middle were not kept.
    pub left_out: usize,
}

/// Whether a rule held.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It held.
    Passed,
    /// It did not, and this is the evidence.
    Failed(Failure),
    /// It was not tried, for this reason.
    Skipped(String),
}

impl Report {
    /// The lines that passed.
    pub fn passed(&self) -> Vec<&Line> {
        self.with("passed")
    }

    /// The lines that failed. A platform that cannot be reached is a failure too.
    pub fn failed(&self) -> Vec<&Line> {
        self.with("failed")
    }

    /// The lines that were skipped.
    pub fn skipped(&self) -> Vec<&Line> {
        self.with("skipped")
    }

    /// Nothing failed, and something was checked beyond reaching the platform and cleaning up.
    pub fn success(&self) -> bool {
        let checked = self.passed().iter().any(|line| line.namespace.is_some());
        checked && self.failed().is_empty()
    }

    /// Whether there was a platform, and something to check.
    pub fn could_run(&self) -> bool {
        let hopeless = [REACH.id, SELECTION.id];
        let failed = self.failed();
        !failed.iter().any(|line| hopeless.contains(&line.rule.id))
    }

    fn with(&self, word: &str) -> Vec<&Line> {
        let lines = self.lines.iter();
        lines.filter(|line| line.verdict.word() == word).collect()
    }

    /// Each reason to skip, with the number of lines it concerns, in the order of the run.
    fn reasons(&self) -> Vec<(&str, usize)> {
        let mut reasons: Vec<(&str, usize)> = Vec::new();
        for line in &self.lines {
            let Verdict::Skipped(reason) = &line.verdict else {
                continue;
            };
            match reasons.iter_mut().find(|(known, _)| known == reason) {
                Some((_, count)) => *count += 1,
                None => reasons.push((reason, 1)),
            }
        }
        reasons
    }
}

impl Line {
    pub(crate) fn new(
        rule: Rule,
        namespace: Option<String>,
        verdict: Verdict,
        elapsed: Duration,
    ) -> Self {
        Self {
            rule,
            namespace,
            verdict,
            elapsed,
            round: 1,
            exchanges: Vec::new(),
            left_out: 0,
        }
    }

    pub(crate) fn skipped(rule: Rule, namespace: Option<String>, reason: &str) -> Self {
        let verdict = Verdict::Skipped(reason.to_owned());
        Self::new(rule, namespace, verdict, Duration::ZERO)
    }

    /// The id, with the namespace and the round where that matters.
    pub fn title(&self) -> String {
        let mut title = self.rule.id.to_owned();
        if let Some(namespace) = &self.namespace {
            title.push_str(&format!(" in {namespace}"));
        }
        if self.round > 1 {
            title.push_str(&format!(" (round {})", self.round));
        }
        title
    }
}

impl Verdict {
    /// `passed`, `failed` or `skipped`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
        }
    }
}
