//! The headers by which a call is followed through every hop.

use serde_json::json;

use crate::support::{Answer, Deployed, Fake, TestGateway};

#[tokio::test]
async fn a_call_without_an_id_is_given_one_that_function_and_caller_both_see() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    let answer = gateway.get("/function/f").await;
    let id = answer.header("x-call-id");
    assert_eq!((id.len(), id.to_lowercase()), (36, id.to_owned()));
    assert!(answer.header("x-start-time").parse::<u64>().unwrap() > 1_600_000_000_000_000_000);
    let seen = answer.json()["headers"].clone();
    assert_eq!(seen["x-call-id"], id);
    assert_eq!(seen["x-start-time"], answer.header("x-start-time"));
    assert_ne!(gateway.get("/function/f").await.header("x-call-id"), id);
}

#[tokio::test]
async fn the_callers_id_is_kept_and_echoed_and_its_start_time_is_not() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    let request = gateway.request("POST", "/function/f");
    let request = request
        .header("X-Call-Id", "mine-7")
        .header("X-Start-Time", "1");
    let answer = Answer::to(request).await;
    assert_eq!(answer.header("x-call-id"), "mine-7");
    assert_ne!(answer.header("x-start-time"), "1");
    assert_eq!(answer.headers.get_all("x-start-time").iter().count(), 1);
    assert_eq!(answer.json()["headers"]["x-call-id"], "mine-7");
    assert_eq!(
        answer.json()["headers"]["x-start-time"],
        answer.header("x-start-time")
    );
}

#[tokio::test]
async fn errors_that_the_gateway_makes_carry_both_headers() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let config = faas_gateway::Config {
        scale_from_zero: false,
        ..crate::support::config(fake.address)
    };
    fake.deploy("cold", Deployed::with(0));
    let gateway = TestGateway::with(config).await.once_ready().await;
    for (method, path, status) in [
        ("GET", "/function/nobody", 404),
        ("GET", "/function/%20", 404),
        ("TRACE", "/function/f", 405),
        ("GET", "/function/cold", 503),
    ] {
        let answer = Answer::to(gateway.request(method, path).header("X-Call-Id", "mine")).await;
        assert_eq!(
            (answer.status, answer.header("x-call-id")),
            (status, "mine"),
            "{path}"
        );
        assert!(
            answer.header("x-start-time").parse::<u64>().is_ok(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn traces_and_forwarding_headers_go_down_with_the_call() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = gateway.request("GET", "/function/f");
    let request = request
        .header("traceparent", traceparent)
        .header("tracestate", "a=b");
    let request = request
        .header("X-Forwarded-For", "10.0.0.9")
        .header("Host", "fn.example");
    let seen = Answer::to(request).await.json()["headers"].clone();
    assert_eq!(
        (&seen["traceparent"], &seen["tracestate"]),
        (&json!(traceparent), &json!("a=b"))
    );
    assert_eq!(seen["x-forwarded-for"], "10.0.0.9, 127.0.0.1");
    assert_eq!(seen["x-forwarded-host"], "fn.example");
    assert_eq!(seen["x-forwarded-proto"], "http");
}
