//! The report in the Test Anything Protocol, version 13.

use super::{Line, Report, Verdict};

impl Report {
    /// The report in the Test Anything Protocol.
    pub fn to_tap(&self) -> String {
        let mut out = format!("TAP version 13\n1..{}\n", self.lines.len());
        for (index, line) in self.lines.iter().enumerate() {
            out.push_str(&test_line(index + 1, line));
        }
        out
    }
}

fn test_line(number: usize, line: &Line) -> String {
    let title = line.title();
    match &line.verdict {
        Verdict::Passed => format!("ok {number} - {title}\n"),
        Verdict::Skipped(reason) => {
            let reason = reason.replace('\n', " ");
            format!("ok {number} - {title} # SKIP {reason}\n")
        }
        Verdict::Failed(failure) => {
            let says = format!("{}\n{failure}", line.rule.says);
            let comment = says.lines().map(|line| format!("# {line}\n"));
            format!("not ok {number} - {title}\n{}", comment.collect::<String>())
        }
    }
}
