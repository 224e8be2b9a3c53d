//! Many calls, and what they leave behind: nothing. Short here; as many as written with `SOAK=1`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{scope, spawn};

use crate::support::{Watchdog, wait_until};

/// Callers at once: enough for every thread of the watchdog to have some.
const CALLERS: usize = 16;
/// Calls on one connection.
const CALLS: usize = 100;
/// What the watchdog may hold more afterwards: less than 64 bytes for each of 20,000 calls.
const GROWTH_KB: u64 = 1024;

/// A number as written, or scaled down where the long run was not asked for.
fn long_or(long: usize, short: usize) -> usize {
    if std::env::var_os("SOAK").is_some() {
        long
    } else {
        short
    }
}

#[test]
fn calls_of_a_server_leave_nothing_behind() {
    let url = format!("http://127.0.0.1:{}", function());
    let variables = [("mode", "http"), ("upstream_url", url.as_str())];
    let watchdog = Watchdog::with("sleep 1000000", &variables);
    nothing_stays(&watchdog, 5_000, long_or(1_000_000, 20_000));
}

#[test]
fn calls_of_processes_leave_nothing_behind() {
    let watchdog = Watchdog::start("true");
    nothing_stays(&watchdog, 500, long_or(50_000, 1_000));
}

#[track_caller]
fn nothing_stays(watchdog: &Watchdog, warm_up: usize, count: usize) {
    calls(watchdog, warm_up);
    watchdog.settled_descriptors();
    let before = Held::by(watchdog);
    calls(watchdog, count);
    wait_until("threads, descriptors and children are as before", || {
        Held::by(watchdog).is_no_more_than(&before)
    });
    let after = Held::by(watchdog);
    assert!(
        after.resident_kb < before.resident_kb + GROWTH_KB,
        "after {count} calls {before:?} became {after:?}"
    );
}

/// What a watchdog holds.
#[derive(Debug)]
struct Held {
    resident_kb: u64,
    descriptors: usize,
    threads: usize,
    /// Running or not waited for.
    children: usize,
}

impl Held {
    fn by(watchdog: &Watchdog) -> Self {
        let tasks = format!("/proc/{}/task", watchdog.pid());
        Self {
            resident_kb: watchdog.memory_kb("VmRSS:"),
            descriptors: watchdog.descriptors(),
            threads: fs::read_dir(tasks).unwrap().count(),
            children: watchdog.children().len(),
        }
    }

    fn is_no_more_than(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors
            && self.threads <= before.threads
            && self.children <= before.children
    }
}

/// So many calls by all callers together, each on a new connection from time to time.
fn calls(watchdog: &Watchdog, count: usize) {
    scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let mut left = count.div_ceil(CALLERS);
                while left > 0 {
                    let mut caller = watchdog.connect();
                    for _ in 0..left.min(CALLS) {
                        caller.send("POST", "/", &[], b"");
                        caller.answer().is(200, "");
                    }
                    left = left.saturating_sub(CALLS);
                }
            });
        }
    });
}

/// A function that is a server, as quick as can be, for as long as the test runs. Its port.
fn function() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(move || {
        for stream in listener.incoming() {
            spawn(|| answer_all(stream.unwrap()));
        }
    });
    port
}

fn answer_all(stream: TcpStream) {
    let mut requests = BufReader::new(stream);
    let mut line = String::new();
    while requests.read_line(&mut line).is_ok_and(|length| length > 0) {
        let end = line == "\r\n";
        line.clear();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        if end && requests.get_mut().write_all(answer).is_err() {
            return;
        }
    }
}
