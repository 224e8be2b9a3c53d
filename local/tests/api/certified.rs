//! The certifier's verdict, and the list of what it cannot check here.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use certifier::{Line, Options, Redirector, Report, Verdict};
use faas_provider_memory::sandbox::Allowed;
use faas_provider_memory::{Config, MemoryService};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Local, answer, client};

/// Every check that is skipped: none. Any skip is a failure.
const SKIPPED: [(&str, &str); 0] = [];

/// The image of the function that redirects, and the program in its place.
const REDIRECTOR: &str = "certified/redirector:latest";
const REDIRECTOR_PROGRAM: &str = "/usr/bin/python3 redirector.py $PORT";

/// An image map with the redirecting function, a server of its own behind a watchdog in mode http.
fn image_map(home: &TempDir) -> PathBuf {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/redirector");
    let map = format!(
        "[\"{REDIRECTOR}\"]\ncommand = \"{REDIRECTOR_PROGRAM}\"\ndirectory = \"{directory}\"\n\
         environment = {{ mode = \"http\", upstream_url = \"http://127.0.0.1:$PORT\" }}\n"
    );
    let path = home.path().join("image-map.toml");
    std::fs::write(&path, map).unwrap();
    path
}

fn redirector() -> Option<Redirector> {
    let (image, process) = (REDIRECTOR.to_owned(), REDIRECTOR_PROGRAM.to_owned());
    Some(Redirector { image, process })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certifier_finds_nothing_to_complain_about() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let map = image_map(&home);
    let local = Local::in_home(home, &[("image_map", map.to_str().unwrap())]).await;
    let namespace = json!({"name": "second", "labels": {"openfaas": "1"}});
    let created = local
        .send(Method::POST, "/system/namespace/", namespace)
        .await;
    assert_eq!(created.0, StatusCode::CREATED);
    let options = Options {
        namespaces: vec!["second".to_owned()],
        redirector: redirector(),
        ..Options::gateway(&local.url)
    };
    let report = certifier::run(options).await;
    assert!(report.success(), "{report}");
    assert_eq!(skips(&report), SKIPPED, "{report}");
    assert_eq!(local.json("/system/functions").await, json!([]));
}

/// The same for the provider alone: what only a gateway does.
const SKIPPED_WITHOUT_GATEWAY: [(&str, &str); 6] = [
    ("info.gateway-version", "openfaas-fn"),
    ("call.call-id", "openfaas-fn"),
    ("call.call-id", "second"),
    ("call.start-time", "openfaas-fn"),
    ("call.start-time", "second"),
    ("scale.from-zero", "openfaas-fn"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certifier_finds_nothing_in_the_provider_alone() {
    let home = tempfile::tempdir().unwrap();
    let config = Config {
        data_dir: Some(home.path().join("data")),
        image_map: Some(image_map(&home)),
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
        redirector: redirector(),
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
