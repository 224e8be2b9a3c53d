//! The probe: the certifier's own server behind the platform, except that what it would do to its
//! process, its files and its log is played in memory.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use url::form_urlencoded;

use super::Model;
use super::answer::{self, Answer, Body, bytes, refusal};
use super::call::{Call, own};
use super::programs::{self, SECRETS};
use super::upstream;
use crate::switch::Switch;

const WISH: HeaderName = HeaderName::from_static("x-probe");

/// A line of a log is not longer, whatever is wished.
const LONGEST_LINE: usize = 1 << 20;

/// A replica of the probe, listening until it is dropped.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    _listening: Arc<Listening>,
}

struct Listening(AbortHandle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Replica {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(certifier::probe::serve(listener));
        Self {
            address,
            _listening: Arc::new(Listening(serving.abort_handle())),
        }
    }
}

/// What a call asks the probe for, word by word.
struct Wish(Vec<(String, String)>);

impl Wish {
    fn of(call: &Call) -> Self {
        let header = call.headers.get(WISH);
        let text = header.map(HeaderValue::as_bytes).unwrap_or_default();
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    fn get(&self, word: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs
            .find(|(known, _)| known == word)
            .map(|(_, value)| value.as_str())
    }

    fn number(&self, word: &str) -> usize {
        self.get(word)
            .and_then(|number| number.parse().ok())
            .unwrap_or(0)
    }

    /// The rest of the wish, for the server.
    fn without(&self, words: &[&str]) -> String {
        let kept = self
            .0
            .iter()
            .filter(|(word, _)| !words.contains(&word.as_str()));
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .finish()
    }
}

pub(crate) async fn call(model: &Model, call: &mut Call, body: Body) -> Answer {
    let wish = Wish::of(call);
    if call.function.down {
        return own(model, 502, format!("no answer from {}", call.key.1));
    }
    let limited = !model.wrong(Switch::MemoryUnlimited);
    if wish.get("exit").is_some() || (limited && over_its_limit(call, &wish)) {
        // The next call finds a new process in its place.
        let down = model.wrong(Switch::CrashedStaysDown);
        model.change(&call.key, |function| {
            function.probes.clear();
            function.down = down;
        });
        return own(model, 502, format!("no answer from {}", call.key.1));
    }
    let turn = turn(model, call);
    log(model, call, turn, &wish);
    if let Some(answer) = files(model, call, &wish).await {
        return answer;
    }
    if let Some(path) = wish.get("write") {
        return write(model, call, path, body).await;
    }
    if let Ok(rest) = HeaderValue::from_str(&wish.without(&["log", "allocate"])) {
        match rest.is_empty() {
            true => drop(call.headers.remove(WISH)),
            false => drop(call.headers.insert(WISH, rest)),
        }
    }
    let address = replica(model, call, turn).await;
    upstream::forward(model, call, address, body).await
}

fn replicas(call: &Call) -> usize {
    usize::try_from(call.function.replicas.clamp(1, 16)).unwrap()
}

/// Which replica has its turn.
fn turn(model: &Model, call: &Call) -> usize {
    match model.wrong(Switch::OneReplicaTakesAll) {
        true => 0,
        false => usize::try_from(call.function.calls).unwrap() % replicas(call),
    }
}

/// One of the replicas, all of which are started when the first is wanted.
async fn replica(model: &Model, call: &Call, turn: usize) -> SocketAddr {
    let count = replicas(call);
    let mut known = call.function.probes.clone();
    if known.len() < count {
        let mut started = Vec::new();
        while known.len() + started.len() < count {
            started.push(Replica::start().await);
        }
        model.change(&call.key, |function| {
            // Another call may have been faster.
            let missing = count.saturating_sub(function.probes.len());
            function
                .probes
                .extend(started.drain(..missing.min(started.len())));
            known = function.probes.clone();
        });
        known.extend(started);
    }
    known[turn % known.len()].address
}

fn over_its_limit(call: &Call, wish: &Wish) -> bool {
    let limits = call.function.deployment.get("limits");
    let memory = limits.and_then(|limits| limits["memory"].as_str());
    let limit = memory.and_then(|memory| memory.strip_suffix("Mi")?.parse().ok());
    limit.is_some_and(|limit: usize| wish.number("allocate") > limit)
}

/// What is read from the process and its files.
async fn files(model: &Model, call: &Call, wish: &Wish) -> Option<Answer> {
    if wish.get("env").is_some() {
        return Some(bytes(200, programs::variables(model, call)));
    }
    if let Some(path) = wish.get("read") {
        let content = programs::file(model, call, path);
        return Some(match content {
            Some(content) => bytes(200, content),
            None => refusal(500, format!("{path}: No such file or directory")),
        });
    }
    let path = wish.get("stat")?;
    let known = programs::file(model, call, path).is_some();
    let mode = match model.wrong(Switch::SecretForRootOnly) {
        true => "0400",
        false => "0444",
    };
    let stat = json!({"mode": mode, "uid": 0, "gid": 0, "me": 65534});
    Some(match known {
        true => answer::json(200, &stat),
        false => refusal(500, format!("{path}: No such file or directory")),
    })
}

async fn write(model: &Model, call: &Call, path: &str, body: Body) -> Answer {
    let Ok(body) = body.collect().await else {
        return bytes(400, "");
    };
    let body = body.to_bytes();
    let locked = call
        .function
        .deployment
        .contains_key("readOnlyRootFilesystem")
        && !model.wrong(Switch::ReadOnlyIgnored);
    let writable = path.starts_with("/tmp/") && !model.wrong(Switch::NothingWritable);
    if path.starts_with(SECRETS) && !model.wrong(Switch::SecretWritable) {
        return refusal(500, format!("{path}: Permission denied"));
    }
    if !writable && locked {
        return refusal(500, format!("{path}: Read-only file system"));
    }
    let written = body.len();
    model.change(&call.key, |function| {
        function.files.insert(path.to_owned(), body.to_vec());
    });
    answer::json(200, &json!({"written": written}))
}

fn log(model: &Model, call: &Call, turn: usize, wish: &Wish) {
    let length = wish.number("length").min(LONGEST_LINE);
    let filling = match wish.get("kind").unwrap_or_default() {
        "empty" => None,
        "unicode" => Some("ü€😀"),
        "binary" => Some("\u{fffd}\u{fffd}\u{fffd}"),
        _ => Some("abcdefghijklmnopqrstuvwxyz"),
    };
    for number in 1..=wish.number("log") {
        let Some(filling) = filling else {
            model.log(&call.key, turn, String::new());
            continue;
        };
        let mut line = format!("line {number} ");
        while line.len() < length {
            line.push_str(filling);
        }
        model.log(&call.key, turn, line);
    }
    if wish.get("log").is_some() {
        let words = format!("{} / - 200 OK", call.method);
        model.change(&call.key, |function| function.last_words = Some(words));
    }
}
