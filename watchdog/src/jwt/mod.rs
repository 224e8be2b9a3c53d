//! `jwt_auth`: only callers with a token of the platform's authority get through to the function.

mod authority;
mod keys;
mod permission;
mod token;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::time::Instant;

use crate::answer::{self, Response};
use crate::config::JwtAuth;
use crate::log;
use authority::Authority;
use keys::Keys;
use permission::Permissions;

/// Where the platform says which namespace a function is in, if no variable does.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Tells the function how long the check took.
const SECONDS: HeaderName = HeaderName::from_static("x-auth-seconds");

/// The check before every call.
pub(crate) struct Gate {
    /// Whom the tokens are for: `<namespace>:<name>`.
    function: String,
    issuer: String,
    keys: Arc<Keys>,
    debug: bool,
}

/// Why a call does not get through.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    /// There is no token.
    #[error("Bearer must be present in Authorization header")]
    NoToken,
    /// There is one that proves nothing.
    #[error("failed to parse JWT token: {0}")]
    BadToken(String),
    /// It is good, but not for this function.
    #[error("insufficient permissions")]
    NotAllowed,
}

impl Gate {
    /// Asks the authority for its name and its keys, a few times if need be. In words, why there can be no check.
    pub(crate) async fn set_up(config: &JwtAuth) -> Result<Self, String> {
        log!("JWT Auth: true");
        let namespace = match &config.namespace {
            Some(namespace) => namespace.clone(),
            None => namespace_of_platform()?,
        };
        let Authority { issuer, jwks, keys } = authority::ask(&config.authority).await?;
        let gate = Self {
            function: format!("{namespace}:{}", config.name),
            keys: Arc::new(Keys::new(jwks, keys)),
            issuer,
            debug: config.debug,
        };
        if gate.debug {
            let (function, issuer) = (&gate.function, &gate.issuer);
            let keys = gate.keys.names();
            log!("JWT: function {function}, issuer {issuer}, keys {keys:?}");
        }
        Ok(gate)
    }

    /// Lets a call pass, with the time that took among its headers, or says what its caller is answered.
    pub(crate) async fn check(
        &self,
        method: &Method,
        path: &str,
        headers: &mut HeaderMap,
    ) -> Result<(), Response> {
        let started = Instant::now();
        let checked = self.admit(headers).await;
        let took = started.elapsed();
        let Err(refusal) = checked else {
            let seconds = format!("{:.6}", took.as_secs_f64());
            if let Ok(seconds) = HeaderValue::from_str(&seconds) {
                headers.insert(SECONDS, seconds);
            }
            return Ok(());
        };
        if self.debug {
            log!("JWT: {}", log::excerpt(refusal.to_string().as_bytes()));
        }
        let response = refusal.answer();
        let (path, status) = (log::excerpt(path.as_bytes()), response.status().as_u16());
        let took = faas_http::duration::format(Duration::from_secs(took.as_secs()));
        log!("{method} {path} - {status} ACCESS DENIED - ({took})");
        Err(response)
    }

    async fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let token = bearer(headers).ok_or(Refusal::NoToken)?;
        let name = token::key_name(token).map_err(Refusal::BadToken)?;
        let unknown = || Refusal::BadToken("the authority has no key of this kid".to_owned());
        let key = self.keys.get(&name).await.ok_or_else(unknown)?;
        let claims = token::verify(token, &key, &self.issuer).map_err(Refusal::BadToken)?;
        let permissions: Option<Permissions> = claims.function;
        let allowed = permissions.is_some_and(|of| of.allow(&self.function));
        allowed.then_some(()).ok_or(Refusal::NotAllowed)
    }
}

/// The token. The scheme has to be named, in any case of letters (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn namespace_of_platform() -> Result<String, String> {
    let read = fs::read_to_string(NAMESPACE_FILE);
    let named = read.ok().map(|namespace| namespace.trim().to_owned());
    named
        .filter(|namespace| !namespace.is_empty())
        .ok_or_else(|| {
            format!("OPENFAAS_NAMESPACE is not set, and {NAMESPACE_FILE} names no namespace")
        })
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::BadToken(_) => StatusCode::UNAUTHORIZED,
            Self::NotAllowed => StatusCode::FORBIDDEN,
        }
    }

    fn answer(&self) -> Response {
        let response = answer::plain(self.status(), format!("{self}\n"));
        let mut response = answer::from_hop(answer::not_to_guess(response), "faas-middleware");
        if self.status() == StatusCode::UNAUTHORIZED {
            // Compat: unquoted; clients look at it to find out that a token for the function is wanted.
            let wanted = HeaderValue::from_static("Bearer realm=IAM function invoke");
            let headers = response.headers_mut();
            headers.insert(http::header::WWW_AUTHENTICATE, wanted);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_comes_after_the_word_bearer() {
        for (value, token) in [
            ("Bearer a.b.c", Some("a.b.c")),
            ("bearer  a.b.c ", Some("a.b.c")),
            ("a.b.c", None),
            ("Bearer", None),
            ("Bearer  ", None),
            ("Basic a.b.c", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(bearer(&headers), token, "{value}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
