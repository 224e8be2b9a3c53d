//! One call: its limits, and how its answer is passed on.

use std::time::Duration;

use ::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use faas_http::duration;
use faas_http::forward::{Body, Failure, REMAINING_MS};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::body::Answer;
use super::fault::{Fault, Limit};
use crate::access::Access;
use crate::answer::Response;
use crate::config::{self, Config};
use crate::watchdog::App;
use crate::{request, sniff};

const TIMEOUT: HeaderName = HeaderName::from_static("x-timeout");

/// Types of answers that go on for as long as they like.
const STREAMS: [&str; 2] = ["text/event-stream", "application/x-ndjson"];

/// What is known of a call from its headers.
pub(super) struct Call {
    started: Instant,
    /// Whether the caller asks for a stream, which only `write_timeout` ends.
    stream: bool,
    /// `exec_timeout`, or what the caller gave with `X-Timeout`, and when it passes.
    limit: Option<(Limit, Instant)>,
    /// The time that the caller gave with `X-Remaining-Ms`, and when it passes.
    patience: Option<(Limit, Instant)>,
    /// Taken by the answer: it is logged when its body has ended.
    access: Option<Access>,
}

impl Call {
    pub(super) fn of(app: &App, request: &Request<request::Body>) -> Self {
        let (started, headers) = (Instant::now(), request.headers());
        let ends = |limit: Option<Limit>| {
            let limit = limit?;
            Some((limit, started.checked_add(limit.time())?))
        };
        let target = request.uri().path_and_query();
        let target = target.map_or("/", |target| target.as_str());
        let access = Access::of(app, request.method(), target, headers, started);
        Self {
            started,
            stream: names_a_stream(headers, &ACCEPT),
            limit: ends(limit(app.config.exec_timeout, headers)),
            patience: ends(request::remaining(headers).map(Limit::Remaining)),
            access: Some(access),
        }
    }

    pub(super) fn is_stream(&self) -> bool {
        self.stream
    }

    pub(super) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// What `exec_timeout` leaves.
    pub(super) fn left(&self) -> Option<Duration> {
        self.limit.map(|(_, end)| until(end))
    }

    /// Why it was not forwarded to the end.
    pub(super) fn fault(&self, failure: Failure) -> Fault {
        let [limit, left] = [self.limit, self.patience].map(|end| end.map(|(limit, _)| limit));
        Fault::of(failure, limit, left)
    }

    /// For what is done before the request is forwarded, and counts all the same.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        let ends = self.limit.into_iter().chain(self.patience);
        match ends.min_by_key(|(_, end)| *end) {
            Some((limit, end)) => timeout_at(end, work)
                .await
                .map_err(|_| Fault::TimedOut(limit)),
            None => Ok(work.await),
        }
    }

    /// Takes the time that has passed here from what the caller gave.
    pub(super) fn lower_remaining(&self, headers: &mut HeaderMap) {
        if let Some((_, patience)) = self.patience {
            let left = until(patience).as_millis();
            let left = u64::try_from(left).unwrap_or(u64::MAX);
            headers.insert(REMAINING_MS, left.into());
        }
    }

    /// The answer as it is passed on: its type guessed where it has none, broken off at the deadline.
    pub(super) async fn answers(
        &mut self,
        method: &Method,
        response: ::http::Response<Body>,
    ) -> Result<Response, Fault> {
        let (mut head, body) = response.into_parts();
        let endless = self.stream || names_a_stream(&head.headers, &CONTENT_TYPE);
        let mut body = Answer::new(body, self.limit.filter(|_| !endless));
        if has_no_type(method, head.status, &head.headers)
            && let Some(beginning) = body.peek().await?
        {
            let guessed =
                sniff::content_type(&beginning[..beginning.len().min(sniff::LOOKED_AT_BYTES)]);
            head.headers
                .insert(CONTENT_TYPE, HeaderValue::from_static(guessed));
        }
        body.access = self.access(head.status);
        Ok(Response::from_parts(head, body.boxed_unsync()))
    }

    /// The answer of a call that the process did not answer.
    pub(super) fn fails(&mut self, config: &Config, fault: Fault) -> Response {
        let response = fault.answer(config);
        drop(self.access(response.status()));
        response
    }

    fn access(&mut self, status: StatusCode) -> Option<Access> {
        let mut access = self.access.take()?;
        access.status = status.as_u16();
        if self.stream || status == StatusCode::SWITCHING_PROTOCOLS {
            access.measure = "Bytes";
        } else {
            access.reason = status.canonical_reason();
        }
        Some(access)
    }
}

fn until(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}

/// `exec_timeout`, or a shorter `X-Timeout`. Without the first the other has no meaning, and it cannot lift a limit.
fn limit(exec_timeout: config::Limit, headers: &HeaderMap) -> Option<Limit> {
    let most = exec_timeout.get()?;
    let said = headers.get(TIMEOUT).and_then(|said| said.to_str().ok());
    // A Go duration has units.
    let said = said.filter(|said| said.ends_with(|end: char| end.is_ascii_alphabetic()));
    let said = said.and_then(|said| duration::parse(said).ok());
    let less = said.filter(|said| !said.is_zero() && *said <= most);
    Some(less.map_or(Limit::ExecTimeout(most), Limit::Timeout))
}

fn names_a_stream(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().any(|value| {
        let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        STREAMS.iter().any(|kind| value.contains(kind))
    })
}

/// Whether there may be a body of which nothing is said.
fn has_no_type(method: &Method, status: StatusCode, headers: &HeaderMap) -> bool {
    let bodiless = [
        StatusCode::SWITCHING_PROTOCOLS,
        StatusCode::NO_CONTENT,
        StatusCode::NOT_MODIFIED,
    ];
    method != Method::HEAD
        && !bodiless.contains(&status)
        && !headers.contains_key(CONTENT_TYPE)
        && !headers.contains_key(CONTENT_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_can_shorten_the_limit_and_not_lift_it() {
        let second = config::Limit::new(Duration::from_secs(1));
        let none = config::Limit::new(Duration::ZERO);
        let text = |limit: Option<Limit>| limit.map(|limit| limit.to_string());
        for (said, limited) in [
            ("500ms", "X-Timeout=500ms"),
            ("1s", "X-Timeout=1s"),
            ("10s", "exec_timeout=1s"),
            ("0s", "exec_timeout=1s"),
            ("-1s", "exec_timeout=1s"),
            ("1", "exec_timeout=1s"),
            ("0", "exec_timeout=1s"),
            ("soon", "exec_timeout=1s"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT, HeaderValue::from_static(said));
            let got = text(limit(second, &headers));
            assert_eq!(got.as_deref(), Some(limited), "{said}");
            assert_eq!(text(limit(none, &headers)), None, "{said}");
        }
    }
}
