//! The report for machines. README.md describes its members.

use serde_json::{Value, json};

use super::{Line, Report, Verdict};

/// Raised when a member changes its meaning or goes; new members may come at any time.
const VERSION: u64 = 1;

impl Report {
    /// The report for machines.
    pub fn to_json(&self) -> Value {
        let claims = self.claims.iter().map(|(capability, claim)| {
            let claim = json!({"claimed": claim.claimed, "reason": claim.reason});
            (capability.word().to_owned(), claim)
        });
        json!({
            "version": VERSION,
            "url": self.url,
            "success": self.success(),
            "could_run": self.could_run(),
            "seconds": self.elapsed.as_secs_f64(),
            "passed": self.passed().len(),
            "failed": self.failed().len(),
            "skipped": self.skipped().len(),
            "capabilities": claims.collect::<serde_json::Map<_, _>>(),
            "checks": self.lines.iter().map(Line::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Line {
    fn to_json(&self) -> Value {
        let mut line = json!({
            "id": self.rule.id,
            "group": self.rule.group.word(),
            "level": self.rule.level.word(),
            "case": self.rule.case,
            "says": self.rule.says,
            "source": self.rule.source,
            "namespace": self.namespace,
            "round": self.round,
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
                line["exchanges"] = self.exchanges_to_json();
                line["exchanges_left_out"] = json!(self.left_out);
            }
        }
        line
    }

    fn exchanges_to_json(&self) -> Value {
        let exchanges = self.exchanges.iter().map(|exchange| {
            json!({
                "at_seconds": exchange.at.as_secs_f64(),
                "seconds": exchange.took.as_secs_f64(),
                "sent": exchange.sent,
                "received": exchange.received,
            })
        });
        exchanges.collect()
    }
}
