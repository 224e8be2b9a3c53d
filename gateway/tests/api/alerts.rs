//! AlertManager's webhook, end to end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Deployed, Fake, Memory, TestGateway, until};

fn alert(status: &str, function: &str) -> Value {
    json!({"status": status, "labels": {"alertname": "APIHighInvocationRate", "function_name": function}})
}

async fn send(gateway: &TestGateway, alerts: &[Value]) -> Answer {
    let webhook =
        json!({"version": "4", "status": "firing", "receiver": "scale-up", "alerts": alerts});
    gateway.json("POST", "/system/alert", webhook).await
}

/// The numbers of replicas that a fake was asked for, in order.
fn asked(fake: &Fake) -> Vec<Value> {
    let seen = fake.seen("POST /system/scale-function/f?namespace=openfaas-fn");
    let body = |text: &str| serde_json::from_str::<Value>(text).unwrap()["replicas"].clone();
    seen.iter().map(|seen| body(&seen.body)).collect()
}

#[tokio::test]
async fn an_alert_steps_a_function_up_and_its_end_brings_it_back_to_the_minimum() {
    let fake = Fake::start().await;
    let labels = json!({"com.openfaas.scale.min": "2", "com.openfaas.scale.max": "9", "com.openfaas.scale.factor": "35"});
    fake.deploy(
        "f",
        Deployed {
            labels,
            ..Deployed::with(2)
        },
    );
    let gateway = TestGateway::ready(fake.address).await;
    // 35 % of 9 is 3.15: a step is 4. What is told again is no further step.
    for _ in 0..3 {
        let answer = send(&gateway, &[alert("firing", "f")]).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    }
    assert_eq!(asked(&fake), [6]);
    for _ in 0..2 {
        assert_eq!(
            send(&gateway, &[alert("resolved", "f.openfaas-fn")])
                .await
                .status,
            200
        );
    }
    assert_eq!(asked(&fake), [6, 2]);
}

/// AlertManager may be faster than the table that the provider publishes.
#[tokio::test]
async fn an_alert_goes_by_what_the_provider_says_at_that_moment() {
    let fake = Fake::foreign().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    fake.deploy("f", Deployed::with(2));
    assert_eq!(send(&gateway, &[alert("resolved", "f")]).await.status, 200);
    assert_eq!(asked(&fake), [1]);
}

#[tokio::test]
async fn without_labels_a_step_is_a_fifth_of_twenty() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    assert_eq!(send(&gateway, &[alert("firing", "f")]).await.status, 200);
    // AlertManager repeats itself after thirty seconds; what comes within ten is the same step.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(send(&gateway, &[alert("firing", "f")]).await.status, 200);
    assert_eq!(asked(&fake), [5, 9]);
}

#[tokio::test]
async fn the_end_of_an_alert_wakes_nobody_and_factor_zero_moves_nobody() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(0));
    let gateway = TestGateway::ready(fake.address).await;
    assert_eq!(send(&gateway, &[alert("resolved", "f")]).await.status, 200);
    let labels = json!({"com.openfaas.scale.factor": "0"});
    fake.deploy(
        "f",
        Deployed {
            labels,
            ..Deployed::with(3)
        },
    );
    until("the label is known", async || {
        let why = gateway.get("/system/scaling/f").await.json();
        why["settings"]["factor"] == 0
    })
    .await;
    assert_eq!(send(&gateway, &[alert("firing", "f")]).await.status, 200);
    assert_eq!(asked(&fake), Vec::<Value>::new());
}

#[tokio::test]
async fn a_real_function_grows_and_shrinks_by_alerts() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    let labels = json!({"com.openfaas.scale.max": "2"});
    let deployment =
        json!({"service": "f", "image": "none", "envProcess": "cat", "labels": labels});
    gateway.deploy_as(deployment).await;
    for (status, replicas) in [("firing", 2), ("resolved", 1)] {
        assert_eq!(send(&gateway, &[alert(status, "f")]).await.status, 200);
        until("the replicas", async || {
            let now = gateway.get("/system/function/f").await.json();
            now["replicas"] == replicas && now["availableReplicas"] == replicas
        })
        .await;
    }
}

#[tokio::test]
async fn an_alert_that_cannot_be_followed_is_a_line_and_the_others_are_followed() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    fake.deploy("stuck", Deployed::with(1));
    fake.answers(
        "/system/scale-function/stuck",
        500,
        "a secret of the provider's",
    );
    let gateway = TestGateway::ready(fake.address).await;
    let alerts = [
        alert("firing", "nobody"),
        alert("firing", ""),
        json!({"status": "firing", "labels": {"alertname": "service_down"}}),
        json!({"status": "firing"}),
        alert("firing", "stuck"),
        alert("firing", "../secrets?x"),
        alert("firing", "f"),
    ];
    let answer = send(&gateway, &alerts).await;
    let lines = [
        "[0] error scaling nobody.openfaas-fn: it says there is none",
        "[4] error scaling stuck.openfaas-fn: it answered 500",
        "[5] error scaling: `../secrets?x` is no name of a function",
    ];
    assert_eq!((answer.status, answer.text), (500, lines.join("\n") + "\n"));
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(asked(&fake), [5]);
    assert_eq!(fake.seen("GET /system/secrets").len(), 0);
}

#[tokio::test]
async fn a_webhook_that_cannot_be_read_is_400_and_an_empty_one_200() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    for garbage in [
        "",
        "firing",
        "[]",
        "{\"alerts\": 1}",
        "{\"alerts\": [{\"labels\": 7}]}",
        "\u{0}",
    ] {
        let answer = gateway.post("/system/alert", garbage).await;
        let said = (answer.status, answer.text.as_str());
        assert_eq!(
            said,
            (400, "Unable to parse alert, bad format."),
            "{garbage}"
        );
    }
    for empty in ["{}", "{\"alerts\": []}"] {
        let answer = gateway.post("/system/alert", empty).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{empty}");
    }
}

#[tokio::test]
async fn an_alert_during_an_outage_is_told_so_that_it_comes_again() {
    let mut fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    fake.crash().await;
    let answer = send(&gateway, &[alert("firing", "f")]).await;
    let line = "[0] error scaling f.openfaas-fn: it gave no answer\n";
    assert_eq!((answer.status, answer.text.as_str()), (500, line));
}
