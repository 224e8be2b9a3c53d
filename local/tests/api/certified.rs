//! The certifier's verdict, and the list of what it cannot check here.

use std::net::{Ipv4Addr, SocketAddr};

use certifier::{Line, Options, Report, Verdict};
use faas_provider_memory::sandbox::Allowed;
use faas_provider_memory::{Config, MemoryService};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Local, answer, client};

/// Every check that is skipped, and why. Any other skip is a failure.
const SKIPPED: [(&str, &str); 2] = [
    // Functions in mode http come with their own issue.
    ("call.redirect-not-followed", "openfaas-fn"),
    ("call.redirect-not-followed", "second"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certifier_finds_nothing_to_complain_about() {
    let local = Local::start().await;
    let namespace = json!({"name": "second", "labels": {"openfaas": "1"}});
    let created = local
        .send(Method::POST, "/system/namespace/", namespace)
        .await;
    assert_eq!(created.0, StatusCode::CREATED);
    let options = Options {
        namespaces: vec!["second".to_owned()],
        ..Options::gateway(&local.url)
    };
    let report = certifier::run(options).await;
    assert!(report.success(), "{report}");
    assert_eq!(skips(&report), SKIPPED, "{report}");
    assert_eq!(local.json("/system/functions").await, json!([]));
}

/// The same for the provider alone: what only a gateway does, and redirects.
const SKIPPED_WITHOUT_GATEWAY: [(&str, &str); 8] = [
    ("info.gateway-version", "openfaas-fn"),
    ("call.call-id", "openfaas-fn"),
    ("call.call-id", "second"),
    ("call.start-time", "openfaas-fn"),
    ("call.start-time", "second"),
    ("call.redirect-not-followed", "openfaas-fn"),
    ("call.redirect-not-followed", "second"),
    ("scale.from-zero", "openfaas-fn"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certifier_finds_nothing_in_the_provider_alone() {
    let home = tempfile::tempdir().unwrap();
    let config = Config {
        data_dir: Some(home.path().join("data")),
        ..Config::embedded().unwrap()
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let program = Some(env!("CARGO_BIN_EXE_faas-local").into());
    let service = MemoryService::bind_as(config, address, None, Allowed::default(), program);
    let service = service.await.unwrap();
    let url = format!("http://{}", service.local_addr());
    let _serving = tokio::spawn(service.run(std::future::pending()));
    let namespace = json!({"name": "second", "labels": {"openfaas": "1"}});
    let create = client().post(format!("{url}/system/namespace/"));
    let created = answer(create.body(namespace.to_string())).await;
    assert_eq!(created.0, StatusCode::CREATED);

    let options = Options {
        namespaces: vec!["second".to_owned()],
        ..Options::provider(&url)
    };
    let report = certifier::run(options).await;
    assert!(report.success(), "{report}");
    assert_eq!(skips(&report), SKIPPED_WITHOUT_GATEWAY, "{report}");
}

fn skips(report: &Report) -> Vec<(&str, &str)> {
    let skipped = |line: &&Line| matches!(line.verdict, Verdict::Skipped(_));
    let skipped = report.lines.iter().filter(skipped);
    skipped
        .map(|line| (line.rule.id, line.namespace.as_deref().unwrap_or_default()))
        .collect()
}
