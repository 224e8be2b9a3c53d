//! Every route, who may ask, and with which methods.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, AUTHORIZATION, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Method};

use super::answer::{Answer, empty, refusal, set, whole};
use super::request::Request;
use super::{
    Model, alert, call, functions, info, logs, metrics, namespaces, queue, scale, secrets,
};
use crate::switch::Switch;

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
    Alert,
    Health,
    Metrics,
    Root,
}

pub(crate) async fn answer(
    model: Arc<Model>,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
) -> Answer {
    let mut answer = routed(&model, request, peer).await;
    let refused = answer.status().is_client_error();
    if refused && model.wrong(Switch::RefusalsWithoutText) {
        *answer.body_mut() = whole("");
    }
    if model.wrong(Switch::AllowMissing) {
        answer.headers_mut().remove(ALLOW);
    }
    answer
}

async fn routed(model: &Arc<Model>, request: hyper::Request<Incoming>, peer: SocketAddr) -> Answer {
    let path = request.uri().path();
    if path.starts_with("/function/") {
        return call::call(model, request, peer).await;
    }
    if path.starts_with("/async-function/") && model.is_gateway {
        return queue::enqueue(model, request, peer).await;
    }
    let path = match model.wrong(Switch::SystemSlashTaken) && path != "/system/namespace/" {
        true => path.trim_end_matches('/'),
        false => path,
    };
    let known = Route::of(path).filter(|route| model.is_gateway || !route.is_gateways());
    let Some(route) = known else {
        let status = if model.wrong(Switch::UnknownPathIs200) {
            200
        } else {
            404
        };
        return refusal(status, "404 page not found");
    };
    if let Err(refused) = admit(model, &route, request.method(), request.headers()) {
        return refused;
    }
    serve(model, route, request).await
}

async fn serve(model: &Arc<Model>, route: Route, request: hyper::Request<Incoming>) -> Answer {
    let method = request.method().to_string();
    let label = match model.wrong(Switch::MetricPathsUnbounded) {
        true => request.uri().path().to_owned(),
        false => route.label().to_owned(),
    };
    let answer = match Request::read(model, request).await {
        Ok(mut request) => {
            let place = model.crowd.enter(model.switch, &label, &mut request).await;
            let answer = handle(model, route, &request).unwrap_or_else(|refused| refused);
            drop(place);
            answer
        }
        Err(refused) => refused,
    };
    let counted = (method, label, answer.status().as_u16());
    *model.state().requests.entry(counted).or_default() += 1;
    answer
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
        (_, Route::Alert) => alert::alert(model, request),
        (_, Route::Health) => Ok(info::health(model)),
        (_, Route::Metrics) => Ok(metrics::metrics(model)),
        (_, Route::Root) => Ok(info::root()),
    }
}

/// Credentials first, so that nothing is told to a stranger.
fn admit(model: &Model, route: &Route, method: &Method, headers: &HeaderMap) -> Result<(), Answer> {
    let closed = match route {
        Route::Health => model.wrong(Switch::HealthWantsCredentials),
        route => !route.is_open() && !forgotten(model, route),
    };
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    match &model.authorization {
        Some(wanted) if closed && !fits(model, given.unwrap_or_default(), wanted) => {
            Err(stranger(model))
        }
        _ => route.allows(model, method),
    }
}

fn fits(model: &Model, given: &str, wanted: &str) -> bool {
    let lenient = match model.switch {
        Some(Switch::AnyTokenTaken) => given.starts_with("Bearer "),
        Some(Switch::AnyPasswordTaken) => given.starts_with("Basic YWRtaW46"),
        Some(Switch::AnyCredentialsTaken) => !given.is_empty(),
        _ => false,
    };
    lenient || given == wanted
}

pub(crate) fn stranger(model: &Model) -> Answer {
    let status = if model.wrong(Switch::StrangersGet403) {
        403
    } else {
        401
    };
    let mut refused = refusal(status, "invalid credentials");
    if !model.wrong(Switch::NoChallenge) {
        set(&mut refused, WWW_AUTHENTICATE, "Basic realm=\"Restricted\"");
    }
    refused
}

/// A route that was added later, and not to the group that wants credentials.
fn forgotten(model: &Model, route: &Route) -> bool {
    match model.switch {
        Some(Switch::NamespacesOpen) => matches!(route, Route::Namespaces | Route::Namespace(_)),
        Some(Switch::LogsOpen) => *route == Route::Logs,
        Some(Switch::InfoOpen) => *route == Route::Info,
        Some(Switch::StatusOpen) => matches!(route, Route::Function(_)),
        Some(Switch::AlertOpen) => *route == Route::Alert,
        Some(Switch::ScaleOpen) => matches!(route, Route::Scale(_)),
        Some(Switch::SecretsOpen) => *route == Route::Secrets,
        Some(Switch::FunctionsOpen) => *route == Route::Functions,
        _ => false,
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
            "/system/alert" => Some(Self::Alert),
            "/healthz" => Some(Self::Health),
            "/metrics" => Some(Self::Metrics),
            "/" => Some(Self::Root),
            _ => named("/system/function/")
                .filter(|name| !name.is_empty())
                .map(Self::Function)
                .or_else(|| named("/system/scale-function/").map(Self::Scale))
                .or_else(|| named("/system/namespace/").map(Self::Namespace)),
        }
    }

    fn is_open(&self) -> bool {
        matches!(self, Self::Health | Self::Metrics | Self::Root)
    }

    /// Whether only a gateway has it.
    fn is_gateways(&self) -> bool {
        matches!(self, Self::Alert | Self::Root)
    }

    /// The route as requests are counted by it: names would be without bound.
    fn label(&self) -> &'static str {
        match self {
            Self::Functions => "/system/functions",
            Self::Function(_) => "/system/function",
            Self::Scale(_) => "/system/scale-function",
            Self::Secrets => "/system/secrets",
            Self::Namespaces => "/system/namespaces",
            Self::Namespace(_) => "/system/namespace",
            Self::Logs => "/system/logs",
            Self::Info => "/system/info",
            Self::Alert => "/system/alert",
            Self::Health => "/healthz",
            Self::Metrics => "/metrics",
            Self::Root => "/",
        }
    }

    fn allows(&self, model: &Model, method: &Method) -> Result<(), Answer> {
        let allowed: &[&str] = match self {
            Self::Functions | Self::Secrets | Self::Namespace(_) => {
                &["GET", "POST", "PUT", "DELETE"]
            }
            Self::Scale(_) | Self::Alert => &["POST"],
            Self::Health => match model.switch {
                Some(Switch::HealthHeadRefused) => &["GET"],
                Some(Switch::HealthPostTaken) => &["GET", "HEAD", "POST"],
                _ => &["GET", "HEAD"],
            },
            _ => &["GET"],
        };
        if allowed.contains(&method.as_str()) {
            return Ok(());
        }
        let mut refused = empty(if model.wrong(Switch::WrongMethodIs404) {
            404
        } else {
            405
        });
        set(&mut refused, ALLOW, allowed.join(", "));
        Err(refused)
    }
}
