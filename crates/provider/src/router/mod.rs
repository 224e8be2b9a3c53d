//! Every route of the provider API over any [`Provider`]: the 2018 form and today's. All of them on this page, protected
//! as a group.

mod call;
mod endpoints;
mod functions;
mod logs;
mod namespaces;
mod request;
mod secrets;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ALLOW, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use faas_http::auth::{self, Credentials};
use faas_http::forward::Forwarder;
use faas_http::metrics::{self, RequestMetrics};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::{Hop, Provider, refusal};
pub use call::CALL_METHODS;

/// Largest body of a `/system` request.
pub const BODY_LIMIT_BYTES: usize = 1024 * 1024;

/// What the routes need to know besides the provider.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who may use `/system`; nobody is asked without.
    pub credentials: Option<Credentials>,
    /// Namespace of bare names.
    pub default_namespace: String,
    /// Most replicas that anybody can ask for.
    pub max_replicas: u64,
    /// Longest wait for a function's answer to begin.
    pub call_timeout: Option<Duration>,
    /// Forwards calls to replicas.
    pub forwarder: Forwarder,
    /// Where requests are counted, and what `/metrics` shows.
    pub registry: Registry,
    /// Cancelled when the service stops: followed logs and watches end then, and health says so.
    pub stop: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        let timeout = Some(Duration::from_secs(60));
        Self {
            credentials: None,
            default_namespace: "openfaas-fn".to_owned(),
            max_replicas: 100,
            call_timeout: timeout,
            forwarder: Forwarder::new(timeout),
            registry: Registry::new(),
            stop: CancellationToken::new(),
        }
    }
}

/// What handlers share.
pub(crate) struct App<P> {
    pub(crate) provider: Arc<P>,
    pub(crate) options: Options,
}

impl<P> Clone for App<P> {
    fn clone(&self) -> Self {
        Self {
            provider: Arc::clone(&self.provider),
            options: self.options.clone(),
        }
    }
}

/// All routes over one provider.
///
/// # Errors
/// When the registry already counts requests for somebody else.
pub fn router<P: Provider>(provider: Arc<P>, options: Options) -> prometheus::Result<Router> {
    let requests = RequestMetrics::register(&options.registry, "provider_http")?;
    let credentials = options.credentials.clone();
    let app = App { provider, options };

    let namespace = get(namespaces::show::<P>)
        .put(namespaces::update::<P>)
        .delete(namespaces::delete::<P>);
    let mut system = Router::new()
        .route(
            "/system/functions",
            get(functions::list::<P>)
                .post(functions::deploy::<P>)
                .put(functions::update::<P>)
                .delete(functions::delete::<P>),
        )
        .route("/system/function/{name}", get(functions::status::<P>))
        .route("/system/scale-function/{name}", post(functions::scale::<P>))
        .route("/system/info", get(info::<P>))
        .route(
            "/system/secrets",
            get(secrets::list::<P>)
                .post(secrets::create::<P>)
                .put(secrets::update::<P>)
                .delete(secrets::delete::<P>),
        )
        .route("/system/logs", get(logs::stream::<P>))
        .route("/system/namespaces", get(namespaces::list::<P>))
        // Both forms are documented somewhere: the singular by the original's code, the plural by its manual.
        .route(
            "/system/namespace/",
            post(namespaces::create::<P>)
                .get(namespaces::unnamed)
                .put(namespaces::unnamed)
                .delete(namespaces::unnamed),
        )
        .route(
            "/system/namespace/{name}",
            namespace.clone().post(namespaces::create_named::<P>),
        )
        .route("/system/namespaces/{name}", namespace)
        .route("/system/endpoints", get(endpoints::watch::<P>));
    if let Some(credentials) = credentials {
        system = system.layer(from_fn_with_state(credentials, auth::require));
    }
    let system = system.route_layer(from_fn_with_state(requests, metrics::count));

    let open = Router::new()
        .route("/healthz", get(health::<P>))
        .route("/metrics", any(metrics_page::<P>))
        .route("/function/{*rest}", any(call::call::<P>));

    let routes = system.merge(open).fallback(unknown);
    Ok(routes
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app))
}

async fn info<P: Provider>(State(app): State<App<P>>) -> Response {
    request::json(&app.provider.info())
}

/// 200 while the provider can do its work, 503 with its words otherwise, and while the service stops.
async fn health<P: Provider>(State(app): State<App<P>>) -> Response {
    let health = if app.options.stop.is_cancelled() {
        Err("draining".to_owned())
    } else {
        app.provider.health().await
    };
    match health {
        Ok(()) => StatusCode::OK.into_response(),
        Err(words) => refusal(StatusCode::SERVICE_UNAVAILABLE, Hop::Provider, &words),
    }
}

async fn metrics_page<P: Provider>(State(app): State<App<P>>) -> Response {
    metrics::page(&app.options.registry)
}

/// A path that there is not, or the authority of a tunnel, which is no path at all.
async fn unknown(method: Method) -> Response {
    if method != Method::CONNECT {
        return not_found().await;
    }
    let mut response = method_not_allowed().await;
    // RFC 9110, section 10.2.1: empty means that nothing is allowed there.
    let nothing = HeaderValue::from_static("");
    response.headers_mut().insert(ALLOW, nothing);
    response
}

async fn not_found() -> Response {
    refusal(StatusCode::NOT_FOUND, Hop::Provider, "404 page not found")
}

async fn method_not_allowed() -> Response {
    refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        Hop::Provider,
        "this path does not take this method; Allow says which it takes",
    )
}
