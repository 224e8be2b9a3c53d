//! Lines of a function's log out of the payloads of frames: `TIME KEY=VALUE,… TEXT`.

use std::collections::HashMap;

use bytes::Bytes;
use faas_provider::{FunctionName, LogMessage};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The detail that says which task wrote a line.
const TASK: &[u8] = b"com.docker.swarm.task.id=";
/// Longest line; a longer one is told in pieces.
const LINE_BYTES: usize = 128 * 1024;
/// Most tasks with a line that has not ended yet; beyond, the pieces are told as they are.
const MOST_OPEN: usize = 256;

/// Puts the pieces of each task's lines together: the engine cuts lines at 16 KiB.
pub(crate) struct Lines {
    name: FunctionName,
    open: HashMap<Bytes, Open>,
}

struct Open {
    began: OffsetDateTime,
    text: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(name: FunctionName) -> Self {
        Self {
            name,
            open: HashMap::new(),
        }
    }

    /// Takes one payload; gives the line that it ends, if it does. What is no line of a task is left out.
    pub(crate) fn push(&mut self, payload: &Bytes) -> Option<LogMessage> {
        let (time, rest) = part(payload)?;
        let (details, text) = part(&rest)?;
        let began = OffsetDateTime::parse(std::str::from_utf8(&time).ok()?, &Rfc3339).ok()?;
        let task = task(&details)?;
        let crowded = self.open.len() >= MOST_OPEN;
        let open = self.open.entry(task.clone()).or_insert_with(|| Open {
            began,
            text: Vec::new(),
        });
        open.text.extend_from_slice(&text);
        let ended = open.text.last() == Some(&b'\n');
        if !ended && !crowded && open.text.len() < LINE_BYTES {
            return None;
        }
        let open = self.open.remove(&task)?;
        let text = open.text.strip_suffix(b"\n").unwrap_or(&open.text);
        Some(self.message(&task, open.began, text))
    }

    /// The lines that nobody will end any more.
    pub(crate) fn rest(&mut self) -> Vec<LogMessage> {
        let open = std::mem::take(&mut self.open);
        let message = |(task, open): (Bytes, Open)| self.message(&task, open.began, &open.text);
        open.into_iter().map(message).collect()
    }

    /// Something that the provider says of a task.
    pub(crate) fn message(
        &self,
        task: &[u8],
        timestamp: OffsetDateTime,
        text: &[u8],
    ) -> LogMessage {
        LogMessage {
            name: self.name.name().to_owned(),
            namespace: self.name.namespace().to_owned(),
            instance: String::from_utf8_lossy(task).into_owned(),
            timestamp,
            text: String::from_utf8_lossy(text).into_owned(),
        }
    }
}

/// What stands before the first blank, and what after.
fn part(text: &Bytes) -> Option<(Bytes, Bytes)> {
    let end = text.iter().position(|byte| *byte == b' ')?;
    Some((text.slice(..end), text.slice(end + 1..)))
}

fn task(details: &Bytes) -> Option<Bytes> {
    let mut pairs = details.split(|byte| *byte == b',');
    let id = pairs.find_map(|pair| pair.strip_prefix(TASK))?;
    Some(details.slice_ref(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(task: &str, text: &[u8]) -> Bytes {
        let head = format!(
            "2026-11-22T06:30:58.50195Z com.docker.swarm.node.id=n,com.docker.swarm.service.id=s,com.docker.swarm.task.id={task} "
        );
        [head.as_bytes(), text].concat().into()
    }

    fn lines() -> Lines {
        Lines::new(FunctionName::new("echo", "dev"))
    }

    #[test]
    fn a_line_with_all_that_is_known_of_it() {
        let line = lines().push(&payload("t1", b"  two  words \n")).unwrap();
        assert_eq!(
            (line.name.as_str(), line.namespace.as_str()),
            ("echo", "dev")
        );
        assert_eq!(
            (line.instance.as_str(), line.text.as_str()),
            ("t1", "  two  words ")
        );
        assert_eq!(line.timestamp.unix_timestamp(), 1_795_329_058);
        assert_eq!(
            lines().push(&payload("t1", b"\xff\n")).unwrap().text,
            "\u{fffd}"
        );
        assert_eq!(lines().push(&payload("t1", b"\n")).unwrap().text, "");
    }

    #[test]
    fn pieces_of_several_tasks_are_put_together_again() {
        let mut lines = lines();
        let long = vec![b'x'; 16 * 1024];
        for _ in 0..6 {
            assert_eq!(lines.push(&payload("a", &long)), None);
        }
        assert_eq!(lines.push(&payload("b", b"short\n")).unwrap().text, "short");
        assert_eq!(
            lines.push(&payload("a", b"end\n")).unwrap().text.len(),
            6 * 16 * 1024 + 3
        );
        assert_eq!(lines.push(&payload("a", b"no end")), None);
        assert_eq!(lines.rest()[0].text, "no end");
        assert!(lines.rest().is_empty());
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let mut lines = lines();
        let piece = vec![b'x'; 16 * 1024];
        let told: Vec<_> = (0..80)
            .filter_map(|_| lines.push(&payload("a", &piece)))
            .collect();
        assert_eq!(told.len(), 10);
        assert!(told.iter().all(|line| line.text.len() == LINE_BYTES));
    }

    #[test]
    fn what_is_no_line_of_a_task_does_no_harm() {
        for text in [
            "",
            "\n",
            "short",
            "2026 x y",
            "2026-11-22T06:30:58Z a=b text\n",
            "x com.docker.swarm.task.id=t y\n",
        ] {
            assert_eq!(lines().push(&Bytes::from(text)), None, "{text:?}");
        }
    }
}
