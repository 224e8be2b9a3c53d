//! Keeps web pages from a gateway on a developer's machine: it has no password, and it runs programs.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use faas_provider::{Hop, refusal};
use http::header::{HOST, HeaderMap, ORIGIN};
use http::{Method, StatusCode};

/// Middleware: 403 for a `Host` that is no loopback name (a name somewhere in the world may point here), and for a change
/// that a page from elsewhere asks for.
pub(crate) async fn protect(request: Request, next: Next) -> Response {
    match objection(&request) {
        Some(words) => refusal(StatusCode::FORBIDDEN, Hop::Gateway, &words),
        None => next.run(request).await,
    }
}

fn objection(request: &Request) -> Option<String> {
    let headers = request.headers();
    let host = request
        .uri()
        .host()
        .map(str::to_owned)
        .or_else(|| text(headers, HOST.as_str()));
    let host = host.unwrap_or_default();
    if !is_loopback(&host) {
        return Some(format!(
            "Host `{host}` is no name of this machine's loopback; use localhost or 127.0.0.1"
        ));
    }
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return None;
    }
    let origin = text(headers, ORIGIN.as_str());
    let foreign = |origin: &str| {
        url::Url::parse(origin)
            .ok()
            .and_then(|url| url.host_str().map(is_loopback))
            != Some(true)
    };
    if let Some(origin) = origin.filter(|origin| foreign(origin)) {
        return Some(format!(
            "a page from `{origin}` may not change anything here"
        ));
    }
    if text(headers, "sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Some("a page from another site may not change anything here".to_owned());
    }
    None
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Whether `host` or `host:port` names loopback.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            return rest
                .split_once(']')
                .is_some_and(|(address, _)| address == "::1");
        }
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn objects(method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/system/functions");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        objection(&request.body(Body::empty()).unwrap()).is_some()
    }

    #[test]
    fn only_loopback_names_are_served() {
        for host in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:8080",
            "127.1.2.3",
            "[::1]:8080",
            "a.localhost",
        ] {
            assert!(!objects("POST", &[("host", host)]), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8080",
            "10.0.0.1",
            "[::2]",
        ] {
            assert!(objects("GET", &[("host", host)]), "{host}");
        }
    }

    #[test]
    fn pages_from_elsewhere_may_look_but_not_touch() {
        let from = |origin| [("host", "localhost"), ("origin", origin)];
        for origin in [
            "http://evil.example",
            "null",
            "https://localhost.evil.example",
            "garbage",
        ] {
            assert!(objects("POST", &from(origin)), "{origin}");
            assert!(!objects("GET", &from(origin)), "{origin}");
        }
        assert!(!objects("DELETE", &from("http://localhost:8080")));
        assert!(objects(
            "PUT",
            &[("host", "localhost"), ("sec-fetch-site", "cross-site")]
        ));
        assert!(!objects(
            "PUT",
            &[("host", "localhost"), ("sec-fetch-site", "same-origin")]
        ));
    }
}
