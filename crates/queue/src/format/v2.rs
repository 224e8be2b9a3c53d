//! Version 2: what we write.

use crate::call::{Answer, Callback, QueuedCall};
use crate::envelope::{Envelope, FormatError};

use super::parts::{push_headers, take_headers};

const ID: &str = "OF-Id";
const CALL_ID: &str = "OF-Call-Id";
const QUEUE: &str = "OF-Queue";
const FUNCTION: &str = "OF-Function";
const CALLED: &str = "OF-Called";
const METHOD: &str = "OF-Method";
const HOST: &str = "OF-Host";
const PATH: &str = "OF-Path";
const QUERY: &str = "OF-Query";
const CALLBACK_URL: &str = "OF-Callback-Url";
const KEEP: &str = "OF-Keep-Result";
const ACCEPTED: &str = "OF-Enqueued";
const ANNOTATIONS: &str = "OF-Annotations";
const STATUS: &str = "OF-Status";
const TRUNCATED: &str = "OF-Truncated";
const TOOK: &str = "OF-Took-Micros";
const RETRIES: &str = "OF-Retries";
const RETRY_MAX: &str = "OF-Retry-Max";

const NANOS_PER_MILLI: u64 = 1_000_000;

/// A call as it is stored.
#[must_use]
pub fn encode_call(call: &QueuedCall) -> Envelope {
    let mut envelope = Envelope::new(call.body.clone());
    envelope.push(ID, call.id);
    envelope.push(CALL_ID, &call.call_id);
    envelope.push(QUEUE, &call.queue);
    envelope.push(FUNCTION, &call.function);
    envelope.push(CALLED, &call.called);
    envelope.push(METHOD, &call.method);
    envelope.push(HOST, &call.host);
    envelope.push(PATH, &call.path);
    envelope.push_some(QUERY, call.query.as_ref());
    envelope.push_some(CALLBACK_URL, call.callback_url.as_ref());
    envelope.push_some(KEEP, call.keep_result.then_some("1"));
    envelope.push(ACCEPTED, call.accepted_ms.saturating_mul(NANOS_PER_MILLI));
    if !call.annotations.is_empty() {
        // Text to text: there is nothing in it that JSON cannot hold.
        let annotations = serde_json::to_string(&call.annotations).unwrap_or_default();
        envelope.push(ANNOTATIONS, annotations);
    }
    push_headers(&mut envelope, &call.headers);
    envelope
}

/// Reads a stored call of version 2.
///
/// # Errors
/// When something is missing, wrong, or newer than this program.
pub fn decode_call(envelope: &Envelope) -> Result<QueuedCall, FormatError> {
    envelope.version()?;
    let owned = |name: &str| envelope.need(name).map(str::to_owned);
    let annotations = envelope.get(ANNOTATIONS).map(serde_json::from_str);
    let accepted: u64 = envelope.number(ACCEPTED)?.unwrap_or_default();
    Ok(QueuedCall {
        id: envelope.need(ID)?.parse().map_err(FormatError::garbage)?,
        call_id: envelope.get(CALL_ID).unwrap_or_default().to_owned(),
        queue: owned(QUEUE)?,
        function: owned(FUNCTION)?,
        called: envelope.get(CALLED).unwrap_or_default().to_owned(),
        method: owned(METHOD)?,
        host: envelope.get(HOST).unwrap_or_default().to_owned(),
        path: owned(PATH)?,
        query: envelope.get(QUERY).map(str::to_owned),
        headers: take_headers(envelope)?,
        body: envelope.payload.clone(),
        callback_url: envelope.get(CALLBACK_URL).map(str::to_owned),
        keep_result: envelope.get(KEEP).is_some(),
        accepted_ms: accepted / NANOS_PER_MILLI,
        annotations: annotations
            .transpose()
            .map_err(FormatError::garbage)?
            .unwrap_or_default(),
    })
}

/// An answer as it is kept.
#[must_use]
pub fn encode_answer(answer: &Answer) -> Envelope {
    let mut envelope = Envelope::new(answer.body.clone());
    envelope.push(STATUS, answer.status);
    envelope.push_some(TRUNCATED, answer.truncated.then_some("1"));
    push_headers(&mut envelope, &answer.headers);
    envelope
}

