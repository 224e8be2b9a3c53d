//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use certifier::{Capability, Credentials, Group, Level, Options, Rule, TestFunction, Trust};
use clap::{Parser, Subcommand};

use crate::aliases::Surroundings;
use crate::files;
use crate::functions::Functions;
use crate::logins;

/// Checks whether an OpenFaaS-compatible gateway or provider does what its callers rely on.
///
/// Everything it makes has a random name and is removed at the end; functions and secrets of
/// others are never touched. The exit status is 0 if nothing failed, 1 if something did, and 2 if there
/// was nothing to check or an argument is wrong.
#[derive(Debug, Parser)]
#[command(
    name = "certifier",
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
        certifier --gateway http://127.0.0.1:8080 --basic-auth-dir ./secrets\n  \
        certifier --provider http://127.0.0.1:8081 --filter deploy --filter scale"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

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

    /// Only checks of this group; may be repeated
    #[arg(long = "group", value_name = "GROUP", value_parser = Group::from_str)]
    groups: Vec<Group>,

    /// Only checks up to this level: core, standard or full
    #[arg(long, value_name = "LEVEL", value_parser = Level::from_str, default_value = "full")]
    level: Level,

    /// Also the checks that take minutes
    #[arg(long)]
    long: bool,

    /// So many checks at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least_one)]
    parallel: usize,

    /// Everything so many times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,

    /// The platform can do this, whatever it says; may be repeated
    #[arg(long = "with", value_name = "CAPABILITY", value_parser = Capability::from_str)]
    with: Vec<Capability>,

    /// The platform cannot do this: checks that need it are skipped; may be repeated
    #[arg(long = "without", value_name = "CAPABILITY", value_parser = Capability::from_str)]
    without: Vec<Capability>,

    /// A list of the skips that are in order, one id a line; any other skip fails the run
    #[arg(long, value_name = "FILE")]
    expect_skips: Option<PathBuf>,

    /// Longest wait, in seconds, for a condition to come true and for one answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,

    /// The namespace that functions are in by default
    /// [default: openfaas-fn]
    #[arg(long, value_name = "NAMESPACE")]
    default_namespace: Option<String>,

    /// A further namespace that exists; repeat for every one. Checks are repeated in the first
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    namespaces: Vec<String>,

    /// A file with certificates of authorities, in PEM, that are believed besides those of this machine
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Believe any certificate: whoever sits in between can read the credentials
    #[arg(long, conflicts_with = "ca_file")]
    insecure: bool,

    /// A file that holds `user:password`
    #[arg(long, value_name = "FILE", group = "credentials")]
    basic_auth_file: Option<PathBuf>,

    /// A folder with the files basic-auth-user and basic-auth-password
    #[arg(long, value_name = "DIR", group = "credentials")]
    basic_auth_dir: Option<PathBuf>,

    /// A bearer token
    #[arg(long, value_name = "TOKEN", group = "credentials")]
    token: Option<String>,

    /// Image of the plain test functions: a classic watchdog with env, cat and sha512sum
    /// [default: functions/alpine:latest]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,

    /// Put in front of the image where its exact text is checked; may be empty
    #[arg(long, value_name = "HOST", default_value = "docker.io")]
    registry_prefix: String,

    /// Image of a function that does as each call says, see FUNCTIONS.md
    #[arg(long, value_name = "IMAGE")]
    probe_image: Option<String>,

    /// Process of that function; without it, what its image says
    #[arg(
        long,
        value_name = "COMMAND",
        default_value = "",
        requires = "probe_image"
    )]
    probe_process: String,

    /// A file that says which image, process and environment each test function has, see FUNCTIONS.md
    #[arg(long, value_name = "FILE")]
    image_map: Option<PathBuf>,

    /// The platform runs programs of this machine, and this one is the probe and the redirector
    #[arg(long, conflicts_with_all = ["image_map", "probe_image", "redirector_image"])]
    programs: bool,

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

    /// The login that faas-cli keeps for this URL
    #[arg(long, group = "credentials")]
    enable_auth: bool,

    /// How the result is reported: text, json, junit or tap, to standard output or with =FILE to a file; may be repeated
    #[arg(long = "report", value_name = "FORMAT[=FILE]", default_value = "text")]
    reports: Vec<Output>,
}

