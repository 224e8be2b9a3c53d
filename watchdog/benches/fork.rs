//! What the watchdog adds to the program it starts: a call over a kept connection, minus a bare spawn and wait of the
//! same program, taken in turns in one run, and beside them a call of the watchdog's health, which is what HTTP alone takes.
//! Then how many calls a second it makes, against bare spawns by as many threads, again in turns: with the three pipes that a
//! function needs, and with none.
//!
//! `cargo bench -p faas-watchdog` prints the figures. `fprocess` and the number of rounds can be given as arguments, another
//! build of the watchdog in the variable `FWATCHDOG`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::scope;
use std::time::{Duration, Instant};

const CONCURRENCY: [usize; 3] = [1, 4, 16];
/// Calls of a function with spares, and the pause before each.
const SPACED_CALLS: usize = 60;
const PAUSE: Duration = Duration::from_millis(150);
/// Turns of calls and bare spawns, of which the median counts, and how long each takes.
const TURNS: usize = 5;
const PERIOD: Duration = Duration::from_secs(1);

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"));
    let program = arguments.next().unwrap_or("/bin/true".to_owned());
    let rounds = arguments
        .next()
        .map_or(2000, |rounds| rounds.parse().unwrap());
    let watchdog = Watchdog::start(&program);
    println!(
        "idle: {} kB resident, started and listening after {:?}",
        watchdog.resident_kb(),
        watchdog.started
    );

    overhead(&watchdog, &program, rounds);
    for threads in CONCURRENCY {
        rates(&watchdog, &program, threads);
    }
    spares();
    println!("after the load: {} kB resident", watchdog.resident_kb());
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    println!("load average: {}", load.trim());
}

/// Calls and bare spawns a second, by as many threads.
fn rates(watchdog: &Watchdog, program: &str, threads: usize) {
    let turns: Vec<_> = (0..TURNS)
        .map(|_| {
            let bare = rate(threads, || (), |()| bare_run(program));
            let called = rate(threads, || watchdog.connect(), call);
            let silent = rate(threads, || (), |()| silent_run(program));
            [called, bare, silent, called / bare, called / silent]
        })
        .collect();
    let [called, bare, silent, ratio, silent_ratio] = [0, 1, 2, 3, 4].map(|column| {
        let mut values: Vec<_> = turns.iter().map(|turn| turn[column]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    });
    println!(
        "{threads:>2} at once: {called:>6.0} calls/s, {bare:>6.0} bare spawns/s ({:.0} %), {silent:>6.0} without pipes ({:.0} %)",
        ratio * 100.0,
        silent_ratio * 100.0
    );
}

/// Calls of a Python function with pauses, so that a spare that was taken has been replaced by the next call.
fn spares() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("f.py");
    fs::write(&script, "import json, sys\nprint(len(sys.stdin.read()))\n").unwrap();
    let program = format!("python3 {}", script.display());
    let [without, with] = ["0", "4"].map(|spares| {
        let watchdog = Watchdog::with(&program, &[("cgi_headers", "false"), ("prefork", spares)]);
        let mut connection = watchdog.connect();
        let mut times: Vec<_> = (0..SPACED_CALLS)
            .map(|_| {
                std::thread::sleep(PAUSE);
                timed(|| call(&mut connection))
            })
            .collect();
        median(&mut times)
    });
    println!(
        "python3, a call every {PAUSE:?}: median {without:?}, with prefork=4 {with:?} ({:.1} times faster)",
        without.as_secs_f64() / with.as_secs_f64()
    );
}

fn overhead(watchdog: &Watchdog, program: &str, rounds: usize) {
    let mut connection = watchdog.connect();
    let (mut calls, mut bare, mut empty) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        calls.push(timed(|| call(&mut connection)));
        bare.push(timed(|| bare_run(program)));
        empty.push(timed(|| request(&mut connection, "GET /_/health")));
    }
    let [call, spawn, empty] = [&mut calls, &mut bare, &mut empty].map(|times| median(times));
    println!(
        "{program}, {rounds} rounds: median call {call:?}, bare spawn and wait {spawn:?}, overhead {:?}; a call that starts nothing {empty:?}",
        call.saturating_sub(spawn)
    );
}

fn timed(act: impl FnOnce()) -> Duration {
    let started = Instant::now();
    act();
    started.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Spawns and waits, with three pipes as a function has.
fn bare_run(program: &str) {
    let mut words = program.split(' ');
    let child = Command::new(words.next().unwrap())
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.wait_with_output().unwrap();
}

/// Spawns and waits, with nothing to read or write.
fn silent_run(program: &str) {
    let mut words = program.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap();
}

fn call(connection: &mut BufReader<TcpStream>) {
    request(connection, "POST /");
}

fn request(connection: &mut BufReader<TcpStream>, target: &str) {
    let request = format!("{target} HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n\r\n");
    connection.get_mut().write_all(request.as_bytes()).unwrap();
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        connection.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    connection
        .take(length)
        .read_to_end(&mut Vec::new())
        .unwrap();
}

/// Runs per second of `threads` threads together.
fn rate<S>(threads: usize, state: impl Fn() -> S + Sync, run: impl Fn(&mut S) + Sync) -> f64 {
    let started = Instant::now();
    let total: u32 = scope(|scope| {
        let one = || {
            let (mut state, mut count) = (state(), 0);
            while started.elapsed() < PERIOD {
                run(&mut state);
                count += 1;
            }
            count
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    f64::from(total) / started.elapsed().as_secs_f64()
}

struct Watchdog {
    child: Child,
    port: u16,
    started: Duration,
    _directory: tempfile::TempDir,
}

impl Watchdog {
    fn start(program: &str) -> Self {
        Self::with(program, &[])
    }

    fn with(program: &str, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let begun = Instant::now();
        let built = std::env::var_os("FWATCHDOG");
        let built = built.unwrap_or(env!("CARGO_BIN_EXE_fwatchdog").into());
        let child = Command::new(built)
            .env("fprocess", program)
            .env("port", "0")
            .env("metrics_port", "0")
            .env("TMPDIR", directory.path())
            .envs(variables.iter().copied())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let port = loop {
            let text = fs::read_to_string(&log).unwrap();
            let rest = text.split_once("Listening on port: ").map(|(_, rest)| rest);
            if let Some((port, _)) = rest.and_then(|rest| rest.split_once('\n')) {
                break port.parse().unwrap();
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        Self {
            child,
            port,
            started: begun.elapsed(),
            _directory: directory,
        }
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        BufReader::new(stream)
    }

    fn resident_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
