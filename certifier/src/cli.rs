//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use certifier::{Capability, Group, Level, Options, Rule};
use clap::{Parser, Subcommand};

use crate::access::Access;
use crate::aliases::Surroundings;
use crate::files;
use crate::functions::FunctionArguments;
use crate::measure::BenchArguments;
use crate::outputs::Output;

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

    /// Where the platform reaches this program, for callbacks; without it none are asked for. `:PORT` is this machine by
    /// its name
    #[arg(long, value_name = "[HOST][:PORT]")]
    callback_address: Option<String>,

    /// Where the metrics of the gateway, or of the provider, are; without it they are not looked at
    #[arg(long, value_name = "URL")]
    metrics_url: Option<String>,

    #[command(flatten)]
    access: Access,

    #[command(flatten)]
    functions: FunctionArguments,

    /// Put in front of the image where its exact text is checked; may be empty
    #[arg(long, value_name = "HOST", default_value = "docker.io")]
    registry_prefix: String,

    /// How the result is reported: text, json, junit or tap, to standard output or with =FILE to a file; may be repeated
    #[arg(long = "report", value_name = "FORMAT[=FILE]", default_value = "text")]
    reports: Vec<Output<Format>>,
}

/// What else this program does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Bench(Box<BenchArguments>),
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

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "text" => Self::Text,
            "json" => Self::Json,
            "junit" => Self::Junit,
            "tap" => Self::Tap,
            _ => return Err("there are text, json, junit and tap".to_owned()),
        })
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

impl Arguments {
    pub(crate) fn outputs(&self) -> Vec<Output<Format>> {
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
        let credentials = self.access.credentials(options.entry.url())?;
        let mut without = self.without.clone();
        if !around.idler && !self.with.contains(&Capability::Idler) {
            // As in the original: an idler is rare, and what it does takes minutes.
            without.push(Capability::Idler);
        }
        let functions = self.functions.functions()?;
        let trust = self.access.trust()?;
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
            callback_address: self.callback_address,
            metrics_url: self.metrics_url,
            trust,
            credentials,
            image: functions.classic,
            registry_prefix: self.registry_prefix,
            redirector: functions.redirector,
            probe: functions.probe,
            ..options
        })
    }
}
