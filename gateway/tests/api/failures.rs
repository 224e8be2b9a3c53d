//! What a caller reads when a function cannot answer.

use std::time::{Duration, Instant};

use faas_gateway::Config;
use serde_json::json;

use crate::support::{Answer, Deployed, Fake, Scale, TestGateway, config, until};

#[tokio::test]
async fn a_function_that_nobody_has_is_404() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    gateway
        .get("/function/nobody")
        .await
        .is_refusal(404, "function nobody.openfaas-fn not found");
}

#[tokio::test]
async fn during_an_outage_an_unknown_function_is_503_and_a_warm_one_answers() {
    let mut fake = Fake::start().await;
    fake.deploy("warm", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    fake.crash().await;
    let words = "function new.openfaas-fn: the provider cannot be asked: it gave no answer";
    gateway.get("/function/new").await.is_refusal(503, words);
    assert_eq!(gateway.get("/function/warm").await.status, 200);
    gateway
        .counts(
            "gateway_function_invocation_total",
            &[("function_name", "unknown"), ("code", "503")],
            1.0,
        )
        .await;
}

#[tokio::test]
async fn a_provider_in_trouble_is_503_and_never_404() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    fake.answers("/system/function/f", 500, "a secret of the provider's");
    let words = "function f.openfaas-fn: the provider cannot be asked: it answered 500";
    gateway.get("/function/f").await.is_refusal(503, words);
}

#[tokio::test]
async fn before_the_first_list_nothing_is_404() {
    let mut fake = Fake::start().await;
    fake.crash().await;
    let gateway = TestGateway::before(fake.address).await;
    let words = "function f.openfaas-fn: the provider cannot be asked: it gave no answer";
    gateway.get("/function/f").await.is_refusal(503, words);

    // It says that it has no such function, but has not said which it has.
    fake.answers("/system/endpoints", 503, "not yet");
    fake.begin().await;
    let words =
        "function f.openfaas-fn: the provider cannot be asked: it has not listed its functions yet";
    until("the provider to be asked", async || {
        let answer = gateway.get("/function/f").await;
        assert_eq!(answer.status, 503);
        answer.text.trim_end() == words
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_cannot_be_reached_is_502() {
    let fake = Fake::start().await;
    let gone = Fake::start().await;
    let address = Some(gone.replica.address);
    drop(gone);
    fake.deploy(
        "f",
        Deployed {
            address,
            ..Deployed::with(1)
        },
    );
    let gateway = TestGateway::ready(fake.address).await;
    let words = "function f.openfaas-fn: no replica can be reached";
    gateway.get("/function/f").await.is_refusal(502, words);
}

#[tokio::test]
async fn an_answer_that_does_not_begin_in_time_is_504_with_the_limit() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    for (name, limit) in [("hasty", "50ms"), ("odd", "soon")] {
        let function = Deployed {
            annotations: json!({"com.openfaas.timeout": limit}),
            ..Deployed::with(1)
        };
        fake.deploy(name, function);
    }
    let config = Config {
        upstream_timeout: Duration::from_millis(100),
        ..config(fake.address)
    };
    let gateway = TestGateway::with(config).await.once_ready().await;

    for (name, limit) in [
        ("f", "upstream_timeout=100ms"),
        ("hasty", "com.openfaas.timeout=50ms"),
        ("odd", "upstream_timeout=100ms"),
    ] {
        let words = format!("function {name}.openfaas-fn: no answer within {limit}");
        let answer = gateway.get(&format!("/function/{name}/hold")).await;
        answer.is_refusal(504, &words);
    }
    let hurried = gateway
        .request("GET", "/function/f/hold")
        .header("X-Remaining-Ms", "20");
    let words = "function f.openfaas-fn: no answer within X-Remaining-Ms=20";
    Answer::to(hurried).await.is_refusal(504, words);
    fake.replica.stage.holds(0).await;
}

#[tokio::test]
async fn a_function_may_take_longer_than_the_gateways_limit_if_it_says_so() {
    let fake = Fake::start().await;
    let own = json!({"com.openfaas.timeout": "1m"});
    fake.deploy(
        "patient",
        Deployed {
            annotations: own,
            ..Deployed::with(1)
        },
    );
    let limit = Duration::from_millis(50);
    let config = Config {
        upstream_timeout: limit,
        ..config(fake.address)
    };
    let gateway = TestGateway::with(config).await.once_ready().await;
    let call = tokio::spawn(gateway.request("GET", "/function/patient/hold").send());
    let began = Instant::now();
    until("the gateway's own limit to pass", async || {
        began.elapsed() > 4 * limit
    })
    .await;
    fake.replica.stage.let_go(1);
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn the_time_that_is_left_is_handed_down_and_never_raised() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    let left = async |said: Option<&str>| {
        let mut request = gateway.request("GET", "/function/f");
        if let Some(said) = said {
            request = request.header("X-Remaining-Ms", said);
        }
        let seen = Answer::to(request).await.json();
        let seen: u64 = seen["headers"]["x-remaining-ms"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        seen
    };
    assert!((50_000..=60_000).contains(&left(None).await));
    assert!((1..=20_000).contains(&left(Some("20000")).await));
    assert!((50_000..=60_000).contains(&left(Some("3600000")).await));
    assert!((50_000..=60_000).contains(&left(Some("soon")).await));
}

#[tokio::test]
async fn the_wait_for_a_replica_is_taken_off_the_time_that_is_left() {
    let fake = Fake::start().await;
    fake.deploy("cold", Deployed::with(0));
    fake.on_scale(Scale::NeverReady);
    let gateway = TestGateway::ready(fake.address).await;
    let hurried = gateway
        .request("GET", "/function/cold")
        .header("X-Remaining-Ms", "50");
    let words = "function cold.openfaas-fn: no answer within X-Remaining-Ms=50";
    Answer::to(hurried).await.is_refusal(504, words);

    let call = gateway
        .request("GET", "/function/cold")
        .header("X-Remaining-Ms", "20000");
    let began = Instant::now();
    let call = tokio::spawn(Answer::to(call));
    until("some time to pass", async || {
        began.elapsed() > Duration::from_millis(200)
    })
    .await;
    fake.deploy("cold", Deployed::with(1));
    let answer = call.await.unwrap();
    let left = answer.json()["headers"]["x-remaining-ms"]
        .as_str()
        .unwrap()
        .parse::<u64>();
    // Half of what passed here: on a busy machine the call reaches the gateway late.
    assert!((1..=19_900).contains(&left.unwrap()), "{answer:?}");
}

#[tokio::test]
async fn errors_of_functions_are_their_own() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    for code in [301, 404, 500, 502, 503] {
        let answer = gateway.get(&format!("/function/f/status/{code}")).await;
        assert_eq!(
            (answer.status, answer.header("x-openfaas-internal")),
            (code, "")
        );
    }
}
