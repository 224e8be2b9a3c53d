//! Version 1: the JSON that the original's gateway queues. Read, never written.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};
use url::Url;

use crate::InvocationId;
use crate::call::{Header, QueuedCall};
use crate::envelope::FormatError;

/// What may stand in a URL's path as it is (RFC 3986, section 3.3), `%` apart: the path was decoded before it was queued.
const PATH_BYTES: &[u8] = b"-._~!$&'()*+,;=:@/";

/// Reads a queued call of the original. It has no id of ours and no time: both are given by who reads it.
///
/// Keys count in any case, unknown ones do not, `null` is absent, and a callback URL may be an object or a text.
///
/// # Errors
/// When it is no JSON object, has no function, or a value is of the wrong kind.
pub fn decode(
    payload: &[u8],
    id: InvocationId,
    accepted_ms: u64,
) -> Result<QueuedCall, FormatError> {
    let object: Map<String, Value> =
        serde_json::from_slice(payload).map_err(FormatError::garbage)?;
    let fields = Fields(
        object
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.to_ascii_lowercase(), value))
            .collect(),
    );
    let function = fields.text("function")?.unwrap_or_default();
    let function = function.trim_matches('/');
    if function.is_empty() {
        return Err(FormatError::garbage("Function is missing"));
    }
    let headers = fields.headers()?;
    let call_id = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("x-call-id"));
    let call_id = call_id.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    let query = fields.text("querystring")?.unwrap_or_default();
    let query = query.trim_start_matches('?');
    Ok(QueuedCall {
        id,
        call_id: call_id.unwrap_or_else(|| id.to_string()),
        queue: fields.text("queuename")?.unwrap_or_default(),
        function: function.to_owned(),
        called: function.to_owned(),
        // Compat: whatever `Method` says, the original's worker posts.
        method: "POST".to_owned(),
        host: fields.text("host")?.unwrap_or_default(),
        path: encoded(&fields.text("path")?.unwrap_or_default()),
        query: (!query.is_empty()).then(|| query.to_owned()),
        headers,
        body: fields.body()?,
        callback_url: fields.callback_url()?,
        keep_result: false,
        accepted_ms,
        annotations: fields.annotations()?,
    })
}

struct Fields(BTreeMap<String, Value>);

impl Fields {
    fn text(&self, key: &str) -> Result<Option<String>, FormatError> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(FormatError::Garbage(format!("{key} is no text"))),
        }
    }

    fn body(&self) -> Result<Bytes, FormatError> {
        let text = self.text("body")?.unwrap_or_default();
        let bytes = STANDARD.decode(text);
        bytes
            .map(Bytes::from)
            .map_err(|error| FormatError::Garbage(format!("body: {error}")))
    }

    fn headers(&self) -> Result<Vec<Header>, FormatError> {
        let Some(value) = self.0.get("header") else {
            return Ok(Vec::new());
        };
        let lists: BTreeMap<String, Option<Vec<String>>> =
            serde_json::from_value(value.clone()).map_err(FormatError::garbage)?;
        let pairs = lists.into_iter().flat_map(|(name, values)| {
            let name = name.to_ascii_lowercase();
            let values = values.unwrap_or_default().into_iter();
            values.map(move |value| (name.clone(), value.into_bytes()))
        });
        Ok(pairs.filter(|(name, _)| !is_connections(name)).collect())
    }

    fn annotations(&self) -> Result<BTreeMap<String, String>, FormatError> {
        let value = self.0.get("annotations").cloned();
        let map = value.map(serde_json::from_value).transpose();
        map.map(Option::unwrap_or_default)
            .map_err(FormatError::garbage)
    }

    fn callback_url(&self) -> Result<Option<String>, FormatError> {
        match self.0.get("callbackurl") {
            None => Ok(None),
            Some(Value::String(url)) => Ok((!url.is_empty()).then(|| url.clone())),
            Some(Value::Object(parts)) => Ok(rebuilt(parts)),
            Some(_) => Err(FormatError::garbage("CallbackUrl is no URL")),
        }
    }
}

