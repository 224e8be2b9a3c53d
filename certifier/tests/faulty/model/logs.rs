//! `/system/logs`.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use hyper::header::CONTENT_TYPE;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Model;
use super::answer::{Answer, pieces, refusal, set, typed, with_body};
use super::request::Request;
use super::state::{Key, LogLine};
use crate::switch::Switch;

const KIND: &str = "application/x-ndjson";

/// Which lines are wanted.
struct Wanted {
    key: Key,
    instance: Option<String>,
    since: Option<OffsetDateTime>,
}

pub(crate) fn logs(model: &Arc<Model>, request: &Request) -> Result<Answer, Answer> {
    if model.wrong(Switch::LogsNeverEnd) {
        let endless = stream::pending::<io::Result<Bytes>>();
        return Ok(with_body(200, pieces(endless)));
    }
    let name = request.parameter("name").unwrap_or_default();
    if name.is_empty() {
        model.unless(
            Switch::LogsOfNobodyTaken,
            Err(refusal(400, "name: missing")),
        )?;
        return Ok(typed(200, KIND, ""));
    }
    let tail = tail(model, request)?;
    let wanted = Wanted {
        key: (request.namespace_in_query(), name.to_owned()),
        instance: request
            .parameter("instance")
            .filter(|id| !id.is_empty() && !model.wrong(Switch::InstanceIgnored))
            .map(str::to_owned),
        since: since(model, request)?,
    };
    let follow = matches!(
        request.parameter("follow"),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True")
    );

    let mut state = model.state();
    let Some(function) = state.functions.get_mut(&wanted.key) else {
        return Err(match model.switch {
            Some(Switch::LogsOfUnknownEmpty) => typed(200, KIND, ""),
            Some(Switch::LogsOfUnknownIs500) => refusal(500, "function log request failed"),
            _ => refusal(404, format!("function {name} not found")),
        });
    };
    let seen = function.log.lines.len();
    let lines: Vec<_> = function
        .log
        .lines
        .iter()
        .filter(|line| wanted.takes(line))
        .collect();
    let skipped = tail.map_or(0, |tail| lines.len().saturating_sub(tail));
    let text: String = lines[skipped..]
        .iter()
        .map(|line| wanted.write(model, line))
        .collect();
    if let Some(words) = function.last_words.take() {
        let instance = function.instance(0);
        function.log.add(&instance, words);
    }
    if !follow || model.wrong(Switch::FollowIgnored) {
        let kind = if model.wrong(Switch::LogsTyped) {
            "text/plain; charset=utf-8"
        } else {
            KIND
        };
        return Ok(typed(200, kind, text));
    }
    let news = function.log.length.subscribe();
    drop(state);
    Ok(followed(model.clone(), wanted, text, seen, news))
}

/// What was there, then every new line as it comes, until the function is gone.
fn followed(
    model: Arc<Model>,
    wanted: Wanted,
    text: String,
    seen: usize,
    news: tokio::sync::watch::Receiver<usize>,
) -> Answer {
    let begin = (model, wanted, text, seen, news);
    let stream = stream::unfold(begin, async |(model, wanted, text, seen, mut news)| {
        let mut text = text;
        let mut seen = seen;
        while text.is_empty() {
            if model.wrong(Switch::FollowSilent) {
                std::future::pending::<()>().await;
            }
            news.wait_for(|length| *length > seen).await.ok()?;
            let state = model.state();
            let function = state.functions.get(&wanted.key)?;
            let lines = function.log.lines[seen..].iter();
            text = lines
                .filter(|line| wanted.takes(line))
                .map(|line| wanted.write(&model, line))
                .collect();
            seen = function.log.lines.len();
        }
        let piece = Ok::<_, io::Error>(Bytes::from(text));
        Some((piece, (model, wanted, String::new(), seen, news)))
    });
    let mut answer = with_body(200, pieces(stream));
    set(&mut answer, CONTENT_TYPE, KIND);
    answer
}

/// The last so many lines; all of them when it is not positive.
fn tail(model: &Model, request: &Request) -> Result<Option<usize>, Answer> {
    let Some(text) = request.parameter("tail").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if model.wrong(Switch::TailIgnored) {
        return Ok(None);
    }
    let tail: i64 = match text.parse() {
        Ok(tail) => tail,
        Err(_) if model.wrong(Switch::BadTailTaken) => return Ok(None),
        Err(_) => {
            return Err(refusal(
                422,
                format!("tail: {text:?} is not a whole number"),
            ));
        }
    };
    if model.wrong(Switch::TailZeroIsNone) && tail <= 0 {
        return Ok(Some(0));
    }
    Ok(usize::try_from(tail).ok().filter(|&tail| tail > 0))
}

fn since(model: &Model, request: &Request) -> Result<Option<OffsetDateTime>, Answer> {
    let Some(text) = request.parameter("since").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let time = OffsetDateTime::parse(text, &Rfc3339);
    if model.wrong(Switch::SinceIgnored) || (time.is_err() && model.wrong(Switch::BadSinceTaken)) {
        return Ok(None);
    }
    time.map(Some)
        .map_err(|_| refusal(422, format!("since: {text:?} is not a time of RFC 3339")))
}

impl Wanted {
    fn takes(&self, line: &LogLine) -> bool {
        let instance = self.instance.as_ref();
        instance.is_none_or(|instance| *instance == line.instance)
            && self.since.is_none_or(|since| line.at >= since)
    }

    fn write(&self, model: &Model, line: &LogLine) -> String {
        let (namespace, name) = &self.key;
        let mut out = json!({
            "name": name,
            "namespace": namespace,
            "instance": line.instance,
            "timestamp": line.at.format(&Rfc3339).unwrap(),
            "text": line.text,
        });
        match model.switch {
            Some(Switch::LogsPlain) => return format!("{}\n", line.text),
            Some(Switch::LogTimesInSeconds) => {
                out["timestamp"] = json!(line.at.unix_timestamp().to_string());
            }
            Some(Switch::LogTimesMissing) => out["timestamp"] = json!("0001-01-01T00:00:00Z"),
            Some(Switch::LogLinesCut) => {
                out["text"] = json!(line.text.chars().take(4096).collect::<String>());
            }
            Some(Switch::LogsOfAnother) => out["name"] = json!("another"),
            Some(Switch::LogsWithoutNamespace) => out["namespace"] = json!(""),
            Some(Switch::LogsWithoutInstance) => out["instance"] = json!(null),
            _ => {}
        }
        format!("{out}\n")
    }
}
