//! A platform in memory, right in everything but one chosen fault.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::faults::Fault;
use crate::watchdog;

/// Namespace and name.
pub(crate) type Key = (String, String);

pub(crate) const DEFAULT: &str = "openfaas-fn";
pub(crate) const SECOND: &str = "second";

/// The platform, shared by its handlers and the test.
pub(crate) struct Model {
    pub(crate) fault: Option<Fault>,
    pub(crate) is_gateway: bool,
    /// The `Authorization` that the system API wants, if any.
    pub(crate) authorization: Option<String>,
    pub(crate) functions: Mutex<BTreeMap<Key, Function>>,
    pub(crate) secrets: Mutex<BTreeMap<Key, Vec<u8>>>,
}

#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) deployment: Value,
    pub(crate) replicas: u64,
    pub(crate) calls: u64,
    pub(crate) log: Vec<String>,
}

type Shared = State<Arc<Model>>;
type Fields = Query<BTreeMap<String, String>>;

impl Model {
    pub(crate) fn gateway(fault: Option<Fault>) -> Self {
        Self {
            fault,
            is_gateway: true,
            authorization: None,
            functions: Mutex::default(),
            secrets: Mutex::default(),
        }
    }

    pub(crate) fn provider() -> Self {
        Self {
            is_gateway: false,
            ..Self::gateway(None)
        }
    }

    /// Serves on a port of its own until the test ends; gives the URL.
    pub(crate) async fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = self.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn router(self: &Arc<Self>) -> Router {
        let system = Router::new()
            .route("/system/info", get(info))
            .route("/system/namespaces", get(namespaces))
            .route(
                "/system/functions",
                get(list).post(deploy).put(update).delete(delete),
            )
            .route("/system/function/{name}", get(status))
            .route("/system/scale-function/{name}", post(scale))
            .route(
                "/system/secrets",
                get(secrets).post(create).put(replace).delete(forget),
            )
            .route("/system/logs", get(logs))
            .layer(axum::middleware::from_fn_with_state(
                self.clone(),
                authorize,
            ));
        Router::new()
            .route("/healthz", get(healthz))
            .route("/function/{name}", any(watchdog::call))
            .merge(system)
            .with_state(self.clone())
    }

    pub(crate) fn wrong(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The status, unless that is what this fault gets wrong.
    fn answer(&self, right: u16, fault: Fault, wrong: u16) -> Response {
        let status = if self.wrong(fault) { wrong } else { right };
        StatusCode::from_u16(status).unwrap().into_response()
    }

    fn describe(&self, function: &Function) -> Value {
        let Value::Object(mut out) = function.deployment.clone() else {
            panic!("a deployment is an object");
        };
        let name = out.remove("service").unwrap();
        let mut labels = match out.remove("labels") {
            Some(Value::Object(labels)) => labels,
            _ => serde_json::Map::new(),
        };
        let bare = labels.is_empty();
        labels.insert("faas_function".into(), name.clone());
        out.insert("name".into(), name);
        out.insert("labels".into(), Value::Object(labels));
        if out["annotations"].is_null() {
            out.insert("annotations".into(), json!({}));
        }
        out.insert("replicas".into(), json!(function.replicas));
        out.insert("availableReplicas".into(), json!(function.replicas));
        let mut out = Value::Object(out);
        if let Some(fault) = self.fault {
            fault.distort(&mut out, bare);
        }
        out
    }
}

async fn authorize(
    State(model): Shared,
    headers: HeaderMap,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let given = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap());
    match model.authorization.as_deref() {
        Some(wanted) if given != Some(wanted) => StatusCode::UNAUTHORIZED.into_response(),
        _ => next.run(request).await,
    }
}

async fn healthz(State(model): Shared) -> Response {
    model.answer(200, Fault::Unhealthy, 503)
}