/// Headers of the caller's connection, and what the original writes anew.
fn is_connections(name: &str) -> bool {
    [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
    .contains(&name)
}

/// A decoded path, encoded again, with the slash that every path has.
fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        text.push('/');
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || PATH_BYTES.contains(&byte) {
            text.push(byte.into());
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// The URL of which these are Go's parts; user and password were lost on the way.
fn rebuilt(parts: &Map<String, Value>) -> Option<String> {
    let part = |key: &str| {
        let found = parts
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(key));
        found
            .and_then(|(_, value)| value.as_str())
            .unwrap_or_default()
    };
    let (scheme, host) = (part("scheme"), part("host"));
    if scheme.is_empty() || host.is_empty() {
        return None;
    }
    let mut url = Url::parse(&format!("{scheme}://{host}")).ok()?;
    match part("rawpath") {
        "" => url.set_path(&encoded(part("path"))),
        raw => url.set_path(raw),
    }
    let query = part("rawquery");
    let forced = parts.get("ForceQuery").and_then(Value::as_bool) == Some(true);
    url.set_query((forced || !query.is_empty()).then_some(query));
    let fragment = part("fragment");
    url.set_fragment((!fragment.is_empty()).then_some(fragment));
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<QueuedCall, FormatError> {
        decode(value.to_string().as_bytes(), InvocationId::new(), 7)
    }

    #[test]
    fn a_message_of_the_newest_original_is_read_whole() {
        let call = read(json!({
            "Header": {"Content-Type": ["text/plain"], "X-Call-Id": ["c-1"], "Content-Length": ["5"], "Accept": ["a", "b"]},
            "Host": "gw.example:8080", "Body": "aGVsbG8=", "Method": "PUT", "Path": "/re size/%/ä?", "QueryString": "?w=10",
            "Function": "thumb.prod", "QueueName": "slow", "Annotations": {"com.openfaas.retry.attempts": "3"},
            "CallbackUrl": {"Scheme": "http", "Opaque": "", "User": null, "Host": "10.1.2.3:9000", "Path": "/done",
                "RawPath": "", "OmitHost": false, "ForceQuery": false, "RawQuery": "k=1", "Fragment": "", "RawFragment": ""}
        }))
        .unwrap();
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let headers = [
            header("accept", "a"),
            header("accept", "b"),
            header("content-type", "text/plain"),
            header("x-call-id", "c-1"),
        ];
        assert_eq!(call.headers, headers);
        assert_eq!((call.call_id.as_str(), call.accepted_ms), ("c-1", 7));
        assert_eq!(
            (call.method.as_str(), &call.body[..]),
            ("POST", &b"hello"[..])
        );
        assert_eq!(call.path, "/re%20size/%25/%C3%A4%3F");
        assert_eq!(call.query.as_deref(), Some("w=10"));
        assert_eq!(
            (call.function.as_str(), call.queue.as_str()),
            ("thumb.prod", "slow")
        );
        assert_eq!(call.annotations["com.openfaas.retry.attempts"], "3");
        assert_eq!(
            call.callback_url.as_deref(),
            Some("http://10.1.2.3:9000/done?k=1")
        );
    }

    #[test]
    fn what_may_be_missing_or_odd() {
        let bare =
            read(json!({"function": "f", "Header": null, "Body": null, "CallbackUrl": null}))
                .unwrap();
        assert_eq!(
            (bare.path.as_str(), bare.query, bare.callback_url),
            ("/", None, None)
        );
        assert!(bare.headers.is_empty() && bare.body.is_empty());
        let text =
            read(json!({"Function": "/f/", "CallbackUrl": "http://sink/x", "New": 1})).unwrap();
        assert_eq!(
            (text.function.as_str(), text.callback_url.as_deref()),
            ("f", Some("http://sink/x"))
        );
    }

    #[test]
    fn what_is_no_call_is_refused_in_words() {
        for (value, words) in [
            (json!([]), "invalid type"),
            (json!({}), "Function is missing"),
            (json!({"Function": 7}), "function is no text"),
            (json!({"Function": "f", "Body": "%"}), "body: "),
            (
                json!({"Function": "f", "CallbackUrl": 7}),
                "CallbackUrl is no URL",
            ),
            (
                json!({"Function": "f", "Header": {"A": "b"}}),
                "invalid type",
            ),
        ] {
            let error = read(value.clone()).unwrap_err().to_string();
            assert!(error.contains(words), "{value}: {error}");
        }
        assert!(decode(b"hello", InvocationId::new(), 0).is_err());
    }
}
