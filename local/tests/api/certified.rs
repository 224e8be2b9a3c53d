//! The certifier's verdict, and the list of what it cannot check here.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use certifier::{Allowed, Capability, Credentials, Line, Options, Report, TestFunction, Verdict};
use faas_provider_memory::sandbox;
use faas_provider_memory::{Config, MemoryService};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Local, answer, client};

/// Every check that is skipped, and why. Any other skip is a failure, and so is one that does not happen.
const SKIPPED: &str = include_str!("../../../certifier/targets/local");

/// The same for the provider alone: what only a gateway does, and what needs credentials, which this one does not want.
const SKIPPED_WITHOUT_GATEWAY: &str = include_str!("../../../certifier/targets/provider-memory");

const USER: &str = "admin";
const PASSWORD: &str = "a password";

/// The images of the functions that are more than a program; `examples/probe.rs` is both.
const PROBE: &str = "certified/probe:latest";
const REDIRECTOR: &str = "certified/redirector:latest";

/// The probe lies beside this test; `cargo test` builds it.
fn probe() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_faas-local"))
        .parent()
        .unwrap();
    let probe = folder.join("examples/probe");
    assert!(
        probe.exists(),
        "build it: cargo build -p faas-local --examples"
    );
    probe
}

/// An image map with those functions: servers of their own behind a watchdog in mode http.
fn image_map(home: &TempDir) -> PathBuf {
    let probe = probe();
    let folder = probe.parent().unwrap();
    let entry = |image| {
        format!(
            "[{image:?}]\ncommand = \"{} $PORT\"\ndirectory = {folder:?}\n\
             environment = {{ mode = \"http\", upstream_url = \"http://127.0.0.1:$PORT\" }}\n",
            probe.display()
        )
    };
    let path = home.path().join("image-map.toml");
    std::fs::write(&path, [entry(PROBE), entry(REDIRECTOR)].concat()).unwrap();
    path
}

/// What both runs have in common. Their images say what to run.
fn options(options: Options) -> Options {
    Options {
        namespaces: vec!["second".to_owned()],
        without: vec![Capability::RunsContainers, Capability::Constraints],
        callback_address: Some(Ipv4Addr::LOCALHOST.to_string()),
        redirector: Some(TestFunction::new(REDIRECTOR, "")),
        probe: Some(TestFunction::new(PROBE, "")),
        long: long(),
        ..options
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certifier_finds_nothing_to_complain_about() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let map = image_map(&home);
    let secrets = home.path().join("credentials");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::write(secrets.join("basic-auth-user"), USER).unwrap();
    std::fs::write(secrets.join("basic-auth-password"), PASSWORD).unwrap();
    let variables = [
        ("image_map", map.to_str().unwrap()),
        ("basic_auth", "true"),
        ("secret_mount_path", secrets.to_str().unwrap()),
    ];
    let local = Local::in_home(home, &variables).await;
    let ask = |method, path, body: Value| {
        let request = local.request(method, path).body(body.to_string());
        answer(request.basic_auth(USER, Some(PASSWORD)))
    };
    let namespace = json!({"name": "second", "labels": {"openfaas": "1"}});
    let created = ask(Method::POST, "/system/namespace/", namespace).await;
    assert_eq!(created.0, StatusCode::CREATED);
    let options = Options {
        metrics_url: Some(local.metrics.clone()),
        credentials: Credentials::Basic {
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
        },
        ..options(Options::gateway(&local.url))
    };
    let report = certifier::run(options).await;
    assert!(report.success(), "{report}");
    assert_eq!(skips(&report), listed(SKIPPED), "{report}");
    let left = ask(Method::GET, "/system/functions", json!({})).await;
    assert_eq!(left, (StatusCode::OK, "[]".to_owned()));
}

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
    let service =
        MemoryService::bind_as(config, address, None, sandbox::Allowed::default(), program);
    let service = service.await.unwrap();
    let url = format!("http://{}", service.local_addr());
    let _serving = tokio::spawn(service.run(std::future::pending()));
    let namespace = json!({"name": "second", "labels": {"openfaas": "1"}});
    let create = client().post(format!("{url}/system/namespace/"));
    let created = answer(create.body(namespace.to_string())).await;
    assert_eq!(created.0, StatusCode::CREATED);

    let options = Options {
        metrics_url: Some(format!("{url}/metrics")),
        ..options(Options::provider(&url))
    };
    let report = certifier::run(options).await;
    assert!(report.success(), "{report}");
    assert_eq!(skips(&report), listed(SKIPPED_WITHOUT_GATEWAY), "{report}");
}

/// Sorted, with their namespaces.
fn skips(report: &Report) -> Vec<String> {
    let skipped = |line: &&Line| matches!(line.verdict, Verdict::Skipped(_));
    let skipped = report.lines.iter().filter(skipped);
    let mut skips: Vec<_> = skipped
        .map(|line| name(line.rule.id, line.namespace.as_deref()))
        .collect();
    skips.sort();
    skips
}

/// Whether the checks that take minutes run as well.
fn long() -> bool {
    std::env::var_os("SOAK").is_some()
}

/// What the list says of the checks that run, in the same words.
fn listed(text: &str) -> Vec<String> {
    let rules = certifier::rules();
    let runs = |id: &str| {
        let rule = rules.iter().find(|rule| rule.id == id);
        let rule = rule.unwrap_or_else(|| panic!("no check is called {id}"));
        long() || !rule.long
    };
    let allowed = Allowed::list(text).unwrap();
    let mut listed: Vec<_> = allowed
        .iter()
        .filter(|allowed| runs(&allowed.id))
        .map(|allowed| name(&allowed.id, allowed.namespace.as_deref()))
        .collect();
    listed.sort();
    listed
}

fn name(id: &str, namespace: Option<&str>) -> String {
    format!("{id} {}", namespace.unwrap_or_default())
}