/// Reads a kept answer.
///
/// # Errors
/// As [`decode_call`].
pub fn decode_answer(envelope: &Envelope) -> Result<Answer, FormatError> {
    envelope.version()?;
    let status = envelope.number(STATUS)?;
    Ok(Answer {
        status: status.ok_or_else(|| FormatError::garbage("OF-Status is missing"))?,
        headers: take_headers(envelope)?,
        body: envelope.payload.clone(),
        truncated: envelope.get(TRUNCATED).is_some(),
    })
}

/// A callback as it is stored.
#[must_use]
pub fn encode_callback(callback: &Callback) -> Envelope {
    let mut envelope = encode_answer(&callback.answer);
    envelope.push(ID, callback.id);
    envelope.push(CALL_ID, &callback.call_id);
    envelope.push(FUNCTION, &callback.function);
    envelope.push(CALLBACK_URL, &callback.url);
    envelope.push(TOOK, callback.took_micros);
    envelope.push_some(RETRIES, callback.retries.map(|(made, _)| made));
    envelope.push_some(RETRY_MAX, callback.retries.map(|(_, most)| most));
    envelope
}

/// Reads a stored callback.
///
/// # Errors
/// As [`decode_call`].
pub fn decode_callback(envelope: &Envelope) -> Result<Callback, FormatError> {
    let answer = decode_answer(envelope)?;
    let made: Option<u32> = envelope.number(RETRIES)?;
    let most: Option<u32> = envelope.number(RETRY_MAX)?;
    Ok(Callback {
        id: envelope.need(ID)?.parse().map_err(FormatError::garbage)?,
        call_id: envelope.get(CALL_ID).unwrap_or_default().to_owned(),
        function: envelope.need(FUNCTION)?.to_owned(),
        url: envelope.need(CALLBACK_URL)?.to_owned(),
        took_micros: envelope.number(TOOK)?.unwrap_or_default(),
        retries: made.zip(most),
        answer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InvocationId;
    use bytes::Bytes;
    use std::collections::BTreeMap;

    pub(crate) fn call() -> QueuedCall {
        QueuedCall {
            id: InvocationId::new(),
            call_id: "c-1".into(),
            queue: "faas-request".into(),
            function: "thumb.openfaas-fn".into(),
            called: "thumb".into(),
            method: "PUT".into(),
            host: "gw:8080".into(),
            path: "/a%2Fb//c%25/ä".into(),
            query: Some("x=%20&y".into()),
            headers: vec![
                ("x-twice".into(), b"1".to_vec()),
                ("x-twice".into(), b"2".to_vec()),
                ("x-bytes".into(), vec![0xff, b' ']),
                ("x-blank".into(), b" a ".to_vec()),
                ("x-empty".into(), Vec::new()),
            ],
            body: Bytes::from_static(b"\0\r\n\r\nbody"),
            callback_url: Some("http://u:p@sink/done?k=1".into()),
            keep_result: true,
            accepted_ms: 1_700_000_000_123,
            annotations: BTreeMap::from([("com.openfaas.retry.codes".into(), "500".into())]),
        }
    }

    #[test]
    fn calls_callbacks_and_answers_survive_the_disk_byte_for_byte() {
        let call = call();
        let bytes = Bytes::from(encode_call(&call).to_bytes());
        let read = Envelope::from_bytes(&bytes).unwrap();
        assert_eq!(decode_call(&read), Ok(call.clone()));

        let callback = Callback {
            id: call.id,
            call_id: call.call_id,
            function: call.function,
            url: "http://sink/".into(),
            took_micros: 12,
            retries: Some((1, 10)),
            answer: Answer {
                status: 418,
                headers: call.headers,
                body: call.body,
                truncated: true,
            },
        };
        let bytes = Bytes::from(encode_callback(&callback).to_bytes());
        let read = Envelope::from_bytes(&bytes).unwrap();
        assert_eq!(decode_callback(&read), Ok(callback));
    }

    #[test]
    fn a_missing_or_wrong_part_is_named() {
        let whole = encode_call(&call());
        for (name, replaced, words) in [
            ("OF-Function", None, "OF-Function is missing"),
            ("OF-Path", None, "OF-Path is missing"),
            ("OF-Id", Some("7"), "`7` is no invocation id"),
            ("OF-V", Some("3"), "version 3"),
            ("HB.x-bytes", Some("%"), "Invalid"),
        ] {
            let mut broken = whole.clone();
            broken.headers.retain(|(known, _)| known != name);
            broken
                .headers
                .extend(replaced.map(|value| (name.into(), value.into())));
            let error = decode_call(&broken).unwrap_err().to_string();
            assert!(error.contains(words), "{name}: {error}");
        }
    }
}
