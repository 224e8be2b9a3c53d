//! The certifier's verdict, and the list of what it cannot check here.

use certifier::{Line, Options, Report, Verdict};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::Local;

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

fn skips(report: &Report) -> Vec<(&str, &str)> {
    let skipped = |line: &&Line| matches!(line.verdict, Verdict::Skipped(_));
    let skipped = report.lines.iter().filter(skipped);
    skipped
        .map(|line| (line.rule.id, line.namespace.as_deref().unwrap_or_default()))
        .collect()
}
