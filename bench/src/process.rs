//! Processes under measurement.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process that is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    /// Whether it is asked to end first, because it has processes of its own.
    gently: bool,
}

impl Process {
    /// Starts a program with nothing but these variables and `PATH` and `HOME`, silent.
    pub(crate) fn start(
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        for name in ["PATH", "HOME"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.envs(variables.iter().map(|(name, value)| (*name, value)));
        let child = command
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self {
            child,
            gently: false,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().cast_signed()), signal)?)
    }

    /// The same process, which is asked to end, when it is dropped, before it is killed.
    pub(crate) fn gently(mut self) -> Self {
        self.gently = true;
        self
    }

    /// A line of `/proc/PID/status` in kilobytes: `VmRSS`, `VmHWM`.
    pub(crate) fn kilobytes(&self, line: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let found = status
            .lines()
            .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let number = found.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        number.with_context(|| format!("no {line} in the process's status"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.gently {
            let _ = self.signal(Signal::SIGTERM);
            let deadline = Instant::now() + Duration::from_secs(5);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                sleep(Duration::from_millis(10));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody has right now.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Asks until the answer is 200, for at most ten seconds.
pub(crate) async fn until_ok(url: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let asking = async {
        while !client
            .get(url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asking)
        .await
        .with_context(|| format!("{url} never answered 200"))
}

/// Minimum, median and maximum in milliseconds, as a line.
pub(crate) fn spread(what: &str, mut times: Vec<Duration>) -> String {
    times.sort();
    let millis =
        |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0);
    format!(
        "{what}: median {:.1} ms (min {:.1}, max {:.1}, {} runs)",
        millis(times.get(times.len() / 2)),
        millis(times.first()),
        millis(times.last()),
        times.len()
    )
}

/// The machine's load, to judge the figures by.
pub(crate) fn load() -> String {
    fs::read_to_string("/proc/loadavg")
        .unwrap_or_default()
        .split(' ')
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}
