//! The functions: the programs that the suite asks for, played in memory.

use std::process::Stdio;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, LOCATION};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::Model;
use super::answer::{Answer, Body, bytes, set, typed};
use super::call::Call;
use super::probe;
use crate::switch::Switch;

pub(crate) const SECRETS: &str = "/var/openfaas/secrets/";

/// What a process leaves behind.
struct Output {
    bytes: Vec<u8>,
    /// Whether it ended with 0.
    good: bool,
}

pub(crate) async fn run(model: &Model, call: &mut Call, body: Body) -> Answer {
    match call.function.text("image") {
        "redirector" => redirect(model, call),
        "probe" => probe::call(model, call, body).await,
        _ => classic(model, call, body).await,
    }
}

/// An http-mode function that answers 302 with its variable `destination`.
fn redirect(model: &Model, call: &Call) -> Answer {
    let destination = call
        .function
        .entry("envVars", "destination")
        .unwrap_or("https://example.com");
    let mut answer = typed(
        302,
        "text/html; charset=utf-8",
        "<a href=\"#\">Found</a>.\n",
    );
    match model.switch {
        Some(Switch::RedirectFollowed) => return bytes(200, "landed"),
        Some(Switch::LocationRewritten) => set(&mut answer, LOCATION, "/"),
        _ => set(&mut answer, LOCATION, destination),
    }
    answer
}

/// A classic watchdog: a process per call, the body as its input, its output as the answer.
async fn classic(model: &Model, call: &Call, body: Body) -> Answer {
    let Ok(body) = body.collect().await else {
        return bytes(400, "");
    };
    let body = mistake(model, body.to_bytes());
    let process = call.process(model).to_owned();
    log(model, call, format!("Forking fprocess - {process}"));
    let output = execute(model, call, &process, &body).await;
    let length = if model.wrong(Switch::WrongLength) {
        0
    } else {
        output.bytes.len()
    };
    log(
        model,
        call,
        format!("Wrote {length} Bytes - Duration: 0.001000 seconds"),
    );

    let status = if output.good || model.wrong(Switch::FailuresAre200) {
        200
    } else {
        500
    };
    let mut answer = bytes(
        status,
        if call.method == Method::HEAD {
            Vec::new()
        } else {
            output.bytes
        },
    );
    let kind = call
        .headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    set(
        &mut answer,
        CONTENT_TYPE,
        kind.unwrap_or("text/plain; charset=utf-8"),
    );
    answer
}

fn mistake(model: &Model, body: Bytes) -> Bytes {
    match model.switch {
        Some(Switch::BodyDropped) => Bytes::new(),
        Some(Switch::BodyCut) => body.slice(..body.len().min(1 << 16)),
        Some(Switch::BodyAsText) => String::from_utf8_lossy(&body).into_owned().into(),
        _ => body,
    }
}

/// Split at single blanks: there is no shell.
async fn execute(model: &Model, call: &Call, process: &str, body: &[u8]) -> Output {
    let mut words = process.split(' ');
    let program = words.next().unwrap_or_default();
    let argument = words.next();
    match (program, argument) {
        ("cat", None) => good(body),
        ("cat", Some(path)) => read(model, call, path),
        ("env", None) => good(environment(model, call)),
        ("sha512sum", None) => good(digest(body).await),
        _ => Output {
            bytes: format!("exec: {program:?}: no such program here\n").into_bytes(),
            good: false,
        },
    }
}

fn good(bytes: impl Into<Vec<u8>>) -> Output {
    let bytes = bytes.into();
    Output { bytes, good: true }
}

/// The content of a file, or what `cat` says about it.
fn read(model: &Model, call: &Call, path: &str) -> Output {
    let missing = || Output {
        bytes: format!("cat: can't open '{path}': No such file or directory\n").into_bytes(),
        good: false,
    };
    file(model, call, path).map_or_else(missing, good)
}

/// A file: a mounted secret, or one that the function has written.
pub(crate) fn file(model: &Model, call: &Call, path: &str) -> Option<Vec<u8>> {
    let (namespace, _) = &call.key;
    let state = model.state();
    let Some(name) = path.strip_prefix(SECRETS) else {
        return state.functions.get(&call.key)?.files.get(path).cloned();
    };
    let mounted = call.function.deployment.get("secrets")?.as_array()?;
    let mounted = mounted.iter().any(|secret| secret == name);
    let key = (namespace.clone(), name.to_owned());
    state.secrets.get(&key).filter(|_| mounted).cloned()
}

/// The variables of the process, a line each.
pub(crate) fn variables(model: &Model, call: &Call) -> String {
    let mut text = String::from("PATH=/bin\n");
    for (name, value) in call.function.entries("envVars") {
        let value = match model.switch {
            Some(Switch::EnvValueLost) => String::new(),
            Some(Switch::EnvTemplated) => value.replace("{{", "").replace("}}", ""),
            _ => value.to_owned(),
        };
        text.push_str(&format!("{name}={value}\n"));
    }
    text + &format!("fprocess={}\n", call.process(model))
}

/// The variables, and what a watchdog says about the request.
fn environment(model: &Model, call: &Call) -> String {
    let mut text = variables(model, call);
    let mut say = |name: &str, value: &str| text.push_str(&format!("{name}={value}\n"));
    say(
        "Http_Method",
        match model.switch {
            Some(Switch::EveryCallIsGet) => "GET",
            Some(Switch::EveryCallIsPost) => "POST",
            _ => call.method.as_str(),
        },
    );
    say("Http_Path", &call.path);
    if !call.query.is_empty() {
        say("Http_Query", &call.query);
    }
    for (name, value) in &call.headers {
        let name = canonical(name.as_str());
        say(
            &format!("Http_{name}"),
            &String::from_utf8_lossy(value.as_bytes()),
        );
    }
    text
}

/// `x-forwarded-for` as `X_Forwarded_For`.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("_")
}

async fn digest(body: &[u8]) -> Vec<u8> {
    let mut child = Command::new("sha512sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(body).await.unwrap();
    child.wait_with_output().await.unwrap().stdout
}

fn log(model: &Model, call: &Call, text: String) {
    if model.wrong(Switch::NoForkingLine) && text.starts_with("Forking") {
        return;
    }
    model.log(&call.key, 0, format!("2026/03/03 14:05:09 {text}"));
}
