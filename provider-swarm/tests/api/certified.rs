//! The conformance suite against the provider alone, on a real swarm.

use certifier::{Level, Options};
use serde_json::json;

use crate::support::Provider;
use crate::swarm::{IMAGE, engine};

#[tokio::test(flavor = "multi_thread")]
async fn the_certifier_finds_nothing_to_complain_of() {
    let _ = engine();
    let provider = Provider::start().await;
    let second = format!("{}-2", provider.namespace);
    let body = json!({"name": second, "labels": {"openfaas": "1"}});
    assert_eq!(provider.post("/system/namespace/", &body).await.0, 201);
    let report = certifier::run(Options {
        default_namespace: provider.namespace.clone(),
        namespaces: vec![second],
        image: IMAGE.to_owned(),
        // Other tests make namespaces meanwhile.
        skip: vec!["namespaces.exact".to_owned()],
        // What the original asks for. It has not been held to the higher levels yet.
        level: Level::Core,
        ..Options::provider(&provider.url)
    })
    .await;
    assert!(report.success(), "{report:#?}");
}
