//! The certifier's verdict, and the list of what it cannot check here.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use certifier::{Capability, Credentials, Line, Options, Report, TestFunction, Verdict};
use faas_provider_memory::sandbox::Allowed;
use faas_provider_memory::{Config, MemoryService};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Local, answer, client};

/// Every check that is skipped: this platform runs programs, all of them on one machine, and has no queue yet; what a
/// provider says of a function at zero is seen without a gateway. Any other skip is a failure.
const SKIPPED: [(&str, &str); 10] = [
    ("deploy.process-optional", "openfaas-fn"),
    ("deploy.image-unknown", "openfaas-fn"),
    ("deploy.constraint-unsatisfied", "openfaas-fn"),
    ("deploy.constraint-unreadable", "openfaas-fn"),
    ("deploy.constraints-order", "openfaas-fn"),
    ("update.broken-image", "openfaas-fn"),
    ("scale.zero-direct", "openfaas-fn"),
    ("async.accepted", "openfaas-fn"),
    ("async.made", "openfaas-fn"),
    ("callbacks.bad-url", "openfaas-fn"),
];

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
        redirector: Some(TestFunction::new(REDIRECTOR, "")),
        probe: Some(TestFunction::new(PROBE, "")),
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
        credentials: Credentials::Basic {
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
        },
        ..options(Options::gateway(&local.url))
    };
    let report = certifier::run(options).await;
    assert!(report.success(), "{report}");
    assert_eq!(skips(&report), SKIPPED, "{report}");
    let left = ask(Method::GET, "/system/functions", json!({})).await;
    assert_eq!(left, (StatusCode::OK, "[]".to_owned()));
}

/// The same for the provider alone: what only a gateway does, and what needs credentials, which this one does not want.
const SKIPPED_WITHOUT_GATEWAY: [(&str, &str); 35] = [
    ("info.gateway-version", "openfaas-fn"),
    ("auth.functions", "openfaas-fn"),
    ("auth.status", "openfaas-fn"),
    ("auth.scale", "openfaas-fn"),
    ("auth.secrets", "openfaas-fn"),
    ("auth.namespaces", "openfaas-fn"),
    ("auth.logs", "openfaas-fn"),
    ("auth.info", "openfaas-fn"),
    ("auth.alert", "openfaas-fn"),
    ("auth.wrong-password", "openfaas-fn"),
    ("auth.wrong-token", "openfaas-fn"),
    ("auth.malformed", "openfaas-fn"),
    ("auth.health-open", "openfaas-fn"),
    ("deploy.process-optional", "openfaas-fn"),
    ("deploy.image-unknown", "openfaas-fn"),
    ("deploy.constraint-unsatisfied", "openfaas-fn"),
    ("deploy.constraint-unreadable", "openfaas-fn"),
    ("deploy.constraints-order", "openfaas-fn"),
    ("update.broken-image", "openfaas-fn"),
    ("call.call-id", "openfaas-fn"),
    ("call.call-id", "second"),
    ("call.start-time", "openfaas-fn"),
    ("call.start-time", "second"),
    ("headers.call-id", "openfaas-fn"),
    ("headers.new-call-id", "openfaas-fn"),
    ("headers.start-time", "openfaas-fn"),
    ("scale.from-zero", "openfaas-fn"),
    ("scale.cold-calls", "openfaas-fn"),
    ("async.accepted", "openfaas-fn"),
    ("async.made", "openfaas-fn"),
    ("callbacks.bad-url", "openfaas-fn"),
    ("alerts.firing", "openfaas-fn"),
    ("alerts.maximum", "openfaas-fn"),
    ("alerts.resolved", "openfaas-fn"),
    ("alerts.bad-json", "openfaas-fn"),
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

    let report = certifier::run(options(Options::provider(&url))).await;
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
