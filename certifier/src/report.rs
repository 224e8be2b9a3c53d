//! What a run found.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::check::Rule;
use crate::failure::Failure;

/// The result of one run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where the platform was entered.
    pub url: String,
    /// One line per check and namespace, in the order of the run.
    pub lines: Vec<Line>,
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

    /// The report for machines.
    pub fn to_json(&self) -> Value {
        json!({
            "url": self.url,
            "success": self.success(),
            "seconds": self.elapsed.as_secs_f64(),
            "passed": self.passed().len(),
            "failed": self.failed().len(),
            "skipped": self.skipped().len(),
            "checks": self.lines.iter().map(Line::to_json).collect::<Vec<_>>(),
        })
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
    fn to_json(&self) -> Value {
        let mut line = json!({
            "id": self.rule.id,
            "says": self.rule.says,
            "source": self.rule.source,
            "namespace": self.namespace,
            "result": self.verdict.word(),
            "seconds": self.elapsed.as_secs_f64(),
        });
        match &self.verdict {
            Verdict::Passed => {}
            Verdict::Skipped(reason) => line["reason"] = json!(reason),
            Verdict::Failed(failure) => {
                line["expected"] = json!(failure.expected);
                line["got"] = json!(failure.got);
                line["sent"] = json!(failure.sent);
                line["received"] = json!(failure.received);
            }
        }
        line
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

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, id) = (self.verdict.word(), self.rule.id);
        write!(out, "{word:<7} {:>6} ms  {id}", self.elapsed.as_millis())?;
        if let Some(namespace) = &self.namespace {
            write!(out, " in {namespace}")?;
        }
        match &self.verdict {
            Verdict::Skipped(reason) => write!(out, ": {reason}"),
            _ => Ok(()),
        }
    }
}

/// Every failure with its evidence, then the summary.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.failed() {
            writeln!(out, "\n{}", line.rule.id)?;
            writeln!(out, "    {:<9} {}", "rule", line.rule.says)?;
            writeln!(out, "    {:<9} {}", "from", line.rule.source)?;
            if let Verdict::Failed(failure) = &line.verdict {
                write!(out, "{failure}")?;
            }
        }
        let (passed, failed) = (self.passed().len(), self.failed().len());
        let (skipped, seconds) = (self.skipped().len(), self.elapsed.as_secs_f64());
        write!(
            out,
            "\n{passed} passed, {failed} failed, {skipped} skipped in {seconds:.1} s"
        )?;
        for (index, (reason, count)) in self.reasons().into_iter().enumerate() {
            let before = if index == 0 { " (" } else { "; " };
            write!(out, "{before}{count}: {reason}")?;
        }
        let after = if skipped == 0 { "" } else { ")" };
        writeln!(out, "{after}")
    }
}
