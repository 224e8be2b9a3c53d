//! Every route, who may ask, and with which methods.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, AUTHORIZATION, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Method};

use super::answer::{Answer, empty, refusal, set};
use super::request::Request;
use super::{Model, call, functions, info, logs, namespaces, scale, secrets};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Functions,
    Function(String),
    Scale(String),
    Secrets,
    Namespaces,
    Namespace(String),
    Logs,
    Info,
    Health,
}

pub(crate) async fn answer(
    model: Arc<Model>,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
) -> Answer {
    if request.uri().path().starts_with("/function/") {
        return call::call(&model, request, peer).await;
    }
    let Some(route) = Route::of(request.uri().path()) else {
        return refusal(404, "404 page not found");
    };
    if let Err(refused) = admit(&model, &route, request.method(), request.headers()) {
        return refused;
    }
    match Request::read(request).await {
        Ok(request) => handle(&model, route, &request).unwrap_or_else(|refused| refused),
        Err(refused) => refused,
    }
}

fn handle(model: &Arc<Model>, route: Route, request: &Request) -> Result<Answer, Answer> {
    match (request.method.as_str(), route) {
        ("GET", Route::Functions) => Ok(functions::list(model, request)),
        ("POST", Route::Functions) => functions::deploy(model, request),
        ("PUT", Route::Functions) => functions::update(model, request),
        (_, Route::Functions) => functions::delete(model, request),
        (_, Route::Function(name)) => Ok(functions::status(model, request, &name)),
        (_, Route::Scale(name)) => scale::scale(model, request, &name),
        ("GET", Route::Secrets) => Ok(secrets::list(model, request)),
        ("POST", Route::Secrets) => secrets::create(model, request),
        ("PUT", Route::Secrets) => secrets::update(model, request),
        (_, Route::Secrets) => secrets::delete(model, request),
        (_, Route::Namespaces) => Ok(namespaces::list(model)),
        ("GET", Route::Namespace(name)) => namespaces::get(model, &name),
        ("POST", Route::Namespace(_)) => namespaces::create(model, request),
        ("PUT", Route::Namespace(name)) => namespaces::update(model, request, &name),
        (_, Route::Namespace(name)) => namespaces::delete(model, request, &name),
        (_, Route::Logs) => logs::logs(model, request),
        (_, Route::Info) => Ok(info::info(model)),
        (_, Route::Health) => Ok(info::health(model)),
    }
}

/// Credentials first, so that nothing is told to a stranger.
fn admit(model: &Model, route: &Route, method: &Method, headers: &HeaderMap) -> Result<(), Answer> {
    if route.is_open() {
        return route.allows(method);
    }
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    match &model.authorization {
        Some(wanted) if given != Some(wanted) => {
            let mut refused = refusal(401, "invalid credentials");
            set(&mut refused, WWW_AUTHENTICATE, "Basic realm=\"Restricted\"");
            Err(refused)
        }
        _ => route.allows(method),
    }
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        let named = |prefix| {
            let name = path.strip_prefix(prefix)?;
            (!name.contains('/')).then(|| name.to_owned())
        };
        match path {
            "/system/functions" => Some(Self::Functions),
            "/system/secrets" => Some(Self::Secrets),
            "/system/namespaces" => Some(Self::Namespaces),
            "/system/logs" => Some(Self::Logs),
            "/system/info" => Some(Self::Info),
            "/healthz" => Some(Self::Health),
            _ => named("/system/function/")
                .filter(|name| !name.is_empty())
                .map(Self::Function)
                .or_else(|| named("/system/scale-function/").map(Self::Scale))
                .or_else(|| named("/system/namespace/").map(Self::Namespace)),
        }
    }

    fn is_open(&self) -> bool {
        *self == Self::Health
    }

    fn allows(&self, method: &Method) -> Result<(), Answer> {
        let allowed: &[&str] = match self {
            Self::Functions | Self::Secrets | Self::Namespace(_) => {
                &["GET", "POST", "PUT", "DELETE"]
            }
            Self::Scale(_) => &["POST"],
            Self::Health => &["GET", "HEAD"],
            _ => &["GET"],
        };
        if allowed.contains(&method.as_str()) {
            return Ok(());
        }
        let mut refused = empty(405);
        set(&mut refused, ALLOW, allowed.join(", "));
        Err(refused)
    }
}
