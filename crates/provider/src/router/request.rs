//! What all `/system` handlers do with a request: read its query and body, find out the namespace, answer JSON.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;

use super::BODY_LIMIT_BYTES;
use crate::{FunctionName, ProviderError, Wire, decode, is_dns_label};

/// The body of a request. Its `Content-Type` is not looked at: existing clients send what they like.
pub(super) struct Sent<T>(pub(super) T);

impl<T: Wire, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = ProviderError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ProviderError> {
        decode(&read(request.into_body()).await?).map(Self)
    }
}

/// The name in a path, percent-decoded. One that is no text is 404 like every other that nothing has.
pub(super) struct InPath(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for InPath {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(super::not_found().await),
        }
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
    let query = parameter(query, "namespace").unwrap_or_default();
    agreed([("query", query.as_str()), ("body", body)], default)
}

/// The function that is written as `name` or `name.namespace`, which query and body may not contradict.
pub(super) fn function(
    written: &str,
    query: Option<&str>,
    body: &str,
    default: &str,
) -> Result<FunctionName, ProviderError> {
    let split = written.rsplit_once('.');
    let split = split.filter(|(_, own)| own.is_empty() || is_dns_label(own));
    let (name, own) = split.unwrap_or((written, ""));
    let query = parameter(query, "namespace").unwrap_or_default();
    let said = [("query", query.as_str()), ("body", body), ("name", own)];
    Ok(FunctionName::new(name, &agreed(said, default)?))
}

/// What those who say something say.
fn agreed<const N: usize>(said: [(&str, &str); N], default: &str) -> Result<String, ProviderError> {
    let mut named = said
        .into_iter()
        .filter(|(_, namespace)| !namespace.is_empty());
    let Some((place, namespace)) = named.next() else {
        return Ok(default.to_owned());
    };
    if let Some((other, contrary)) = named.find(|(_, other)| *other != namespace) {
        let reason = format!("the {place} says `{namespace}`, the {other} says `{contrary}`");
        return Err(ProviderError::invalid("namespace", reason));
    }
    if !is_dns_label(namespace) {
        let reason = format!("`{namespace}` is no name of a namespace");
        return Err(ProviderError::invalid("namespace", reason));
    }
    Ok(namespace.to_owned())
}

/// A name that a function can have. For any other the answer is known without asking the provider, which may thus
/// build paths and identifiers from what it is given.
pub(super) fn possible(name: FunctionName) -> Result<FunctionName, ProviderError> {
    if is_dns_label(name.name()) {
        Ok(name)
    } else {
        Err(ProviderError::NotFound(name))
    }
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

    #[test]
    fn a_name_may_bring_its_namespace_which_nobody_may_contradict() {
        let of = |written, query, body| {
            function(written, query, body, "openfaas-fn")
                .map(|name| name.to_string())
                .map_err(|error| error.to_string())
        };
        for (written, query, body, expected) in [
            ("echo", None, "", "echo.openfaas-fn"),
            ("echo.", None, "", "echo.openfaas-fn"),
            ("echo", Some("namespace=dev"), "", "echo.dev"),
            ("echo", None, "dev", "echo.dev"),
            ("echo.dev", None, "", "echo.dev"),
            ("echo.dev", Some("namespace=dev"), "dev", "echo.dev"),
        ] {
            assert_eq!(of(written, query, body), Ok(expected.to_owned()));
        }
        for (query, body, expected) in [
            (
                Some("namespace=prod"),
                "",
                "namespace: the query says `prod`, the name says `dev`",
            ),
            (
                None,
                "prod",
                "namespace: the body says `prod`, the name says `dev`",
            ),
            (
                Some("namespace=dev"),
                "prod",
                "namespace: the query says `dev`, the body says `prod`",
            ),
        ] {
            assert_eq!(of("echo.dev", query, body), Err(expected.to_owned()));
        }
    }
}
