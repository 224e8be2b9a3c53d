//! The engine, driven as an operator does: by its client.

use std::net::IpAddr;
use std::process::{Command, Output};

use serde_json::Value;

/// The engine that `.ci/engine` started for tests.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Its socket, as `DOCKER_HOST` wants it.
    pub host: String,
    /// Where published ports answer.
    pub address: IpAddr,
}

impl Engine {
    /// The engine that the environment names.
    ///
    /// # Panics
    /// When it names none: these tests do not skip.
    #[must_use]
    pub fn of_tests() -> Self {
        let variable = |name: &str| match std::env::var(name) {
            Ok(value) => value,
            Err(_) => panic!(
                "{name} is not set: run `.ci/test`, or \
                 `.ci/engine run bash -c '.ci/images && cargo test -p faas-compose-tests'`"
            ),
        };
        Self {
            host: variable("TEST_DOCKER_HOST"),
            address: variable("TEST_DOCKER_ADDRESS").parse().unwrap(),
        }
    }

    /// A command that talks to this engine.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("DOCKER_HOST", &self.host);
        command
    }

    /// What `docker` with these arguments prints.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = self.command("docker").args(arguments).output().unwrap();
        succeeded(&format!("docker {arguments:?}"), &output)
    }

    /// `docker inspect` of one thing.
    ///
    /// # Panics
    /// When there is no such thing.
    #[must_use]
    pub fn inspect(&self, what: &str) -> Value {
        let text = self.docker(&["inspect", what]);
        let mut found: Vec<Value> = serde_json::from_str(&text).unwrap();
        found.remove(0)
    }
}

/// What a command printed.
///
/// # Panics
/// When it failed, with all that it said.
pub(crate) fn succeeded(what: &str, output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{what}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
