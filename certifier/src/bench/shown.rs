//! A measurement as text and as JSON.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::measured::{Measured, Side};
use super::tally::Tally;

/// Raised when a member changes its meaning or goes; new members may come at any time.
const VERSION: u64 = 1;

/// The parts of the calls whose latencies are told, with their names.
const PARTS: [(f64, &str); 7] = [
    (0.5, "50 %"),
    (0.75, "75 %"),
    (0.9, "90 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.9999, "99.99 %"),
    (1.0, "longest"),
];

/// Characters of a cell, where no URL is longer.
const CELL: usize = 24;

/// The parts whose ratio is told turn by turn.
const COMPARED: [(f64, &str); 2] = [(0.5, "50 %"), (0.99, "99 %")];

impl Measured {
    /// The parts that so many calls can tell something of: a thousandth of a hundred calls is none.
    fn parts(&self) -> impl Iterator<Item = (f64, &'static str)> {
        let timed = self.sides.iter().map(|side| side.total().timed());
        let least = timed.min().unwrap_or_default();
        let told = move |&(part, _): &(f64, _)| part == 1.0 || (1.0 - part) * least as f64 >= 0.999;
        PARTS.into_iter().filter(told)
    }

    /// What was asked for, in a line.
    pub(super) fn asked(&self) -> String {
        let load = &self.load;
        let (rate, connections) = (load.rate, load.connections);
        let (seconds, bytes) = (load.duration.as_secs_f64(), load.body.len());
        let method = &load.method;
        format!(
            "{method} with {bytes} bytes, {rate} calls a second for {seconds} s, {connections} connections"
        )
    }

    /// The measurement for machines. README.md describes its members.
    pub fn to_json(&self) -> Value {
        let load = &self.load;
        json!({
            "version": VERSION,
            "success": self.success(),
            "interrupted": self.interrupted,
            "load": {
                "rate": load.rate,
                "seconds": load.duration.as_secs_f64(),
                "warm_up_seconds": load.warm_up.as_secs_f64(),
                "connections": load.connections,
                "timeout_seconds": load.timeout.as_secs_f64(),
                "method": load.method.as_str(),
                "path": load.path,
                "body_bytes": load.body.len(),
            },
            "load_average": {"before": self.load_average.0, "after": self.load_average.1},
            "sides": self.sides.iter().map(|side| self.side(side)).collect::<Vec<_>>(),
            "ratios": self.ratios(),
        })
    }

    fn side(&self, side: &Side) -> Value {
        let total = side.total();
        let statuses = total.statuses().iter();
        let statuses = statuses.map(|(status, count)| (status.to_string(), json!(count)));
        let faults = total.faults().iter().map(|(fault, (count, words))| {
            (
                fault.word().to_owned(),
                json!({"count": count, "first": words}),
            )
        });
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let latencies = self.parts().map(|(part, _)| {
            json!({
                "part": part,
                "seconds": seconds(total.latency(part)),
                "since_sent_seconds": seconds(total.latency_since_sent(part)),
            })
        });
        json!({
            "url": side.url,
            "function": side.function,
            "due": total.due(),
            "sent": total.sent(),
            "sent_per_second": total.sent_per_second(),
            "found_no_connection_free": total.crowded(),
            "statuses": statuses.collect::<serde_json::Map<_, _>>(),
            "errors": faults.collect::<serde_json::Map<_, _>>(),
            "latencies": latencies.collect::<Vec<_>>(),
            "schedule_late_seconds": seconds(total.schedule_late(0.99)),
        })
    }

    fn ratios(&self) -> Vec<Value> {
        let told = self.parts().filter_map(|(part, _)| {
            let ratio = self.ratio(part)?;
            let spread = self.spread(part)?;
            Some(json!({
                "part": part,
                "ratio": ratio,
                "turns": {"least": spread.least, "median": spread.median, "most": spread.most},
            }))
        });
        told.collect()
    }
}

/// A table with a column for each gateway, and one for the ratio of two.
impl fmt::Display for Measured {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.asked())?;
        if self.interrupted {
            writeln!(out, "interrupted: this is what there was until then")?;
        }
        let totals: Vec<_> = self.sides.iter().map(Side::total).collect();
        let mut table = Table::new(out, &self.sides);
        let titles: Vec<_> = self.sides.iter().map(|side| side.url.clone()).collect();
        table.row("", &titles, (titles.len() == 2).then_some("ratio"))?;
        table.counts(&totals)?;
        table.heading("latency from when the call was due (from when it was sent), ms")?;
        for (part, name) in self.parts() {
            let cells: Vec<_> = totals.iter().map(|total| latencies(total, part)).collect();
            let ratio = self.ratio(part).map(|ratio| format!("{ratio:.2}"));
            table.row(name, &cells, ratio.as_deref())?;
        }
        table.heading("how far this can be believed")?;
        self.trust(out, &totals)
    }
}

