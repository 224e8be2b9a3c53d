//! What is seen of a run while it goes on: a line per result, and on a terminal one line of what is at work.

use std::io::{IsTerminal, Write, stderr, stdout};

use certifier::{Event, Line};

/// No terminal worth the name is narrower.
const WIDTH: usize = 79;

/// Where results are written as they come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    /// A machine reads standard output.
    Error,
}

/// The progress of a run.
pub(crate) struct Progress {
    stream: Stream,
    /// Whether the line of what is at work is shown; only where somebody looks.
    live: bool,
    total: usize,
    done: usize,
    failed: usize,
    at_work: Vec<String>,
}

impl Progress {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            live: stderr().is_terminal(),
            total: 0,
            done: 0,
            failed: 0,
            at_work: Vec::new(),
        }
    }

    pub(crate) fn see(&mut self, event: Event<'_>) {
        self.wipe();
        match event {
            Event::Planned(more) => self.total += more,
            Event::Started(rule, namespace) => self.at_work.push(name(rule.id, namespace)),
            Event::Finished(line) => self.finish(line),
        }
        self.draw();
    }

    fn finish(&mut self, line: &Line) {
        if let Some(namespace) = &line.namespace {
            self.done += 1;
            let name = name(line.rule.id, namespace);
            self.at_work.retain(|other| *other != name);
        }
        if line.verdict.word() == "failed" {
            self.failed += 1;
        }
        // Nobody is left to tell when the terminal has gone; the clean-up must still happen.
        let _ = match self.stream {
            Stream::Output => writeln!(stdout(), "{line}"),
            Stream::Error => writeln!(stderr(), "{line}"),
        };
    }

    fn wipe(&self) {
        if self.live {
            let _ = write!(stderr(), "\r{:WIDTH$}\r", "");
        }
    }

    fn draw(&self) {
        if !self.live || self.at_work.is_empty() {
            return;
        }
        let (done, total, failed) = (self.done, self.total, self.failed);
        let now = self.at_work.join(", ");
        let line: String = format!("{done}/{total}, {failed} failed: {now}")
            .chars()
            .take(WIDTH)
            .collect();
        let _ = write!(stderr(), "{line}").and_then(|()| stderr().flush());
    }
}

fn name(id: &str, namespace: &str) -> String {
    format!("{id} in {namespace}")
}
