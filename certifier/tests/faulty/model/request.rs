//! A request of the system API, read.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::Method;
use hyper::body::Incoming;
use serde_json::{Map, Value};

use super::answer::{Answer, refusal};
use super::state::DEFAULT;

/// The longest body that the system API reads.
pub(crate) const LONGEST_BODY: usize = 2 << 20;

/// A request of the system API with its whole body.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Request {
    /// Reads the body, or answers that it is too long.
    pub(crate) async fn read(request: hyper::Request<Incoming>) -> Result<Self, Answer> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, LONGEST_BODY).collect().await;
        let body = body.map_err(|_| {
            let longest = format!("the body is longer than {LONGEST_BODY} bytes");
            refusal(413, longest)
        })?;
        Ok(Self {
            method: head.method,
            query: parse_query(head.uri.query().unwrap_or_default()),
            body: body.to_bytes(),
        })
    }

    /// A parameter of the query. Given twice, the last counts.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut given = self.query.iter().rev();
        given
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as a JSON object, its keys in the spelling of the API.
    pub(crate) fn object(&self, known: &[&str]) -> Result<Map<String, Value>, Answer> {
        let value: Value = serde_json::from_slice(&self.body)
            .map_err(|error| refusal(400, format!("the body is not JSON: {error}")))?;
        let Value::Object(object) = value else {
            return Err(refusal(400, "the body is not a JSON object"));
        };
        let spelt = |key: String| {
            let known = known.iter().find(|known| known.eq_ignore_ascii_case(&key));
            known.map_or(key, |known| (*known).to_owned())
        };
        Ok(object
            .into_iter()
            .map(|(key, value)| (spelt(key), value))
            .collect())
    }

    /// The namespace, from the query or from the body; they must not disagree.
    pub(crate) fn namespace(&self, body: &Map<String, Value>) -> Result<String, Answer> {
        let in_query = self.parameter("namespace").filter(|name| !name.is_empty());
        let in_body = text(body, "namespace")?;
        let in_body = (!in_body.is_empty()).then_some(in_body);
        match (in_query, in_body) {
            (Some(query), Some(body)) if query != body => {
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
