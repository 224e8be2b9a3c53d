//! What all `/system` handlers do with a request: read its query and body, find out the namespace, answer JSON.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;

use super::BODY_LIMIT_BYTES;
use crate::{ProviderError, Wire, decode, is_dns_label};

/// The body of a request. Its `Content-Type` is not looked at: existing clients send what they like.
pub(super) struct Sent<T>(pub(super) T);

impl<T: Wire, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = ProviderError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ProviderError> {
        decode(&read(request.into_body()).await?).map(Self)
    }
}

async fn read(body: Body) -> Result<bytes::Bytes, ProviderError> {
    match Limited::new(body, BODY_LIMIT_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ProviderError::TooLarge(BODY_LIMIT_BYTES))
        }
        Err(error) => Err(ProviderError::invalid(
            "body",
            format!("cannot be read ({error})"),
        )),
    }
}

/// A parameter of the query; the last one counts where it is repeated.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs
        .filter(|(key, _)| key == name)
        .last()
        .map(|(_, value)| value.into_owned())
}

/// The namespace that query and body name, or the default one. The two may not differ.
pub(super) fn namespace(
    query: Option<&str>,
    body: &str,
    default: &str,
) -> Result<String, ProviderError> {
    let query = parameter(query, "namespace").filter(|namespace| !namespace.is_empty());
    let named = match (query.as_deref(), body) {
        (Some(query), body) if !body.is_empty() && query != body => {
            let reason = format!("the query says `{query}`, the body says `{body}`");
            return Err(ProviderError::invalid("namespace", reason));
        }
        (Some(query), _) => query,
        (None, "") => default,
        (None, body) => body,
    };
    if !is_dns_label(named) {
        return Err(ProviderError::invalid(
            "namespace",
            format!("`{named}` is no name of a namespace"),
        ));
    }
    Ok(named.to_owned())
}

/// A value as JSON, 200.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => ProviderError::backend(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_and_body_may_both_name_the_namespace_but_not_differ() {
        let of =
            |query, body| namespace(query, body, "openfaas-fn").map_err(|error| error.to_string());
        assert_eq!(of(None, ""), Ok("openfaas-fn".to_owned()));
        assert_eq!(of(Some("namespace="), ""), Ok("openfaas-fn".to_owned()));
        assert_eq!(of(Some("namespace=a&namespace=b"), ""), Ok("b".to_owned()));
        assert_eq!(of(Some("namespace=a"), "a"), Ok("a".to_owned()));
        assert_eq!(of(None, "a"), Ok("a".to_owned()));
        assert!(
            of(Some("namespace=a"), "b")
                .is_err_and(|error| error.starts_with("namespace: the query says"))
        );
        assert!(
            of(Some("namespace=..%2Fx"), "")
                .is_err_and(|error| error.starts_with("namespace: `../x`"))
        );
    }
}
