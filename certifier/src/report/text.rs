//! The report for people.

use std::fmt;

use super::{Line, Report, Verdict};
use crate::failure::field;
use crate::quote::cut;

/// Of each request and answer on the way; the deciding one is shown in full.
const EXCERPT: usize = 300;

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, title) = (self.verdict.word(), self.title());
        write!(out, "{word:<7} {:>6} ms  {title}", self.elapsed.as_millis())?;
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
            evidence(out, line)?;
        }
        let (passed, failed) = (self.passed().len(), self.failed().len());
        let (skipped, seconds) = (self.skipped().len(), self.elapsed.as_secs_f64());
        writeln!(
            out,
            "\n{passed} passed, {failed} failed, {skipped} skipped in {seconds:.1} s"
        )?;
        for (reason, count) in self.reasons() {
            writeln!(out, "    {count} skipped: {reason}")?;
        }
        Ok(())
    }
}

fn evidence(out: &mut fmt::Formatter<'_>, line: &Line) -> fmt::Result {
    writeln!(out, "\n{}", line.title())?;
    field(out, "rule", line.rule.says)?;
    field(out, "from", &source(line))?;
    if let Verdict::Failed(failure) = &line.verdict {
        write!(out, "{failure}")?;
    }
    // A single exchange has been shown just above.
    if line.exchanges.len() > 1 {
        field(out, "all", &story(line))?;
    }
    Ok(())
}

fn source(line: &Line) -> String {
    match line.rule.case {
        "" => line.rule.source.to_owned(),
        case => format!("{} (case {case})", line.rule.source),
    }
}

/// Every request of the check and what came, in short.
fn story(line: &Line) -> String {
    let exchanges = line.exchanges.iter().map(|exchange| {
        let (at, took) = (exchange.at.as_secs_f64(), exchange.took.as_millis());
        let (sent, received) = (one_line(&exchange.sent), one_line(&exchange.received));
        format!("{at:.3} s: {sent}\n    {took} ms: {received}")
    });
    let mut story: Vec<_> = exchanges.collect();
    if line.left_out > 0 {
        let half = story.len() / 2;
        story.insert(half, format!("… {} more …", line.left_out));
    }
    story.join("\n")
}

fn one_line(text: &str) -> String {
    cut(&text.replace('\n', " ⏎ "), EXCERPT)
}
