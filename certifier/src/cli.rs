//! The command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use certifier::{Credentials, Options, Redirector};
use clap::{Parser, ValueEnum};

/// Checks whether an OpenFaaS-compatible gateway or provider does what its callers rely on.
///
/// Everything it makes has a random name and is removed at the end; functions and secrets of
/// others are never touched. The exit status is 0 only if nothing failed.
#[derive(Debug, Parser)]
#[command(
    name = "certifier",
    after_help = "Examples:\n  \
        certifier --gateway http://127.0.0.1:8080 --basic-auth-dir ./secrets\n  \
        certifier --provider http://127.0.0.1:8081 --filter deploy --filter scale"
)]
pub(crate) struct Arguments {
    /// Check through the gateway at this URL [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", conflicts_with = "provider")]
    gateway: Option<String>,

    /// Check the provider at this URL, without a gateway; what only a gateway does is skipped
    #[arg(long, value_name = "URL")]
    provider: Option<String>,

    /// Print every check with what must hold and where that comes from, and stop
    #[arg(long)]
    pub(crate) list: bool,

    /// Only checks whose id contains this text; may be repeated
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,

    /// Leave out checks whose id contains this text; may be repeated
    #[arg(long, value_name = "TEXT")]
    skip: Vec<String>,

    /// Longest wait, in seconds, for a condition to come true and for one answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,

    /// The namespace that functions are in by default
    #[arg(long, value_name = "NAMESPACE", default_value = "openfaas-fn")]
    default_namespace: String,

    /// A further namespace that exists; repeat for every one. Checks are repeated in the first
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    namespaces: Vec<String>,

    /// A file that holds `user:password`
    #[arg(long, value_name = "FILE", group = "credentials")]
    basic_auth_file: Option<PathBuf>,

    /// A folder with the files basic-auth-user and basic-auth-password
    #[arg(long, value_name = "DIR", group = "credentials")]
    basic_auth_dir: Option<PathBuf>,

    /// A bearer token
    #[arg(long, value_name = "TOKEN", group = "credentials")]
    token: Option<String>,

    /// Image of the test functions: a classic watchdog with env, cat and sha512sum
    #[arg(long, value_name = "IMAGE", default_value = "functions/alpine:latest")]
    image: String,

    /// Put in front of the image where its exact text is checked; may be empty
    #[arg(long, value_name = "HOST", default_value = "docker.io")]
    registry_prefix: String,

    /// Image of a function that answers 302 with its variable `destination` as Location
    #[arg(long, value_name = "IMAGE")]
    redirector_image: Option<String>,

    /// Process of that function
    #[arg(
        long,
        value_name = "COMMAND",
        default_value = "./handler",
        requires = "redirector_image"
    )]
    redirector_process: String,

    /// How the result is printed; with json, the progress goes to standard error
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) report: Format,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Arguments {
    pub(crate) fn options(self) -> anyhow::Result<Options> {
        let credentials = self.credentials()?;
        let options = match (self.gateway, self.provider) {
            (_, Some(url)) => Options::provider(url),
            (Some(url), None) => Options::gateway(url),
            (None, None) => Options::gateway("http://127.0.0.1:8080"),
        };
        let process = self.redirector_process;
        Ok(Options {
            default_namespace: self.default_namespace,
            namespaces: self.namespaces,
            filter: self.filter,
            skip: self.skip,
            timeout: Duration::from_secs(self.timeout),
            credentials,
            image: self.image,
            registry_prefix: self.registry_prefix,
            redirector: self
                .redirector_image
                .map(|image| Redirector { image, process }),
            ..options
        })
    }

    fn credentials(&self) -> anyhow::Result<Credentials> {
        if let Some(token) = &self.token {
            return Ok(Credentials::Token(token.clone()));
        }
        if let Some(file) = &self.basic_auth_file {
            let text = line(file)?;
            let (user, password) = text
                .split_once(':')
                .with_context(|| format!("{} does not hold user:password", file.display()))?;
            return basic(user.to_owned(), password.to_owned());
        }
        match &self.basic_auth_dir {
            Some(folder) => basic(
                line(&folder.join("basic-auth-user"))?,
                line(&folder.join("basic-auth-password"))?,
            ),
            None => Ok(Credentials::None),
        }
    }
}

fn basic(user: String, password: String) -> anyhow::Result<Credentials> {
    ensure!(
        !user.is_empty() && !password.is_empty(),
        "the user or the password is empty"
    );
    Ok(Credentials::Basic { user, password })
}

/// Files of credentials usually end in a newline that is not meant.
fn line(file: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
