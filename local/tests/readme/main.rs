//! The README and docs/async.md are true: their transcripts are typed into a shell against a fresh stack, and what comes out
//! is compared.
//!
//! `README_UPDATE=1 cargo test -p faas-local --test readme` writes what came out into the pages instead.
#![allow(clippy::unwrap_used, clippy::panic)]

mod shell;
mod transcript;

use std::path::{Path, PathBuf};

use shell::Shell;
use transcript::{Line, normalised, parse};

const README_PORT: &str = "8080";

#[tokio::test]
async fn what_the_readme_shows_is_what_a_reader_gets() {
    typed("../README.md").await;
}

#[tokio::test]
async fn what_the_page_about_asynchronous_calls_shows_is_what_a_reader_gets() {
    typed("../docs/async.md").await;
}

/// Types a page into a shell. `README_UPDATE=1` writes it anew, with what was said.
async fn typed(page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let stack = start(folder.path()).await;
    let port = stack.port.to_string();
    let mut shell = Shell::start(folder.path());

    let mut written = String::new();
    let mut differences = Vec::new();
    for line in parse(&text) {
        match line {
            Line::Prose(text) => written.push_str(&text),
            Line::Command { command, expected } => {
                let wanted = normalised(&expected);
                let updating = std::env::var_os("README_UPDATE").is_some();
                let got = shell.run(&command.replace(README_PORT, &port), |got| {
                    updating || normalised(&got.replace(&port, README_PORT)) == wanted
                });
                let got = got.replace(&port, README_PORT);
                if normalised(&got) != wanted {
                    differences.push(format!("$ {command}\nexpected: {expected}\ngot: {got}"));
                }
                written.push_str(&format!("$ {command}\n{got}"));
            }
        }
    }
    if std::env::var_os("README_UPDATE").is_some() {
        std::fs::write(path, written).unwrap();
        return;
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

struct Running {
    port: u16,
    _process: Guard,
}

/// Ends the stack with the test.
struct Guard(std::process::Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn start(folder: &Path) -> Running {
    let port = free_port();
    let process = std::process::Command::new(PathBuf::from(env!("CARGO_BIN_EXE_faas-local")))
        .current_dir(folder)
        .env("port", port.to_string())
        .env("metrics_port", free_port().to_string())
        .env("data_dir", folder.join("data"))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let process = Guard(process);
    let url = format!("http://127.0.0.1:{port}/healthz");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while !client
        .get(&url)
        .send()
        .await
        .is_ok_and(|answer| answer.status().is_success())
    {
        assert!(
            tokio::time::Instant::now() < deadline,
            "faas-local did not start"
        );
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Running {
        port,
        _process: process,
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
