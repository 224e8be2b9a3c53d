//! A request of the system API, read.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method};
use serde_json::{Map, Value};

use super::Model;
use super::answer::{Answer, refusal};
use super::state::DEFAULT;
use crate::switch::Switch;

/// The longest body that the system API reads.
pub(crate) const LONGEST_BODY: usize = 2 << 20;

/// A request of the system API with its whole body.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether others like it are under way, if that matters.
    pub(crate) crowded: bool,
    switch: Option<Switch>,
}

impl Request {
    /// Reads the body, or answers that it is too long.
    pub(crate) async fn read(
        model: &Model,
        request: hyper::Request<Incoming>,
    ) -> Result<Self, Answer> {
        let (head, body) = request.into_parts();
        let limit = match model.wrong(Switch::BodyLimitMissing) {
            true => usize::MAX,
            false => LONGEST_BODY,
        };
        let body = Limited::new(body, limit).collect().await;
        let body = body.map_err(|_| {
            let longest = format!("the body is longer than {LONGEST_BODY} bytes");
            refusal(413, longest)
        })?;
        Ok(Self {
            method: head.method,
            query: parse_query(head.uri.query().unwrap_or_default()),
            headers: head.headers,
            body: body.to_bytes(),
            crowded: false,
            switch: model.switch,
        })
    }

    /// A parameter of the query. Given twice, the last counts.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut given = self.query.iter().filter(|(key, _)| key == name);
        let wanted = match self.switch {
            Some(Switch::FirstParameterWins) => given.next(),
            _ => given.next_back(),
        };
        wanted.map(|(_, value)| value.as_str())
    }

    /// The body as a JSON object, its keys in the spelling of the API.
    pub(crate) fn object(&self, known: &[&str]) -> Result<Map<String, Value>, Answer> {
        let bad = |line: String| match self.switch {
            Some(Switch::BadJsonIs500) => refusal(500, line),
            _ => refusal(400, line),
        };
        let value = self
            .parse()
            .map_err(|error| bad(format!("the body is not JSON: {error}")))?;
        let Value::Object(object) = value else {
            return Err(bad("the body is not a JSON object".to_owned()));
        };
        let spelt = |key: String| {
            let known = known.iter().find(|known| match self.switch {
                Some(Switch::KeyCaseMatters) => **known == key,
                _ => known.eq_ignore_ascii_case(&key),
            });
            known.map_or(key, |known| (*known).to_owned())
        };
        let object: Map<_, _> = object
            .into_iter()
            .map(|(key, value)| (spelt(key), value))
            .collect();
        match object.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) if self.switch == Some(Switch::UnknownKeysRefused) => {
                Err(refusal(400, format!("{key}: unknown")))
            }
            _ => Ok(object),
        }
    }

    fn parse(&self) -> serde_json::Result<Value> {
        if self.switch == Some(Switch::TrailingGarbageTaken) {
            let mut values = serde_json::Deserializer::from_slice(&self.body).into_iter();
            return values.next().unwrap_or(Ok(Value::Null));
        }
        serde_json::from_slice(&self.body)
    }

    /// The namespace, from the query or from the body; they must not disagree.
    pub(crate) fn namespace(&self, body: &Map<String, Value>) -> Result<String, Answer> {
        let in_query = self
            .parameter("namespace")
            .filter(|name| !name.is_empty())
            .filter(|_| self.switch != Some(Switch::NamespaceOfQueryIgnored));
        let in_body = text(body, "namespace")?;
        let about_replicas = ["functionName", "replicas"]
            .iter()
            .any(|key| body.contains_key(*key));
        let heard = !about_replicas || self.switch != Some(Switch::NamespaceOfBodyIgnored);
        let in_body = (!in_body.is_empty() && heard).then_some(in_body);
        match (in_query, in_body) {
            (Some(query), Some(body))
                if query != body && self.switch != Some(Switch::NamespaceConflictTaken) =>
            {
                let line = format!("namespace: {query:?} in the query, {body:?} in the body");
                Err(refusal(400, line))
            }
            (query, body) => Ok(query.or(body).unwrap_or(DEFAULT).to_owned()),
        }
    }

    /// The namespace of a request without a body.
    pub(crate) fn namespace_in_query(&self) -> String {
        let given = self.parameter("namespace").filter(|name| !name.is_empty());
        given.unwrap_or(DEFAULT).to_owned()
    }
}

/// A field that has to be a text, or absent.
pub(crate) fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a str, Answer> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(refusal(400, format!("{key}: {other} is not a text"))),
    }
}

fn parse_query(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}
