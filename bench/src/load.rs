//! Load on an HTTP server: as much as it takes (`wrk`), or a number of calls.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::scope;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// Connections, in every kind of load.
pub(crate) const CONNECTIONS: u32 = 32;

/// Requests a second that a server answers on kept connections: `wrk`, one thread.
pub(crate) fn rate(port: u16, period: Duration) -> anyhow::Result<f64> {
    let output = Command::new("wrk")
        .arg("-t1")
        .arg(format!("-c{CONNECTIONS}"))
        .arg(format!("-d{}", period.as_secs()))
        .arg(format!("http://127.0.0.1:{port}/"))
        .output()
        .context("starting wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        !text.contains("Non-2xx") && !text.contains("Socket errors"),
        "{text}"
    );
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(line.context("wrk told no rate")?.trim().parse()?)
}

/// Makes this many calls, one after the other on each connection.
pub(crate) fn calls(port: u16, count: u64) -> anyhow::Result<()> {
    let left = AtomicU64::new(count);
    on_each_connection(port, |caller| {
        let take = |left: u64| left.checked_sub(1);
        while left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
        {
            caller.call()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn on_each_connection<T: Send>(
    port: u16,
    act: impl Fn(&mut Caller) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let act = &act;
    scope(|scope| {
        let one = |_| scope.spawn(move || act(&mut Caller::connect(port)?));
        let threads: Vec<_> = (0..CONNECTIONS).map(one).collect();
        let ended = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a caller panicked"),
        });
        ended.collect()
    })
}

/// One kept connection.
struct Caller {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Caller {
    fn connect(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            line: String::new(),
            body: Vec::new(),
        })
    }

    fn call(&mut self) -> anyhow::Result<()> {
        let request = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
        self.stream.get_mut().write_all(request)?;
        let mut length = 0;
        let mut status = true;
        loop {
            self.line.clear();
            self.stream.read_line(&mut self.line)?;
            let line = self.line.trim_end();
            if status {
                ensure!(line == "HTTP/1.1 200 OK", "the answer began with {line:?}");
                status = false;
            } else if line.is_empty() {
                break;
            } else if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.parse()?;
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        Ok(())
    }
}
