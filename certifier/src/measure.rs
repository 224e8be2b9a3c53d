//! `certifier bench`: the arguments, and what becomes of the result.

use std::fs;
use std::io::{Write, stderr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use certifier::bench::{Bench, Load, Measured, Stage, run};
use certifier::{Failure, Options};
use clap::Args;

use crate::access::Access;
use crate::aliases::Surroundings;
use crate::functions::FunctionArguments;
use crate::outputs::Output;
use crate::signals;

/// Measure how long a function's answers take under a steady load, at one gateway or two
///
/// Calls are due at a fixed rate, whatever becomes of those before them, and each latency is counted from when its call was
/// due: who stalls does not get out of the calls that would have come meanwhile. Without --function one is deployed for
/// the run, and removed at its end. The exit status is 0 if every call was answered with a status below 400, 1 if not, and
/// 2 if nothing could be measured.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    certifier bench --gateway http://127.0.0.1:8080 --function figlet --rate 200 --duration 60\n  \
    certifier bench --gateway http://127.0.0.1:8080 --against http://127.0.0.1:9090 --programs \\\n      \
    --report text --report svg=latency.svg")]
pub(crate) struct BenchArguments {
    /// The gateway [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", conflicts_with = "provider")]
    gateway: Option<String>,

    /// A provider, without a gateway
    #[arg(long, value_name = "URL")]
    provider: Option<String>,

    /// Another gateway or provider, called in turns with the first; it is shown the same credentials
    #[arg(long, value_name = "URL")]
    against: Option<String>,

    /// A function that is there, NAME or NAME.NAMESPACE; without it one is deployed
    #[arg(long, value_name = "NAME")]
    function: Option<String>,

    /// Calls a second to each gateway
    #[arg(long, value_name = "N", default_value = "100", value_parser = above_zero)]
    rate: f64,

    /// How many seconds of calls count, for each gateway
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = above_zero)]
    duration: f64,

    /// How many seconds of calls go before them, uncounted
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = not_below_zero)]
    warm_up: f64,

    /// Connections to each gateway, and so the most calls in flight; calls that find all of them busy wait, and that counts
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,

    /// Longest wait, in seconds, for an answer to be complete, from when the call was due
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = above_zero)]
    timeout: f64,

    /// With --against: in how many turns each is called
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    turns: u32,

    /// Method of every call
    #[arg(long, value_name = "METHOD", default_value = "POST")]
    method: hyper::Method,

    /// What follows the function's name, such as /items?page=1
    #[arg(
        long,
        value_name = "PATH",
        default_value = "",
        hide_default_value = true
    )]
    path: String,

    /// A header of every call; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// A body of so many bytes
    #[arg(long, value_name = "BYTES", default_value_t = 0, conflicts_with_all = ["body", "body_file"])]
    size: usize,

    /// This text as body
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file")]
    body: Option<String>,

    /// A file's content as body
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,

    #[command(flatten)]
    access: Access,

    #[command(flatten)]
    functions: FunctionArguments,

    /// How the result is reported: text, json or svg, to standard output or with =FILE to a file; may be repeated
    #[arg(long = "report", value_name = "FORMAT[=FILE]", default_value = "text")]
    reports: Vec<Output<Shape>>,
}

/// What a result looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Text,
    Json,
    Svg,
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "text" => Self::Text,
            "json" => Self::Json,
            "svg" => Self::Svg,
            _ => return Err("there are text, json and svg".to_owned()),
        })
    }
}

/// Measures and reports; whether all calls were answered.
pub(crate) async fn bench(arguments: BenchArguments) -> anyhow::Result<bool> {
    let bench = arguments.bench(Surroundings::read())?;
    let stop = signals::first()?;
    let measured = run(bench, tell, stop).await.map_err(in_a_line)?;
    for output in &arguments.reports {
        output.write(&shaped(&measured, output.format))?;
    }
    Ok(measured.success())
}

fn tell(stage: Stage<'_>) {
    // Nobody is left to tell when the terminal has gone; the clean-up must still happen.
    let _ = match stage {
        Stage::WarmUp(url) => writeln!(stderr(), "warming up {url}"),
        Stage::Turn(url, 1, 1) => writeln!(stderr(), "measuring {url}"),
        Stage::Turn(url, number, of) => {
            writeln!(stderr(), "measuring {url}, turn {number} of {of}")
        }
    };
}

fn shaped(measured: &Measured, shape: Shape) -> String {
    match shape {
        Shape::Text => measured.to_string(),
        Shape::Json => format!("{:#}\n", measured.to_json()),
        Shape::Svg => measured.to_svg(),
    }
}

fn in_a_line(failure: Failure) -> anyhow::Error {
    let line = format!("expected {}: {}", failure.expected, failure.got);
    anyhow!(line.replace('\n', " "))
}

impl BenchArguments {
    fn bench(&self, around: Surroundings) -> anyhow::Result<Bench> {
        let first = match (&self.gateway, &self.provider, around.gateway) {
            (_, Some(url), _) => Options::provider(url),
            (Some(url), ..) => Options::gateway(url),
            (.., Some(url)) => Options::gateway(url),
            _ => Options::gateway("http://127.0.0.1:8080"),
        };
        let namespace = around.default_namespace;
        let first = self.reached(Options {
            default_namespace: namespace.unwrap_or(first.default_namespace),
            ..first
        })?;
        let second = self.against.as_ref().map(|url| Options {
            entry: Options::gateway(url).entry,
            ..first.clone()
        });
        Ok(Bench {
            first,
            second,
            function: self.function.clone(),
            load: self.load()?,
        })
    }

    /// With whose credentials, and what can be deployed.
    fn reached(&self, options: Options) -> anyhow::Result<Options> {
        let functions = self.functions.functions()?;
        Ok(Options {
            trust: self.access.trust()?,
            credentials: self.access.credentials(options.entry.url())?,
            image: functions.classic,
            probe: functions.probe,
            ..options
        })
    }

    fn load(&self) -> anyhow::Result<Load> {
        let body = match (&self.body, &self.body_file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(file)) => {
                fs::read(file).with_context(|| format!("reading {}", file.display()))?
            }
            (None, None) => (b'a'..=b'z').cycle().take(self.size).collect(),
        };
        Ok(Load {
            rate: self.rate,
            duration: Duration::from_secs_f64(self.duration),
            warm_up: Duration::from_secs_f64(self.warm_up),
            connections: self.connections.into(),
            timeout: Duration::from_secs_f64(self.timeout),
            turns: self.turns,
            method: self.method.clone(),
            path: self.path.clone(),
            headers: self.headers.clone(),
            body,
        })
    }
}

fn above_zero(text: &str) -> Result<f64, String> {
    match not_below_zero(text) {
        Ok(number) if number > 0.0 => Ok(number),
        _ => Err("a number above 0, up to a million".to_owned()),
    }
}

fn not_below_zero(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..=1e6).contains(&number) => Ok(number),
        _ => Err("a number from 0 to a million".to_owned()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("NAME: VALUE is wanted".to_owned()),
    }
}