/// What else this program does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Be the probe: a function that does as each call says, see FUNCTIONS.md
    Probe {
        /// Listen on this address and port
        #[arg(long, default_value = "0.0.0.0:8080")]
        listen: SocketAddr,
    },
}

/// How a result is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
    /// For continuous integration.
    Junit,
    /// The Test Anything Protocol.
    Tap,
}

/// One report, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) format: Format,
    /// Standard output if `None`.
    pub(crate) file: Option<PathBuf>,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) = match text.split_once('=') {
            Some((_, "")) => return Err("there is no file name after =".to_owned()),
            Some((format, file)) => (format, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let format = match format {
            "text" => Format::Text,
            "json" => Format::Json,
            "junit" => Format::Junit,
            "tap" => Format::Tap,
            _ => return Err("there are text, json, junit and tap".to_owned()),
        };
        Ok(Self { format, file })
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

impl Arguments {
    pub(crate) fn outputs(&self) -> Vec<Output> {
        self.reports.clone()
    }

    /// Whether the list that these arguments ask for has this rule.
    pub(crate) fn selects(&self, rule: &Rule) -> bool {
        let part_of = |patterns: &[String]| patterns.iter().any(|part| rule.id.contains(part));
        (self.filter.is_empty() || part_of(&self.filter))
            && !part_of(&self.skip)
            && (self.groups.is_empty() || self.groups.contains(&rule.group))
            && rule.level <= self.level
    }

    /// What the arguments leave open, the variables of the original say, and else its defaults.
    pub(crate) fn options(self, around: Surroundings) -> anyhow::Result<Options> {
        let expected_skips = self.expect_skips.as_deref().map(files::skips).transpose()?;
        let options = match (&self.gateway, &self.provider, &around.gateway) {
            (_, Some(url), _) => Options::provider(url),
            (Some(url), ..) | (.., Some(url)) => Options::gateway(url),
            _ => Options::gateway("http://127.0.0.1:8080"),
        };
        let credentials = self.credentials(options.entry.url())?;
        let mut without = self.without.clone();
        if !around.idler && !self.with.contains(&Capability::Idler) {
            // As in the original: an idler is rare, and what it does takes minutes.
            without.push(Capability::Idler);
        }
        let functions = self.functions()?;
        let trust = match (&self.ca_file, self.insecure) {
            (_, true) => Trust::Anybody,
            (Some(file), _) => Trust::Authorities(files::read(file)?.into_bytes()),
            (None, _) => Trust::default(),
        };
        Ok(Options {
            default_namespace: self
                .default_namespace
                .or(around.default_namespace)
                .unwrap_or(options.default_namespace),
            namespaces: [self.namespaces, around.namespaces].concat(),
            filter: self.filter,
            skip: self.skip,
            groups: self.groups,
            level: self.level,
            long: self.long,
            parallel: self.parallel,
            repeat: self.repeat,
            with: self.with,
            without,
            expected_skips,
            timeout: Duration::from_secs(self.timeout),
            answer_timeout: Duration::from_secs(self.timeout),
            trust,
            credentials,
            image: functions.classic,
            registry_prefix: self.registry_prefix,
            redirector: functions.redirector,
            probe: functions.probe,
            ..options
        })
    }

    /// The test functions: single arguments have the last word over the map.
    fn functions(&self) -> anyhow::Result<Functions> {
        let mut functions = match (&self.image_map, self.programs) {
            (Some(file), _) => Functions::read(file)?,
            (None, true) => Functions::programs()?,
            (None, false) => Functions::default(),
        };
        if let Some(image) = &self.image {
            functions.classic = image.clone();
        }
        if let Some(image) = &self.redirector_image {
            functions.redirector = Some(TestFunction::new(image, &self.redirector_process));
        }
        if let Some(image) = &self.probe_image {
            functions.probe = Some(TestFunction::new(image, &self.probe_process));
        }
        Ok(functions)
    }

    fn credentials(&self, url: &str) -> anyhow::Result<Credentials> {
        if self.enable_auth {
            return logins::credentials(url);
        }
        match (&self.token, &self.basic_auth_file, &self.basic_auth_dir) {
            (Some(token), ..) => Ok(Credentials::Token(token.clone())),
            (_, Some(file), _) => files::credentials(file),
            (.., Some(folder)) => files::credentials_in(folder),
            _ => Ok(Credentials::None),
        }
    }
}
