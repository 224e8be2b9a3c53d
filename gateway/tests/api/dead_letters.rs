//! Dead letters: listed, shown, put back, dropped.

use faas_http::auth::{Credentials, Pair};
use faas_queue::embedded::Limits;
use faas_queue::{InvocationId, Queue, Reason, State, Verdict};
use serde_json::json;

use crate::support::{Answer, Queued};

async fn dead(queued: &Queued, reason: Reason, status: u16) -> InvocationId {
    let id = queued.accepted(&[("x-call-id", "c-7")]).await;
    queued.end(Verdict::Dead(reason), status).await;
    id
}

async fn ask(queued: &Queued, method: &str, path: &str) -> Answer {
    Answer::to(queued.gateway.request(method, path)).await
}

#[tokio::test]
async fn they_are_listed_by_page_function_and_reason() {
    let queued = Queued::start().await;
    let first = dead(&queued, Reason::Http(400), 400).await;
    let second = dead(&queued, Reason::RetriesExhausted, 500).await;
    let ids = async |query: &str| {
        let list = queued
            .gateway
            .get(&format!("/system/dead-letters{query}"))
            .await;
        let list = list.json();
        let ids = list
            .as_array()
            .unwrap()
            .iter()
            .map(|letter| letter["id"].clone());
        ids.collect::<Vec<_>>()
    };
    let (first, second) = (json!(first.to_string()), json!(second.to_string()));
    for (query, expected) in [
        ("", vec![&first, &second]),
        ("?limit=1", vec![&first]),
        (
            &format!("?after={}", first.as_str().unwrap()),
            vec![&second],
        ),
        ("?reason=retries_exhausted", vec![&second]),
        ("?function=echo", vec![&first, &second]),
        ("?function=echo.dev", vec![]),
    ] {
        assert_eq!(
            ids(query).await.iter().collect::<Vec<_>>(),
            expected,
            "{query}"
        );
    }
    let letter = queued
        .gateway
        .get("/system/dead-letters?limit=1")
        .await
        .json()[0]
        .clone();
    for (field, value) in [
        ("function", json!("echo.openfaas-fn")),
        ("callId", json!("c-7")),
        ("reason", json!("http_400")),
        ("lastStatus", json!(400)),
    ] {
        assert_eq!(letter[field], value, "{letter}");
    }
}

#[tokio::test]
async fn one_is_shown_with_its_call_put_back_as_a_new_one_and_gone() {
    let queued = Queued::start().await;
    let id = dead(&queued, Reason::Http(400), 400).await;
    let path = format!("/system/dead-letters/{id}");
    let shown = ask(&queued, "GET", &path).await.json();
    assert_eq!(
        (&shown["call"]["method"], &shown["call"]["body"]),
        (&json!("POST"), &json!("a body"))
    );
    assert_eq!(shown["call"]["headers"]["x-call-id"], json!(["c-7"]));

    let again = ask(&queued, "POST", &format!("{path}/redrive")).await;
    assert_eq!(again.status, 202);
    let new: InvocationId = again.json()["id"].as_str().unwrap().parse().unwrap();
    assert_ne!(new, id);
    assert_eq!(queued.state(new).await, State::Queued);
    let words = format!("there is no dead letter `{id}`");
    ask(&queued, "GET", &path).await.is_refusal(404, &words);
    assert_eq!(queued.queue.books().await.unwrap().drift(), 0);
}

#[tokio::test]
async fn one_is_dropped_and_then_all() {
    let queued = Queued::start().await;
    let first = dead(&queued, Reason::Http(400), 400).await;
    for _ in 0..3 {
        dead(&queued, Reason::RetriesExhausted, 500).await;
    }
    let path = format!("/system/dead-letters/{first}");
    assert_eq!(ask(&queued, "DELETE", &path).await.status, 202);
    assert_eq!(ask(&queued, "DELETE", &path).await.status, 404);
    let some = ask(&queued, "DELETE", "/system/dead-letters?reason=http_400").await;
    assert_eq!((some.status, some.json()), (202, json!({"purged": 0})));
    let again = ask(
        &queued,
        "POST",
        "/system/dead-letters/redrive?function=echo",
    )
    .await;
    assert_eq!((again.status, again.json()), (202, json!({"redriven": 3})));
    assert_eq!(
        queued.gateway.get("/system/dead-letters").await.json(),
        json!([])
    );
    assert_eq!(queued.take().await.len(), 3);
}

#[tokio::test]
async fn what_is_no_dead_letter_is_404() {
    let queued = Queued::start().await;
    for id in ["nothing", &InvocationId::new().to_string()] {
        for (method, path) in [("GET", ""), ("DELETE", ""), ("POST", "/redrive")] {
            let answer = ask(&queued, method, &format!("/system/dead-letters/{id}{path}")).await;
            answer.is_refusal(404, &format!("there is no dead letter `{id}`"));
        }
    }
}

#[tokio::test]
async fn strangers_learn_nothing_of_queues_and_dead_letters() {
    let credentials = Credentials::fixed(Pair::new("admin", "secret"));
    let queued = Queued::with(|_| (), Limits::default(), Some(credentials)).await;
    for (method, path) in [
        ("GET", "/system/queues"),
        ("GET", "/system/dead-letters"),
        ("DELETE", "/system/dead-letters"),
        ("POST", "/system/dead-letters/redrive"),
        ("GET", "/system/dead-letters/x"),
        ("POST", "/system/dead-letters/x/redrive"),
    ] {
        assert_eq!(
            ask(&queued, method, path).await.status,
            401,
            "{method} {path}"
        );
    }
}
