//! A watchdog under test, and what every test waits for.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::caller::{Answer, Caller};

/// The type of everything readable.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// How long a condition may take to come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The program, with nothing set but what every test needs.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fwatchdog"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("metrics_port", "0");
    command
}

/// A running watchdog in a directory of its own, which is also its `TMPDIR`.
pub(crate) struct Watchdog {
    child: Child,
    pub(crate) port: u16,
    pub(crate) directory: tempfile::TempDir,
    log: Arc<Mutex<String>>,
    stdout: Arc<Mutex<String>>,
}

/// The program's end.
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> End {
    let output = program()
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    End {
        status: output.status,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Watchdog {
    /// Serves `fprocess` on a free port.
    pub(crate) fn start(fprocess: &str) -> Self {
        Self::with(fprocess, &[])
    }

    /// The same with variables set.
    pub(crate) fn with(fprocess: &str, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::launch(program(), directory, fprocess, variables)
    }

    /// Serves a shell script.
    pub(crate) fn script(text: &str) -> Self {
        Self::script_with(text, &[])
    }

    /// The same with variables set.
    pub(crate) fn script_with(text: &str, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = write_script(directory.path(), &format!("#!/bin/sh\n{text}\n"));
        let fprocess = path.to_str().unwrap().to_owned();
        Self::launch(program(), directory, &fprocess, variables)
    }

    /// Serves from a command of the test's own making.
    pub(crate) fn launch(
        mut command: Command,
        directory: tempfile::TempDir,
        fprocess: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut child = command
            .env("TMPDIR", directory.path())
            .env("port", "0")
            .env("fprocess", fprocess)
            .env("healthcheck_interval", "0")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = collect(child.stderr.take().unwrap());
        let stdout = collect(child.stdout.take().unwrap());
        let mut watchdog = Self {
            child,
            port: 0,
            directory,
            log,
            stdout,
        };
        let listening = watchdog.wait_for_log("Listening on port: ");
        watchdog.port = listening.parse().unwrap();
        if !variables.iter().any(|(name, _)| *name == "suppress_lock") {
            wait_until("the lock file is there", || watchdog.lock_file().exists());
        }
        watchdog
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    pub(crate) fn lock_file(&self) -> PathBuf {
        self.directory.path().join(".lock")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Everything printed on stdout so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    /// Waits for a text in the log; what follows it on its line.
    pub(crate) fn wait_for_log(&self, text: &str) -> String {
        let mut rest = None;
        wait_until(&format!("{text:?} is logged"), || {
            let log = self.log();
            let at = log.find(text).map(|at| log[at + text.len()..].to_owned());
            rest = at.and_then(|rest| rest.split_once('\n').map(|(line, _)| line.to_owned()));
            rest.is_some()
        });
        rest.unwrap()
    }

    pub(crate) fn connect(&self) -> Caller {
        Caller::connect(self.port)
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.call("GET", target, &[], b"")
    }

    pub(crate) fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        self.call("POST", "/", &[], body.as_ref())
    }

    pub(crate) fn call(&self, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut caller = self.connect();
        caller.send(method, target, headers, body);
        caller.answer()
    }

    /// Sends bytes as they are and reads one answer.
    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut caller = self.connect();
        caller.write(bytes.as_ref());
        caller.answer()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for the program to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the watchdog has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// A field of `/proc/PID/status` in kB.
    pub(crate) fn memory_kb(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// How many descriptors are open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .unwrap()
            .count()
    }

    /// Asks over so many connections at once that every thread is started. How many descriptors are open when all of
    /// them are closed again.
    pub(crate) fn warm_up(&self) -> usize {
        let mut callers: Vec<_> = (0..16).map(|_| self.connect()).collect();
        for caller in &mut callers {
            caller.send("GET", "/_/health", &[], b"");
            caller.answer().is(200, "OK");
        }
        drop(callers);
        self.settled_descriptors()
    }

    /// How many descriptors are open once that has been the same for a second: no connection is being closed then.
    pub(crate) fn settled_descriptors(&self) -> usize {
        let (mut last, mut since) = (0, Instant::now());
        wait_until("the number of descriptors has settled", || {
            let now = self.descriptors();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            since.elapsed() > Duration::from_secs(1)
        });
        last
    }

    /// Children of the watchdog, with their states.
    pub(crate) fn children(&self) -> Vec<(i32, char)> {
        children_of(self.pid().as_raw())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Ends at once and takes the functions with it; a wrapper around it may not care.
        let _ = kill(self.pid(), Signal::SIGINT);
        let deadline = Instant::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the watchdog\n{}", self.log());
        } else {
            // One that costs a task only would go unseen.
            assert!(!self.log().contains("panicked at"), "{}", self.log());
        }
    }
}

fn collect(pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&text);
    spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
            kept.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    text
}

/// Writes an executable file.
pub(crate) fn write_script(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("f.sh");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Waits for a condition, with a deadline.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(
        until_within(PATIENCE, condition),
        "not within {PATIENCE:?}: {what}"
    );
}

/// Whether a condition comes true in this time.
pub(crate) fn until_within(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + time;
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(5));
    }
    true
}

/// The direct children of a process: number and state.
pub(crate) fn children_of(parent: i32) -> Vec<(i32, char)> {
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?.chars().next()?;
        (fields.next()? == parent.to_string()).then_some((pid, state))
    });
    all.collect()
}

/// Whether a process is running (and not merely waiting to be reaped).
pub(crate) fn is_running(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with('Z'))
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
