//! The report as JUnit XML, as continuous integration reads it: a suite per group, a case per line.

use std::fmt::Write;

use super::{Line, Report, Verdict};
use crate::rule::Group;
use crate::xml::escape;

impl Report {
    /// The report as JUnit XML.
    pub fn to_junit(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let all: Vec<_> = self.lines.iter().collect();
        let seconds = self.elapsed.as_secs_f64();
        open(&mut out, "testsuites", "certifier", &all, seconds);
        for &group in Group::ALL {
            let of_group = self.lines.iter().filter(|line| line.rule.group == group);
            suite(&mut out, group, &of_group.collect::<Vec<_>>());
        }
        out.push_str("</testsuites>\n");
        out
    }
}

fn suite(out: &mut String, group: Group, lines: &[&Line]) {
    if lines.is_empty() {
        return;
    }
    let seconds = lines.iter().map(|line| line.elapsed.as_secs_f64()).sum();
    open(out, "testsuite", group.word(), lines, seconds);
    for line in lines {
        case(out, line);
    }
    out.push_str("</testsuite>\n");
}

/// An element with the sums that readers expect.
fn open(out: &mut String, element: &str, name: &str, lines: &[&Line], seconds: f64) {
    let count = |word| {
        lines
            .iter()
            .filter(|line| line.verdict.word() == word)
            .count()
    };
    let (failures, skipped, tests) = (count("failed"), count("skipped"), lines.len());
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "<{element} name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" \
         skipped=\"{skipped}\" time=\"{seconds:.3}\">"
    );
}

fn case(out: &mut String, line: &Line) {
    let (name, group) = (escape(&line.title()), line.rule.group);
    let seconds = line.elapsed.as_secs_f64();
    let _ = write!(
        out,
        "<testcase name=\"{name}\" classname=\"certifier.{group}\" time=\"{seconds:.3}\""
    );
    let _ = match &line.verdict {
        Verdict::Passed => writeln!(out, "/>"),
        Verdict::Skipped(reason) => {
            writeln!(out, "><skipped message=\"{}\"/></testcase>", escape(reason))
        }
        Verdict::Failed(failure) => writeln!(
            out,
            "><failure type=\"failure\" message=\"{}\">{}</failure></testcase>",
            escape(&format!(
                "expected {}, got {}",
                failure.expected, failure.got
            )),
            escape(&format!(
                "{}\nFrom: {}.\n\n{failure}",
                line.rule.says, line.rule.source
            )),
        ),
    };
}
