//! Calls at a fixed rate on kept connections, all by one thread: a thread for each would take the processors from the server
//! that is measured.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::load::CONNECTIONS;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
const HEAD_END: &[u8] = b"\r\n\r\n";

/// How long answers took at a fixed rate, sorted. Each is counted from the moment when its call was due, so that a server
/// that stalls does not get out of the calls that would have come meanwhile.
pub(crate) fn latencies(port: u16, rate: f64, period: Duration) -> anyhow::Result<Vec<Duration>> {
    let gap = Duration::from_secs_f64(f64::from(CONNECTIONS) / rate);
    let began = Instant::now();
    let end = began + period;
    let mut times = Vec::new();
    let mut callers = (0..CONNECTIONS)
        .map(|number| {
            Caller::connect(
                port,
                began + gap.mul_f64(f64::from(number) / f64::from(CONNECTIONS)),
            )
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    loop {
        let now = Instant::now();
        for caller in &mut callers {
            if !caller.waits && caller.due <= now && caller.due < end {
                caller.call()?;
            }
        }
        let next = callers
            .iter()
            .filter(|caller| !caller.waits)
            .map(|caller| caller.due);
        let next = next.filter(|due| *due < end).min();
        if next.is_none() && !callers.iter().any(|caller| caller.waits) {
            break;
        }
        for number in readable(&callers, next)? {
            let caller = &mut callers[number];
            if caller.hear()? {
                times.push(caller.due.elapsed());
                caller.due += gap;
            }
        }
    }
    times.sort_unstable();
    Ok(times)
}

/// Which callers have something to hear, as soon as one has, or when the next call is due.
fn readable(callers: &[Caller], due: Option<Instant>) -> anyhow::Result<Vec<usize>> {
    let waiting = || {
        callers
            .iter()
            .enumerate()
            .filter(|(_, caller)| caller.waits)
    };
    let mut polled: Vec<_> = waiting()
        .map(|(_, caller)| PollFd::new(&caller.stream, PollFlags::IN))
        .collect();
    let limit = due.map(|due| Timespec::try_from(due.saturating_duration_since(Instant::now())));
    poll(&mut polled, limit.transpose()?.as_ref())?;
    let heard = waiting()
        .zip(&polled)
        .filter(|(_, polled)| !polled.revents().is_empty());
    Ok(heard.map(|((number, _), _)| number).collect())
}

/// One kept connection.
struct Caller {
    stream: TcpStream,
    due: Instant,
    /// For an answer.
    waits: bool,
    answer: Vec<u8>,
}

impl Caller {
    fn connect(port: u16, due: Instant) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let answer = Vec::new();
        Ok(Self {
            stream,
            due,
            waits: false,
            answer,
        })
    }

    fn call(&mut self) -> anyhow::Result<()> {
        self.answer.clear();
        self.waits = true;
        Ok(self.stream.write_all(REQUEST)?)
    }

    /// Takes what came; whether the answer is whole.
    fn hear(&mut self) -> anyhow::Result<bool> {
        let mut piece = [0; 4096];
        let read = self.stream.read(&mut piece)?;
        ensure!(
            read > 0,
            "a connection was closed in the middle of an answer"
        );
        self.answer.extend_from_slice(&piece[..read]);
        let ends = self
            .answer
            .windows(HEAD_END.len())
            .position(|bytes| bytes == HEAD_END);
        let Some(head) = ends else { return Ok(false) };
        let text = std::str::from_utf8(&self.answer[..head])?;
        ensure!(
            text.starts_with("HTTP/1.1 200 OK\r\n"),
            "an answer began with {text:?}"
        );
        let mut length = text.lines().filter_map(|line| line.split_once(": "));
        let length = length.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length: usize = length.context("an answer without a length")?.1.parse()?;
        self.waits = self.answer.len() < head + HEAD_END.len() + length;
        Ok(!self.waits)
    }
}
