//! One of the functions that are measured: where it is, and whether it is there.

use std::sync::{Arc, Mutex};

use hyper::Method;
use serde_json::json;

use super::aim::Aim;
use super::connection::Connection;
use super::load::Load;
use super::tally::Tally;
use super::turn::{Count, turn};
use crate::failure::Outcome;
use crate::http::{Answer, Request};
use crate::journal::Journal;
use crate::options::Options;
use crate::platform::Platform;
use crate::target::Target;

/// What our own function is called on the platform, after the prefix of the run.
const OWN: &str = "bench";

/// The function that is called, ready.
pub(super) struct Ready {
    connections: Vec<Connection>,
}

impl Ready {
    pub(super) fn new(options: &Options, function: &str, load: &Load) -> Outcome<Self> {
        let aim = Arc::new(Aim::new(options, function, load)?);
        let connections = (0..load.connections).map(|_| Connection::new(aim.clone()));
        Ok(Self {
            connections: connections.collect(),
        })
    }

    /// So many calls that do not count.
    pub(super) async fn warm_up(&mut self, load: &Load, calls: u64) {
        let uncounted: Count = Arc::new(Mutex::new(Tally::new(calls)));
        self.turn(load, &uncounted).await;
    }

    pub(super) async fn turn(&mut self, load: &Load, count: &Count) {
        let connections = std::mem::take(&mut self.connections);
        self.connections = turn(connections, load, count).await;
    }
}

/// Whether a function that exists can be called at all. What it answers is for the counts, unless nobody knows it.
pub(super) async fn exists(platform: &Platform, function: &str, load: &Load) -> Outcome {
    let path = format!("/function/{function}{}", load.path);
    let mut request = Request::call(load.method.clone(), path).body(load.body.clone());
    for (name, value) in &load.headers {
        request = request.header(name, value);
    }
    let answer = platform.client.send(&request).await;
    let answer = answer.map_err(|failure| platform.nobody(failure))?;
    match answer.status {
        404 => Err(answer.fault(
            format!("a function {function}"),
            format!(
                "{} {} answered 404{}",
                load.method,
                path_of(&answer),
                words(&answer)
            ),
        )),
        _ => Ok(()),
    }
}

fn path_of(answer: &Answer) -> &str {
    let line = answer.sent.lines().next().unwrap_or_default();
    line.split_once(' ').map_or(line, |(_, url)| url)
}

fn words(answer: &Answer) -> String {
    match answer.text().lines().next() {
        Some(line) if !line.is_empty() => format!(": {line:.200}"),
        _ => String::new(),
    }
}

/// Deploys a function for this run and waits until it answers; its name in paths. It is the probe that echoes, where there is
/// one, and else `cat`.
pub(super) async fn deploy(platform: &Arc<Platform>) -> Outcome<String> {
    let options = &platform.options;
    let namespace = options.default_namespace.clone();
    let target = Target::new(platform.clone(), namespace, Journal::begin());
    match &options.probe {
        Some(probe) => target.have_function(OWN, probe, &[]).await?,
        None => target.have(OWN, "cat", json!({})).await?,
    };
    let call = target.call(Method::POST, OWN, "");
    let answered = target.call_until(&call, 200).await;
    answered.map_err(|failure| failure.while_doing("waiting for the function to answer"))?;
    Ok(format!("{}.{}", target.name(OWN), target.namespace))
}

/// What a function of ours has to be told for it to echo.
pub(super) fn echoing(options: &Options, load: &Load) -> Load {
    let mut load = load.clone();
    let told = load.headers.iter();
    let told = told.filter(|(name, _)| name.eq_ignore_ascii_case("X-Probe"));
    if options.probe.is_some() && told.count() == 0 {
        load.headers.push(("X-Probe".into(), "echo".into()));
    }
    load
}

/// A gateway that can be asked to deploy something.
pub(super) async fn reach(options: Options) -> Outcome<Arc<Platform>> {
    let mut platform = Platform::new(options)?;
    platform.greet().await?;
    platform.take_free_prefix().await;
    Ok(Arc::new(platform))
}
