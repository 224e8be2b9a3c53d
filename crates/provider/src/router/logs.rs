//! Log lines as newline-delimited JSON, each sent as it comes.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use http::header::CONTENT_TYPE;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::App;
use super::request::{function, parameter, possible};
use crate::{LogMessage, LogRequest, Provider, ProviderError};

/// Streams the log of one function. Ends when the lines do, when the caller hangs up, or when the service stops, and
/// always cleanly; a followed log has no other limit.
pub(super) async fn stream<P: Provider>(
    State(app): State<App<P>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ProviderError> {
    let query = query.as_deref();
    let name = parameter(query, "name").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| {
        ProviderError::invalid("name", "required: the function whose log is wanted")
    })?;
    let default = &app.options.default_namespace;
    let name = possible(function(&name, query, "", default)?)?;
    let lines = app.provider.logs(&name, wanted(query)?).await?;
    let stop = app.options.stop.clone();
    let lines = lines
        .take_until(stop.cancelled_owned())
        .map(|line| Ok::<_, Infallible>(encode(&line)));
    Ok((
        [(CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(lines),
    )
        .into_response())
}

fn wanted(query: Option<&str>) -> Result<LogRequest, ProviderError> {
    let given = |name| parameter(query, name).filter(|value| !value.is_empty());
    let tail = match given("tail") {
        None => None,
        Some(text) => {
            let number: i64 = text.parse().map_err(|_| ProviderError::InvalidLogRequest {
                field: "tail",
                reason: format!("`{text}` is no whole number"),
            })?;
            usize::try_from(number).ok().filter(|tail| *tail > 0)
        }
    };
    let since = given("since").map(|text| {
        OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| ProviderError::InvalidLogRequest {
            field: "since",
            reason: format!("`{text}` is no time as in RFC 3339 (2026-01-02T03:04:05Z)"),
        })
    });
    let follow = given("follow")
        .is_some_and(|text| matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"));
    Ok(LogRequest {
        instance: given("instance"),
        tail,
        follow,
        since: since.transpose()?,
    })
}

fn encode(line: &LogMessage) -> Bytes {
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_as_existing_clients_send_them() {
        let request = wanted(Some(
            "tail=-1&follow=true&since=2026-01-02T03:04:05Z&instance=",
        ))
        .unwrap();
        assert_eq!(
            (request.tail, request.follow, request.instance),
            (None, true, None)
        );
        assert_eq!(
            wanted(Some("tail=5&tail=7&follow=maybe")).unwrap().tail,
            Some(7)
        );
        for (query, field) in [
            ("tail=x", "tail: `x`"),
            ("since=yesterday", "since: `yesterday`"),
        ] {
            let error = wanted(Some(query)).unwrap_err();
            assert_eq!(error.status(), 422);
            assert!(error.to_string().starts_with(field), "{error}");
        }
    }
}
