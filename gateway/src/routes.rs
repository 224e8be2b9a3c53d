//! Every route of the gateway, on one screen.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use faas_http::auth::{self, Credentials};
use faas_provider::{Hop, refusal};
use http::header::ALLOW;
use http::{Method, StatusCode};

use crate::gateway::App;
use crate::guard;
use crate::handlers::{
    alert, async_call, call, call_status, dead_letters, health, scaling, system,
};

/// The public port. Everything under `/system` is behind the same authentication, as a group.
pub(crate) fn public(app: App, credentials: Option<Credentials>) -> Router {
    let passed = || any(system::pass);
    let mut system = Router::new()
        .route(
            "/system/functions",
            get(system::list)
                .post(system::change)
                .put(system::change)
                .delete(system::change),
        )
        .route("/system/function/{name}", get(system::status))
        .route("/system/scale-function/{name}", post(scaling::scale))
        .route("/system/scaling/{name}", get(scaling::why))
        .route("/system/info", get(system::info))
        .route("/system/alert", post(alert::alert))
        .route(
            "/system/secrets",
            get(system::pass)
                .post(system::pass)
                .put(system::pass)
                .delete(system::pass),
        )
        .route("/system/logs", get(system::logs))
        .route("/system/namespaces", get(system::pass))
        .route("/system/namespaces/{name}", passed())
        .route("/system/namespace/", passed())
        .route("/system/namespace/{name}", passed())
        .route("/system/telemetry", get(system::telemetry))
        .route("/system/queues", get(dead_letters::queues))
        .route(
            "/system/dead-letters",
            get(dead_letters::list).delete(dead_letters::purge_all),
        )
        .route(
            "/system/dead-letters/redrive",
            post(dead_letters::redrive_all),
        )
        .route(
            "/system/dead-letters/{id}",
            get(dead_letters::show).delete(dead_letters::purge),
        )
        .route(
            "/system/dead-letters/{id}/redrive",
            post(dead_letters::redrive),
        );
    if let Some(credentials) = credentials {
        system = system.layer(from_fn_with_state(credentials, auth::require));
    }
    let open = Router::new()
        .route("/function/{*rest}", any(call::call))
        .route(
            "/async-function/{*rest}",
            get(call_status::status)
                .post(async_call::enqueue)
                .put(async_call::enqueue)
                .patch(async_call::enqueue)
                .delete(call_status::cancel),
        )
        .route("/healthz", get(health::relayed))
        .route("/", get(health::root));
    let browser_guard = app.config.browser_guard;
    let routes = closed(system.merge(open)).with_state(app);
    if browser_guard {
        routes.layer(from_fn(guard::protect))
    } else {
        routes
    }
}

/// The metrics port.
pub(crate) fn private(app: App) -> Router {
    let routes = Router::new()
        .route("/metrics", any(health::metrics))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready));
    closed(routes).with_state(app)
}

fn closed(routes: Router<App>) -> Router<App> {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

async fn not_found(method: Method) -> Response {
    // Its target is no path but a host, which is why no route has it.
    if method == Method::CONNECT {
        let allow = [(ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")];
        let words = "this is no proxy: nobody is connected to anywhere";
        let refused = refusal(StatusCode::METHOD_NOT_ALLOWED, Hop::Gateway, words);
        return (allow, refused).into_response();
    }
    refusal(StatusCode::NOT_FOUND, Hop::Gateway, "404 page not found")
}

async fn method_not_allowed() -> Response {
    let words = "this path does not take this method; Allow says which it takes";
    refusal(StatusCode::METHOD_NOT_ALLOWED, Hop::Gateway, words)
}
