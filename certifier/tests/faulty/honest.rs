//! A platform that does everything right passes, and is left as it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use certifier::{Capability, Credentials, Door, Options, Rule, rules, run, run_until};
use serde_json::json;
use tokio::sync::Notify;

use crate::matrix::everything;
use crate::model::{BASIC, DEFAULT, Function, Model};
use crate::switch::Switch;

#[tokio::test]
async fn an_honest_gateway_passes_everything() {
    let model = Arc::new(Model::gateway(None).wanting(BASIC));
    let report = run(everything(model.serve().await)).await;
    assert!(report.failed().is_empty(), "{report}");
    let skipped = report.skipped();
    let only_direct = skipped.iter().all(|line| line.rule.door == Door::Provider);
    assert!(only_direct, "{report}");
    assert!(report.success());
    assert!(report.passed().len() > 100, "{report}");
}

#[tokio::test]
async fn what_only_a_gateway_does_is_skipped_aloud_on_a_provider() {
    let model = Arc::new(Model::provider());
    let report = run(Options::provider(model.serve().await)).await;
    // The model has a second namespace, which this run was not told of.
    let failed: Vec<_> = report.failed().iter().map(|line| line.rule.id).collect();
    assert_eq!(failed, ["namespaces.exact"], "{report}");

    let skipped: Vec<_> = report.skipped().iter().map(|line| line.rule.id).collect();
    assert_eq!(skipped, not_to_be_tried());
    let text = report.to_string();
    for reason in [
        " skipped: only a gateway does this",
        "1 skipped: not claimed: redirector (needs an http-mode function",
        " skipped: not claimed: probe (needs the probe function",
        " skipped: not claimed: namespaces (no second namespace given",
    ] {
        assert!(text.contains(reason), "{text}");
    }
}

/// What a provider alone cannot be asked, without a test function, a second namespace or credentials.
fn not_to_be_tried() -> Vec<&'static str> {
    let missing = [
        Capability::Redirector,
        Capability::Probe,
        Capability::Namespaces,
        Capability::Auth,
        Capability::Metrics,
    ];
    let tried = |rule: &Rule| {
        rule.door != Door::Gateway && !rule.needs.iter().any(|need| missing.contains(need))
    };
    let rules = rules().into_iter();
    let skipped = rules.filter(|rule| !tried(rule) && !rule.long);
    skipped.map(|rule| rule.id).collect()
}

#[tokio::test]
async fn only_the_system_api_gets_the_credentials() {
    let basic = Credentials::Basic {
        user: "admin".into(),
        password: "secret".into(),
    };
    let token = Credentials::Token("t0ken".into());
    for (credentials, wanted) in [(basic, BASIC), (token, "Bearer t0ken")] {
        let model = Arc::new(Model::gateway(None).wanting(wanted));
        let options = Options {
            credentials,
            ..everything(model.serve().await)
        };
        // The model's functions assert that no credentials reach them.
        let report = run(options).await;
        assert!(report.success(), "{report}");
    }
}

#[tokio::test]
async fn everything_it_made_is_gone_afterwards_and_nothing_else() {
    for fault in [None, Some(Switch::NullRefused), Some(Switch::DeployIs201)] {
        let model = Arc::new(Model::gateway(fault));
        let theirs = (DEFAULT.to_owned(), "certify-theirs".to_owned());
        let deployment =
            json!({"service": theirs.1, "namespace": theirs.0, "annotations": {}, "labels": {}});
        let function = Function::new(deployment.as_object().unwrap().clone(), 1);
        model.state().functions.insert(theirs.clone(), function);
        model
            .state()
            .secrets
            .insert(theirs.clone(), b"theirs".to_vec());

        run(everything(model.serve().await)).await;

        let functions = model.function_names();
        let secrets = model.secret_names();
        assert_eq!(functions, std::slice::from_ref(&theirs));
        assert_eq!(secrets, [theirs]);
    }
}

#[tokio::test]
async fn an_interrupted_run_fails_and_still_cleans_up() {
    let model = Arc::new(Model::gateway(None).wanting(BASIC));
    let stop = Arc::new(Notify::new());
    let made = AtomicBool::new(false);
    let options = Options {
        parallel: 1,
        ..everything(model.serve().await)
    };
    let report = run_until(
        options,
        |line| {
            if line.rule.id == "call.body-exact" {
                made.store(!model.function_names().is_empty(), Ordering::SeqCst);
                stop.notify_one();
            }
        },
        stop.notified(),
    )
    .await;

    assert!(
        made.load(Ordering::SeqCst),
        "something was there to clean up"
    );
    assert!(model.function_names().is_empty());
    assert!(!report.success());
    assert_eq!(report.failed().len(), 1, "{report}");
    assert!(report.skipped().len() > 20, "{report}");
    assert!(
        report
            .passed()
            .iter()
            .any(|line| line.rule.id == "clean-up.complete"),
        "{report}"
    );
}