impl Measured {
    fn trust(&self, out: &mut fmt::Formatter<'_>, totals: &[Tally]) -> fmt::Result {
        for (part, name) in COMPARED {
            if let Some(spread) = self.spread(part) {
                let (least, median, most) = (spread.least, spread.median, spread.most);
                let ratio = format!("median {median:.2} ({least:.2} to {most:.2})");
                writeln!(out, "ratio at {name}, turn by turn: {ratio}")?;
            }
        }
        for (side, total) in self.sides.iter().zip(totals) {
            self.trouble(out, &side.url, total)?;
        }
        let late = totals.iter().filter_map(|total| total.schedule_late(0.99));
        if let Some(late) = late.max() {
            let late = millis(late);
            writeln!(
                out,
                "the schedule was late by {late} ms at most for 99 % of the calls"
            )?;
        }
        if let (Some(before), Some(after)) = &self.load_average {
            writeln!(out, "load average: {before} before, {after} after")?;
        }
        Ok(())
    }

    fn trouble(&self, out: &mut fmt::Formatter<'_>, url: &str, total: &Tally) -> fmt::Result {
        let (crowded, due) = (total.crowded(), total.due());
        if crowded > 0 {
            let busy = match self.load.connections {
                1 => "the one connection".to_owned(),
                connections => format!("all {connections} connections"),
            };
            writeln!(
                out,
                "{crowded} of {due} calls to {url} found {busy} busy and waited, which counts"
            )?;
        }
        for (fault, (_, words)) in total.faults() {
            writeln!(out, "the first {fault} of {url}: {words}")?;
        }
        Ok(())
    }
}

/// Rows of a name, a cell for each gateway, and perhaps a ratio.
struct Table<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    width: usize,
}

impl<'a, 'b> Table<'a, 'b> {
    fn new(out: &'a mut fmt::Formatter<'b>, sides: &[Side]) -> Self {
        let widths = sides.iter().map(|side| side.url.chars().count());
        let width = widths.max().unwrap_or_default().max(CELL);
        Self { out, width }
    }

    fn heading(&mut self, words: &str) -> fmt::Result {
        writeln!(self.out, "\n{words}")
    }

    fn row(&mut self, name: &str, cells: &[String], ratio: Option<&str>) -> fmt::Result {
        let width = self.width;
        write!(self.out, "{name:<14}")?;
        for cell in cells {
            write!(self.out, "  {cell:>width$}")?;
        }
        writeln!(self.out, "{:>9}", ratio.unwrap_or_default())
    }

    fn counts(&mut self, totals: &[Tally]) -> fmt::Result {
        let each = |tell: &dyn Fn(&Tally) -> String| totals.iter().map(tell).collect::<Vec<_>>();
        self.row("calls due", &each(&|total| total.due().to_string()), None)?;
        let rate = |total: &Tally| format!("{:.1}", total.sent_per_second());
        self.row("sent a second", &each(&rate), None)?;
        let statuses = totals.iter().flat_map(|total| total.statuses().keys());
        for status in statuses.collect::<BTreeSet<_>>() {
            let count = |total: &Tally| total.statuses().get(status).copied().unwrap_or_default();
            let cells = each(&|total| count(total).to_string());
            self.row(&format!("status {status}"), &cells, None)?;
        }
        let faults = totals.iter().flat_map(|total| total.faults().keys());
        for fault in faults.collect::<BTreeSet<_>>() {
            let count = |total: &Tally| total.faults().get(fault).map_or(0, |counted| counted.0);
            self.row(fault.word(), &each(&|total| count(total).to_string()), None)?;
        }
        Ok(())
    }
}

fn latencies(total: &Tally, part: f64) -> String {
    let shown = |time: Option<Duration>| time.map_or("-".to_owned(), millis);
    let (due, sent) = (total.latency(part), total.latency_since_sent(part));
    format!("{} ({})", shown(due), shown(sent))
}

fn millis(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1000.0)
}
