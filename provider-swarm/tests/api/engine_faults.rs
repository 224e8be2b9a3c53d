//! The engine away, slow, failing in the middle, and back: the status, the words, and nothing left behind.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use crate::fault_proxy::{Fault, FaultProxy};
use crate::support::{Provider, accepted, function, unique, until, with};
use crate::swarm::{engine, has_service, service};

fn creates(line: &str) -> bool {
    line.starts_with("POST ") && line.contains("/services/create")
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_engine_is_away_functions_are_called_and_changes_refused() {
    let proxy = FaultProxy::start();
    let provider = Provider::behind(&proxy, &[]).await;
    let name = unique("alone");
    provider.have(&function(&name, "cat")).await;

    proxy.down();
    until("health to say so", async || !provider.is_well().await).await;
    let (status, words) = provider.get("/healthz").await;
    assert_eq!(
        (status, words.starts_with("the Docker engine ")),
        (StatusCode::SERVICE_UNAVAILABLE, true),
        "{words}"
    );
    assert_eq!(
        provider.call(&name, "still here").await,
        (StatusCode::OK, "still here".to_owned())
    );
    for answer in [
        provider.get("/system/functions").await,
        provider.get(&format!("/system/function/{name}")).await,
        provider.get("/system/secrets").await,
        provider.get(&format!("/system/logs?name={name}")).await,
        provider.deploy(&function(&unique("new"), "cat")).await,
        provider.update(&function(&name, "cat")).await,
        provider.scale(&name, 2).await,
        provider.delete(&name).await,
    ] {
        assert_eq!(answer.0, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.1);
        assert!(answer.1.starts_with("the Docker engine "), "{}", answer.1);
    }

    // A deletion that failed leaves the function where it was.
    proxy.heal();
    until("health to come back", async || provider.is_well().await).await;
    until("calls", async || provider.call(&name, "x").await.0 == 200).await;
    assert_eq!(provider.scale(&name, 2).await, accepted());
    provider.available(&name, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_starts_before_its_engine_waits_for_it() {
    let proxy = FaultProxy::start();
    proxy.down();
    let provider = Provider::on(proxy.socket().to_str().unwrap(), &[]);
    until("an answer", async || {
        let asked = provider
            .http
            .get(format!("{}/healthz", provider.url))
            .send()
            .await;
        asked.is_ok_and(|answer| answer.status() == 503)
    })
    .await;
    // Nobody knows yet what there is: not 404.
    assert_eq!(provider.call("anything", "").await.0, 503);
    proxy.heal();
    until("health", async || provider.is_well().await).await;
    assert_eq!(provider.call("anything", "").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_answer_is_given_up_in_words() {
    let proxy = FaultProxy::start();
    let provider = Provider::behind(&proxy, &[("engine_timeout", "500ms")]).await;
    proxy.rule(|line| creates(line).then_some(Fault::Silence));
    let name = unique("slow");
    let answer = provider.deploy(&function(&name, "cat")).await;
    let words = "the Docker engine did not answer within engine_timeout=500ms\n";
    assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, words.to_owned()));
    until("the call to be cancelled", async || proxy.open() <= 1).await;
    assert!(!has_service(&name));
    proxy.heal();
    provider.have(&function(&name, "cat")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_hangs_up_takes_the_call_of_the_engine_along() {
    let proxy = FaultProxy::start();
    let provider = Provider::behind(&proxy, &[]).await;
    proxy.rule(|line| creates(line).then_some(Fault::Late(Duration::from_secs(5))));
    let name = unique("hangup");
    let url = format!("{}/system/functions", provider.url);
    let deploy = provider
        .http
        .post(url)
        .body(function(&name, "cat").to_string());
    let deploy = tokio::spawn(deploy.send());
    until("the engine to be asked", async || {
        proxy.asked().iter().any(|line| creates(line))
    })
    .await;
    deploy.abort();
    until("the call to be cancelled", async || proxy.open() <= 1).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!has_service(&name));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_fails_in_the_middle_of_a_deployment_leaves_nothing() {
    let proxy = FaultProxy::start();
    let provider = Provider::behind(&proxy, &[]).await;
    let secret = unique("key");
    assert_eq!(
        provider
            .post("/system/secrets", &json!({"name": secret, "value": "x"}))
            .await
            .0,
        201
    );
    let name = unique("middle");
    let wish = with(function(&name, "cat"), json!({"secrets": [secret]}));
    for path in ["/networks", "/secrets", "/services/create"] {
        proxy.rule(move |line| {
            let meant = line.contains(path);
            meant.then_some(Fault::Answer(
                500,
                "no space left on device at /var/lib/docker",
            ))
        });
        let (status, words) = provider.deploy(&wish).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path}: {words}");
        // The engine's words are for the log.
        assert_eq!(words, "the provider failed; its log says why\n");
        assert!(!has_service(&name));
    }
    assert!(provider.program.log().contains("no space left on device"));
    proxy.heal();
    provider.have(&wish).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_not_taken_for_a_success() {
    let proxy = FaultProxy::start();
    let provider = Provider::behind(&proxy, &[]).await;
    proxy.rule(|line| creates(line).then_some(Fault::Lost));
    let name = unique("lost");
    assert_eq!(provider.deploy(&function(&name, "cat")).await.0, 503);
    proxy.heal();
    // It was created all the same, and whoever tries again is told.
    assert_eq!(provider.deploy(&function(&name, "cat")).await.0, 409);
    provider.available(&name, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_somebody_else_in_between_is_read_and_the_own_made_anew() {
    let proxy = FaultProxy::start();
    let provider = Provider::behind(&proxy, &[]).await;
    let name = unique("between");
    provider.have(&function(&name, "cat")).await;
    let mut label = Some(name.clone());
    proxy.rule(move |line| {
        // Between our reading and our writing, once.
        if line.contains("/update?")
            && let Some(name) = label.take()
        {
            let _ = engine().docker(&[
                "service",
                "update",
                "-d",
                "--no-resolve-image",
                "--log-driver",
                "local",
                "--label-add",
                "by=hand",
                &name,
            ]);
        }
        None
    });
    assert_eq!(provider.scale(&name, 2).await, accepted());
    let spec = &service(&name)["Spec"];
    assert_eq!(spec["Mode"]["Replicated"]["Replicas"], 2);
    assert_eq!(spec["Labels"]["by"], "hand");
    assert_eq!(spec["TaskTemplate"]["LogDriver"]["Name"], "local");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_manages_no_swarm_is_told_in_words() {
    let proxy = FaultProxy::start();
    let provider = Provider::behind(&proxy, &[]).await;
    let words = "This node is not a swarm manager.";
    proxy.rule(move |line| {
        line.contains("/services")
            .then_some(Fault::Answer(503, words))
    });
    let answer = provider.get("/system/functions").await;
    assert_eq!(
        answer,
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the Docker engine says 503: {words}\n")
        )
    );
}

#[tokio::test]
async fn a_network_that_is_not_there_is_told_at_once() {
    let socket = engine().host.strip_prefix("unix://").unwrap().to_owned();
    let provider = Provider::on(&socket, &[("functions_network", "nobody-made-this")]);
    let words = "functions_network: the swarm has no network `nobody-made-this`\n";
    until("health to say so", async || {
        let asked = provider
            .http
            .get(format!("{}/healthz", provider.url))
            .send()
            .await;
        let Ok(answer) = asked else { return false };
        answer.status() == 503 && answer.text().await.unwrap() == words
    })
    .await;
    let answer = provider.deploy(&function(&unique("homeless"), "cat")).await;
    assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, words.to_owned()));
}

#[tokio::test]
async fn a_network_that_goes_is_told_and_may_come_back() {
    let network = unique("goes");
    let create = [
        "network",
        "create",
        "-d",
        "overlay",
        "--attachable",
        &network,
    ];
    let _ = engine().docker(&create);
    let provider = Provider::with(&[("functions_network", network.as_str())]).await;
    let _ = engine().docker(&["network", "rm", &network]);
    let words = format!("functions_network: the swarm has no network `{network}`\n");
    let gone = (StatusCode::SERVICE_UNAVAILABLE, words);
    let name = unique("homeless");
    assert_eq!(provider.deploy(&function(&name, "cat")).await, gone);
    until("health to say so", async || {
        provider.get("/healthz").await == gone
    })
    .await;
    assert!(!has_service(&name));

    let _ = engine().docker(&create);
    until("health", async || provider.is_well().await).await;
    assert_eq!(provider.deploy(&function(&name, "cat")).await, accepted());
    assert_eq!(provider.delete(&name).await, accepted());
    until("the network to be free", async || {
        let mut remove = engine().command("docker");
        let removed = remove.args(["network", "rm", &network]).output();
        removed.unwrap().status.success()
    })
    .await;
}