async fn info(State(model): Shared) -> Response {
    let sha = if model.wrong(Fault::ShaEmpty) {
        ""
    } else {
        "abc"
    };
    let provider = json!({
        "provider": "model", "orchestration": "none", "version": {"release": "1", "sha": sha},
    });
    if !model.is_gateway {
        return provider.to_string().into_response();
    }
    let mut info = json!({"provider": provider, "version": {"release": "1", "sha": "abc"}});
    if model.wrong(Fault::NoGatewayVersion) {
        info["version"] = Value::Null;
    }
    info.to_string().into_response()
}

async fn namespaces(State(model): Shared) -> String {
    match model.fault {
        Some(Fault::NoNamespaces) => json!([]),
        Some(Fault::NamespaceTwice) => json!([DEFAULT, SECOND, SECOND]),
        _ => json!([DEFAULT, SECOND]),
    }
    .to_string()
}

async fn list(State(model): Shared, Query(query): Fields) -> String {
    let functions = model.functions.lock().unwrap();
    let everywhere = model.wrong(Fault::NamespaceIgnored);
    let wanted = functions
        .iter()
        .filter(|((namespace, _), _)| everywhere || query["namespace"] == *namespace);
    let mut list: Vec<_> = wanted
        .map(|(_, function)| model.describe(function))
        .collect();
    match model.fault {
        Some(Fault::NotListed) => list.clear(),
        Some(Fault::ListedTwice) => list.extend(list.clone()),
        _ => {}
    }
    json!(list).to_string()
}

