//! `provider-memory` as the program that operators start.

use std::ops::Deref;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{Api, Home, soon, until};

/// The program with these variables and nothing else of ours in its environment.
pub(crate) fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provider-memory"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A start that is refused: its exit code and its last words.
pub(crate) async fn refused(home: &Home, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = command(&[("port", "0"), ("log_level", "off")]);
    command
        .env("data_dir", home.path("data"))
        .envs(variables.iter().copied());
    let output = soon("the program to end", command.output()).await.unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// A running program.
pub(crate) struct Binary {
    api: Api,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Deref for Binary {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Binary {
    pub(crate) async fn start(home: &Home) -> Self {
        Self::with(home, &[]).await
    }

    pub(crate) async fn with(home: &Home, variables: &[(&str, &str)]) -> Self {
        let mut command = command(&[("port", "0")]);
        command
            .env("data_dir", home.path("data"))
            .env("functions_dir", home.path("functions"))
            .envs(variables.iter().copied());
        let mut child = command.spawn().unwrap();
        let log = Arc::<Mutex<String>>::default();
        let (written, stderr) = (log.clone(), child.stderr.take().unwrap());
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                written.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let port = || {
            let log = log.lock().unwrap();
            let (_, rest) = log.split_once("listening address=0.0.0.0:")?;
            Some(rest.lines().next()?.trim().to_owned())
        };
        until("the program to listen", async || {
            assert!(
                child.try_wait().unwrap().is_none(),
                "{}",
                log.lock().unwrap()
            );
            port().is_some()
        })
        .await;
        Self {
            api: Api::at(format!("http://127.0.0.1:{}", port().unwrap())),
            child,
            log,
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id().unwrap()).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .unwrap()
            .count()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for the end; whether it was a good one.
    pub(crate) async fn ended(&mut self) -> bool {
        soon("the program to end", self.child.wait())
            .await
            .unwrap()
            .success()
    }
}
