//! `stack.yml`, as faas-cli reads it and sends it.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::Local;
use crate::text;

/// The part of the format that the samples use; anything else in them is a mistake.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StackFile {
    pub(crate) version: String,
    pub(crate) provider: Provider,
    pub(crate) functions: BTreeMap<String, Function>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) gateway: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Function {
    pub(crate) lang: String,
    pub(crate) handler: String,
    pub(crate) image: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    limits: BTreeMap<String, String>,
    #[serde(default)]
    readonly_root_filesystem: bool,
}

pub(crate) fn of(sample: &str) -> StackFile {
    serde_saphyr::from_str(&text(sample, "stack.yml"))
        .unwrap_or_else(|error| panic!("{sample}/stack.yml: {error}"))
}

impl Function {
    /// The body that faas-cli makes of it.
    fn deployment(&self, name: &str) -> Value {
        let mut body = json!({
            "service": name,
            "image": self.image,
            "envProcess": "",
            "labels": self.labels,
            "annotations": {},
            "readOnlyRootFilesystem": self.readonly_root_filesystem,
        });
        if !self.limits.is_empty() {
            body["limits"] = json!(self.limits);
        }
        body
    }
}

/// `faas-cli deploy -f stack.yml`: an update, and where there is nothing to update, a deployment.
pub(crate) async fn deploy(local: &Local, sample: &str) {
    for (name, function) in &of(sample).functions {
        let body = function.deployment(name);
        let send = async |method| local.send(method, "/system/functions", body.clone()).await;
        let mut answer = send(Method::PUT).await;
        if answer.0 == StatusCode::NOT_FOUND {
            answer = send(Method::POST).await;
        }
        assert_eq!(answer, (StatusCode::ACCEPTED, String::new()), "{name}");
    }
}

#[test]
fn every_stack_file_says_what_faas_cli_wants_to_know() {
    for sample in crate::samples() {
        let file = of(&sample);
        assert_eq!(
            (file.version.as_str(), file.provider.name.as_str()),
            ("1.0", "openfaas")
        );
        assert_eq!(file.provider.gateway, "http://127.0.0.1:8080");
        let names: Vec<&String> = file.functions.keys().collect();
        assert_eq!(names, [&sample]);
        let function = &file.functions[&sample];
        assert_eq!(
            (function.lang.as_str(), function.handler.as_str()),
            ("dockerfile", ".")
        );
        assert_eq!(function.image, format!("ferrofaas/sample-{sample}:latest"));
    }
}
