//! What is stored of calls, as JSON for people and programs.

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use faas_queue::{Answer, Callback, Header, QueuedCall};
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A value as the body of an answer.
pub(crate) struct Json(pub(crate) Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], self.0.to_string()).into_response()
    }
}

/// Milliseconds since 1970 as RFC 3339.
pub(crate) fn instant(ms: u64) -> Value {
    let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
    let text = instant
        .ok()
        .and_then(|instant| instant.format(&Rfc3339).ok());
    text.into()
}

/// An answer that was kept.
pub(crate) fn answer(answer: &Answer) -> Value {
    let mut said = json!({"status": answer.status, "headers": headers(&answer.headers)});
    put_body(&mut said, &answer.body);
    if answer.truncated {
        said["truncated"] = true.into();
    }
    said
}

/// A call that was stored.
pub(crate) fn call(call: &QueuedCall) -> Value {
    let mut said = json!({
        "method": call.method,
        "host": call.host,
        "path": call.path,
        "query": call.query,
        "queue": call.queue,
        "headers": headers(&call.headers),
        "callbackUrl": call.callback_url,
        "acceptedAt": instant(call.accepted_ms),
        "annotations": call.annotations,
    });
    put_body(&mut said, &call.body);
    said
}

/// A callback that was stored.
pub(crate) fn callback(callback: &Callback) -> Value {
    json!({"url": callback.url, "answer": answer(&callback.answer)})
}

/// Names with all their values; what is no text is shown as well as can be.
fn headers(headers: &[Header]) -> Value {
    let mut map: Map<String, Value> = Map::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value).into_owned();
        let values = map.entry(name.clone()).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(value.into());
        }
    }
    map.into()
}

/// Text as `body`, anything else as `bodyBase64`.
fn put_body(said: &mut Value, body: &[u8]) {
    match std::str::from_utf8(body) {
        Ok(text) => said["body"] = text.into(),
        Err(_) => said["bodyBase64"] = STANDARD.encode(body).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_told_apart() {
        let with = |body: &'static [u8]| {
            answer(&Answer {
                status: 200,
                headers: vec![("a".into(), b"1".to_vec()), ("a".into(), b"2".to_vec())],
                body: body.into(),
                truncated: false,
            })
        };
        let headers = json!({"a": ["1", "2"]});
        let text = json!({"status": 200, "headers": headers, "body": "x"});
        assert_eq!(with(b"x"), text);
        assert_eq!(with(b"\xff")["bodyBase64"], "/w==");
    }

    #[test]
    fn instants_are_told_as_everybody_writes_them() {
        assert_eq!(
            instant(1_700_000_000_123),
            json!("2023-11-14T22:13:20.123Z")
        );
        assert_eq!(instant(u64::MAX), Value::Null);
    }
}