async fn status(State(model): Shared, Path(name): Path<String>, Query(query): Fields) -> Response {
    let functions = model.functions.lock().unwrap();
    match functions.get(&(query["namespace"].clone(), name.clone())) {
        Some(function) => model.describe(function).to_string().into_response(),
        None if model.wrong(Fault::StatusOfUnknown) => {
            json!({"name": name}).to_string().into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn deploy(State(model): Shared, body: Bytes) -> Response {
    let deployment: Value = serde_json::from_slice(&body).unwrap();
    let key = (text(&deployment, "namespace"), text(&deployment, "service"));
    if model.wrong(Fault::NullRefused) && deployment["labels"].is_null() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let minimum = deployment["labels"]["com.openfaas.scale.min"].as_str();
    let replicas = match minimum {
        Some(minimum) if !model.wrong(Fault::MinimumIgnored) => minimum.parse().unwrap(),
        _ => 1,
    };
    let function = Function {
        deployment,
        replicas,
        calls: 0,
        log: Vec::new(),
    };
    model.functions.lock().unwrap().insert(key, function);
    model.answer(202, Fault::DeployIs201, 201)
}

async fn update(State(model): Shared, body: Bytes) -> Response {
    let deployment: Value = serde_json::from_slice(&body).unwrap();
    let key = (text(&deployment, "namespace"), text(&deployment, "service"));
    let known = model.functions.lock().unwrap().contains_key(&key);
    if !known {
        return match model.wrong(Fault::UpdateCreates) {
            true => deploy(State(model.clone()), body).await,
            false => StatusCode::NOT_FOUND.into_response(),
        };
    }
    if !model.wrong(Fault::UpdateIgnored) {
        model
            .functions
            .lock()
            .unwrap()
            .get_mut(&key)
            .unwrap()
            .deployment = deployment;
    }
    model.answer(202, Fault::UpdateIs201, 201)
}

async fn delete(State(model): Shared, Query(query): Fields, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let key = (query["namespace"].clone(), text(&request, "functionName"));
    let mut functions = model.functions.lock().unwrap();
    let known = match model.wrong(Fault::DeleteIgnored) {
        true => functions.contains_key(&key),
        false => functions.remove(&key).is_some(),
    };
    match known {
        true => model.answer(202, Fault::DeleteIs204, 204),
        false => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn scale(
    State(model): Shared,
    Path(name): Path<String>,
    Query(query): Fields,
    body: Bytes,
) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let wanted = request["replicas"].as_u64().unwrap();
    let least = if model.wrong(Fault::ZeroClamped) {
        1
    } else {
        0
    };
    let mut functions = model.functions.lock().unwrap();
    match functions.get_mut(&(query["namespace"].clone(), name)) {
        Some(function) => function.replicas = wanted.max(least),
        None => return StatusCode::NOT_FOUND.into_response(),
    }
    model.answer(202, Fault::ScaleIs204, 204)
}

async fn secrets(State(model): Shared, Query(query): Fields) -> String {
    let secrets = model.secrets.lock().unwrap();
    let wanted = secrets
        .iter()
        .filter(|((namespace, _), _)| query["namespace"] == *namespace);
    let mut list: Vec<_> = wanted
        .map(|((namespace, name), content)| {
            let mut secret = json!({"name": name, "namespace": namespace});
            if model.wrong(Fault::SecretsDisclosed) {
                secret["rawValue"] = json!(BASE64_STANDARD.encode(content));
            }
            secret
        })
        .collect();
    if model.wrong(Fault::SecretsNotListed) {
        list.clear();
    }
    json!(list).to_string()
}

async fn create(State(model): Shared, body: Bytes) -> Response {
    let (key, content) = secret(&model, &body);
    let Some(content) = content else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    model.secrets.lock().unwrap().insert(key, content);
    model.answer(201, Fault::SecretCreateIs204, 204)
}

async fn replace(State(model): Shared, body: Bytes) -> Response {
    let (key, content) = secret(&model, &body);
    if model.wrong(Fault::SecretUpdateRefused) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if !model.wrong(Fault::SecretUpdateIgnored) {
        model.secrets.lock().unwrap().insert(key, content.unwrap());
    }
    model.answer(200, Fault::SecretUpdateIs201, 201)
}

async fn forget(State(model): Shared, body: Bytes) -> Response {
    let (key, _) = secret(&model, &body);
    if !model.wrong(Fault::SecretDeleteIgnored) {
        model.secrets.lock().unwrap().remove(&key);
    }
    model.answer(200, Fault::SecretDeleteIs204, 204)
}

/// The key and the content of a secret in a request.
fn secret(model: &Model, body: &[u8]) -> (Key, Option<Vec<u8>>) {
    let secret: Value = serde_json::from_slice(body).unwrap();
    let key = (text(&secret, "namespace"), text(&secret, "name"));
    let raw = secret["rawValue"].as_str();
    let raw = raw.filter(|_| !model.wrong(Fault::RawValueUnknown));
    let mut content = match raw {
        Some(raw) => Some(BASE64_STANDARD.decode(raw).unwrap()),
        None => secret["value"]
            .as_str()
            .map(|value| value.as_bytes().to_vec()),
    };
    if let Some(content) = &mut content {
        match model.fault {
            Some(Fault::SecretTrimmed) => *content = content.trim_ascii().to_vec(),
            Some(Fault::SecretEncoded) => *content = BASE64_STANDARD.encode(&content).into_bytes(),
            _ => {}
        }
    }
    (key, content)
}

async fn logs(State(model): Shared, Query(query): Fields) -> Response {
    if model.wrong(Fault::LogsNeverEnd) {
        let endless = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        return Body::from_stream(endless).into_response();
    }
    let functions = model.functions.lock().unwrap();
    let (namespace, name) = (&query["namespace"], &query["name"]);
    let Some(function) = functions.get(&(namespace.clone(), name.clone())) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let lines = function.log.iter().map(|text| match model.fault {
        Some(Fault::LogsPlain) => format!("{text}\n"),
        fault => format!("{}\n", line(fault, name, namespace, text)),
    });
    lines.collect::<String>().into_response()
}

fn line(fault: Option<Fault>, name: &str, namespace: &str, text: &str) -> Value {
    let mut line = json!({
        "name": name, "namespace": namespace, "instance": "i",
        "timestamp": "2026-03-03T14:05:09.000000001Z", "text": text,
    });
    match fault {
        Some(Fault::LogsOfAnother) => line["name"] = json!("another"),
        Some(Fault::LogsWithoutNamespace) => line["namespace"] = json!(""),
        Some(Fault::LogsWithoutInstance) => line["instance"] = Value::Null,
        _ => {}
    }
    line
}

pub(crate) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}
