//! The functions of the model: the programs that the suite asks for, played in memory.

use std::process::Stdio;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::faults::Fault;
use crate::model::{Function, Key, Model};

const SECRETS: &str = "cat /var/openfaas/secrets/";

/// One call of a function, from the gateway's door to its process and back.
pub(crate) async fn call(
    State(model): State<Arc<Model>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // A platform's credentials are none of a function's business.
    assert!(!headers.contains_key("authorization"));
    let (name, namespace) = name.rsplit_once('.').unwrap();
    let key = (namespace.to_owned(), name.to_owned());
    if name.is_empty() && model.wrong(Fault::EmptyNameIs500) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let Some(function) = admit(&model, &key) else {
        return model_refusal(&model);
    };
    if function.replicas == 0 || (function.calls == 1 && model.wrong(Fault::AvailableTooSoon)) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if function.deployment["image"] == "redirector" {
        return redirect(&model, &function);
    }
    let output = run(&model, &function, &key, &method, query.as_deref(), &body).await;
    log(&model, &key, output.len());
    let mut response = output.into_response();
    if model.is_gateway {
        correlate(&model, &mut response);
    }
    response
}

/// Counts the call, and brings the function back from zero as a gateway does.
fn admit(model: &Model, key: &Key) -> Option<Function> {
    let mut functions = model.functions.lock().unwrap();
    let function = functions.get_mut(key)?;
    function.calls += 1;
    let comes_back = model.is_gateway && !model.wrong(Fault::StaysAtZero);
    if function.replicas == 0 && comes_back {
        function.replicas = 1;
    }
    Some(function.clone())
}

fn model_refusal(model: &Model) -> Response {
    match model.wrong(Fault::UnknownIs503) {
        true => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        false => StatusCode::NOT_FOUND.into_response(),
    }
}

fn redirect(model: &Model, function: &Function) -> Response {
    let destination = function.deployment["envVars"]["destination"]
        .as_str()
        .unwrap();
    match model.fault {
        Some(Fault::RedirectFollowed) => "landed".into_response(),
        Some(Fault::LocationRewritten) => (StatusCode::FOUND, [("location", "/")]).into_response(),
        _ => (StatusCode::FOUND, [("location", destination)]).into_response(),
    }
}

async fn run(
    model: &Model,
    function: &Function,
    (namespace, _): &Key,
    method: &Method,
    query: Option<&str>,
    body: &[u8],
) -> Vec<u8> {
    let body = match model.fault {
        Some(Fault::BodyDropped) => Vec::new(),
        Some(Fault::BodyAsText) => String::from_utf8_lossy(body).into_owned().into_bytes(),
        _ => body.to_vec(),
    };
    match function.deployment["envProcess"].as_str().unwrap() {
        "cat" => body,
        "sha512sum" => sha512sum(&body).await,
        "env" => environment(model, function, method, query).into_bytes(),
        process => {
            let secret = process.strip_prefix(SECRETS).unwrap();
            let key = (namespace.clone(), secret.to_owned());
            model.secrets.lock().unwrap()[&key].clone()
        }
    }
}

fn environment(model: &Model, function: &Function, method: &Method, query: Option<&str>) -> String {
    let method = match model.fault {
        Some(Fault::EveryCallIsGet) => &Method::GET,
        Some(Fault::EveryCallIsPost) => &Method::POST,
        _ => method,
    };
    let mut text = format!("PATH=/bin\nHttp_Method={method}\n");
    if let Some(query) = query.filter(|_| !model.wrong(Fault::QueryDropped)) {
        text.push_str(&format!("Http_Query={query}\n"));
    }
    for (name, value) in function.deployment["envVars"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let value = match model.wrong(Fault::EnvValueLost) {
            true => "",
            false => value.as_str().unwrap(),
        };
        text.push_str(&format!("{name}={value}\n"));
    }
    text
}

async fn sha512sum(body: &[u8]) -> Vec<u8> {
    let mut child = Command::new("sha512sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(body).await.unwrap();
    child.wait_with_output().await.unwrap().stdout
}

fn log(model: &Model, key: &Key, length: usize) {
    let length = if model.wrong(Fault::WrongLength) {
        0
    } else {
        length
    };
    let mut functions = model.functions.lock().unwrap();
    let Some(function) = functions.get_mut(key) else {
        return;
    };
    let process = function.deployment["envProcess"].clone();
    if !model.wrong(Fault::NoForkingLine) {
        function.log.push(format!(
            "2026/03/03 14:05:09 Forking fprocess - [{process}]"
        ));
    }
    function.log.push(format!(
        "2026/03/03 14:05:09 Wrote {length} Bytes - Duration: 0.1s"
    ));
}

fn correlate(model: &Model, response: &mut Response) {
    let headers = response.headers_mut();
    if !model.wrong(Fault::NoCallId) {
        headers.insert("x-call-id", "4b1e".parse().unwrap());
    }
    let time = match model.wrong(Fault::StartTimeInSeconds) {
        true => "1772543109",
        false => "1772543109000000001",
    };
    headers.insert("x-start-time", time.parse().unwrap());
}

impl Fault {
    /// Makes the description of a function wrong; `bare` is one without labels of its own.
    pub(crate) fn distort(self, function: &mut Value, bare: bool) {
        let object = function.as_object_mut().unwrap();
        let annotated = !object["annotations"].as_object().unwrap().is_empty();
        match self {
            Self::AnnotationsNull if !annotated => set(object, "annotations", Value::Null),
            Self::AnnotationsTrimmed => tidy(&mut object["annotations"]),
            Self::LabelsMissing if bare => drop(object.remove("labels")),
            Self::LabelsLowered if !bare => set_in(object, "labels", "canary_build", "True"),
            Self::NoFunctionLabel => drop(
                object["labels"]
                    .as_object_mut()
                    .unwrap()
                    .remove("faas_function"),
            ),
            Self::ImageShortened => {
                let image = object["image"].as_str().unwrap().replace("docker.io/", "");
                set(object, "image", image.into());
            }
            Self::ProcessSplit => set(object, "envProcess", "/bin/sh -c".into()),
            Self::MemoryInBytes if object.contains_key("limits") => {
                set_in(object, "limits", "memory", "5242880");
            }
            Self::CpuDropped if object.contains_key("limits") => {
                drop(object["limits"].as_object_mut().unwrap().remove("cpu"));
            }
            Self::EnvInvented => set(object, "envVars", serde_json::json!({})),
            Self::ConstraintInvented => set(
                object,
                "constraints",
                serde_json::json!(["node.platform.os == linux"]),
            ),
            Self::RootReadOnly => set(object, "readOnlyRootFilesystem", true.into()),
            Self::NamespaceNotSaid => drop(object.remove("namespace")),
            Self::NeverAvailable => drop(object.remove("availableReplicas")),
            _ => {}
        }
    }
}

type Object = serde_json::Map<String, Value>;

fn set(object: &mut Object, key: &str, value: Value) {
    object.insert(key.to_owned(), value);
}

fn set_in(object: &mut Object, key: &str, inner: &str, value: &str) {
    object[key][inner] = value.into();
}

/// What a provider does that passes annotations through something that likes tidy text.
fn tidy(annotations: &mut Value) {
    for value in annotations.as_object_mut().unwrap().values_mut() {
        *value = value
            .as_str()
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .into();
    }
}
