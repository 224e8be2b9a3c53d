//! What can be learned of an asynchronous call, and how it is called off.

use faas_http::auth::{Credentials, Pair};
use faas_queue::embedded::Limits;
use faas_queue::{InvocationId, Reason, State, Verdict, Work};
use serde_json::json;

use crate::support::{Answer, Queued};

#[tokio::test]
async fn the_status_follows_the_call_to_its_end() {
    let queued = Queued::start().await;
    let id = queued.accepted(&[("x-call-id", "c-7")]).await;
    let path = format!("/async-function/{id}");
    let waiting = queued.gateway.get(&path).await;
    assert_eq!(waiting.header("content-type"), "application/json");
    let waiting = waiting.json();
    for (field, value) in [
        ("id", json!(id.to_string())),
        ("callId", json!("c-7")),
        ("function", json!("echo.openfaas-fn")),
        ("queue", json!("faas-request")),
        ("state", json!("queued")),
        ("attempts", json!(0)),
        ("startedAt", json!(null)),
    ] {
        assert_eq!(waiting[field], value, "{waiting}");
    }
    assert!(waiting["acceptedAt"].as_str().unwrap().ends_with('Z'));

    let taken = queued.take().await.remove(0);
    let running = queued.gateway.get(&path).await.json();
    assert_eq!(
        (&running["state"], &running["attempts"]),
        (&json!("running"), &json!(1))
    );
    queued.queue.release(&taken).await.unwrap();

    queued.end(Verdict::Succeeded, 200).await;
    let ended = queued.gateway.get(&path).await.json();
    assert_eq!(
        (&ended["state"], &ended["lastStatus"]),
        (&json!("succeeded"), &json!(200))
    );
    assert!(
        ended["endedAt"].is_string() && ended["dueAt"].is_null(),
        "{ended}"
    );
    assert!(
        ended.get("result").is_none(),
        "nobody asked for it: {ended}"
    );
}

#[tokio::test]
async fn the_answer_is_told_to_whoever_asked_for_it_to_be_kept() {
    let queued = Queued::start().await;
    let id = queued.accepted(&[("x-async-result", "keep")]).await;
    queued.end(Verdict::Succeeded, 201).await;
    let ended = queued.gateway.get(&format!("/async-function/{id}")).await;
    let result = json!({"status": 201, "headers": {"x-answer": ["1"]}, "body": "what came of it"});
    assert_eq!(ended.json()["result"], result);
}

#[tokio::test]
async fn by_its_own_id_a_call_is_open_and_by_a_call_id_for_users_only() {
    let credentials = Credentials::fixed(Pair::new("admin", "secret"));
    let queued = Queued::with(|_| (), Limits::default(), Some(credentials)).await;
    let first = queued.accepted(&[("x-call-id", "c-7")]).await;
    let second = queued.accepted(&[("x-call-id", "c-7")]).await;
    assert_eq!(
        queued
            .gateway
            .get(&format!("/async-function/{first}"))
            .await
            .status,
        200
    );
    for method in ["GET", "DELETE"] {
        let stranger = Answer::to(queued.gateway.request(method, "/async-function/c-7")).await;
        assert_eq!(stranger.status, 401, "{method}");
    }
    let user = |method, path| {
        let request = queued.gateway.request(method, path);
        Answer::to(request.basic_auth("admin", Some("secret")))
    };
    let both = user("GET", "/async-function/c-7").await.json();
    let ids: Vec<&str> = both
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [first.to_string(), second.to_string()]);
    assert_eq!(user("GET", "/async-function/nothing").await.status, 404);
    assert_eq!(user("DELETE", "/async-function/c-7").await.status, 202);
    for id in [first, second] {
        assert_eq!(queued.state(id).await, State::Cancelled);
    }
}

#[tokio::test]
async fn whatever_is_cancelled_is_202_and_only_what_has_not_ended_changes() {
    let queued = Queued::start().await;
    let cancel = async |id: InvocationId| {
        let path = format!("/async-function/{id}");
        let answer = Answer::to(queued.gateway.request("DELETE", &path)).await;
        assert_eq!((answer.status, answer.text.as_str()), (202, ""));
    };
    let ended = queued.accepted(&[]).await;
    queued.end(Verdict::Succeeded, 200).await;
    let waiting = queued.accepted(&[]).await;
    for id in [ended, waiting, waiting, InvocationId::new()] {
        cancel(id).await;
    }
    assert_eq!(queued.state(ended).await, State::Succeeded);
    assert_eq!(queued.state(waiting).await, State::Cancelled);

    let running = queued.accepted(&[]).await;
    queued.take().await;
    let mut cancellations = queued.queue.cancellations();
    cancel(running).await;
    assert_eq!(cancellations.recv().await.unwrap(), running);
}

#[tokio::test]
async fn an_id_that_does_not_exist_is_404() {
    let queued = Queued::start().await;
    let id = InvocationId::new();
    let answer = queued.gateway.get(&format!("/async-function/{id}")).await;
    answer.is_refusal(404, &format!("no call is known by the id `{id}`"));
    let answer = queued.gateway.get("/async-function/c-1").await;
    answer.is_refusal(404, "no call is known by the id `c-1`");
}

#[tokio::test]
async fn depth_and_books_are_told() {
    let queued = Queued::start().await;
    for _ in 0..3 {
        queued.accepted(&[]).await;
    }
    queued.accepted(&[("x-delay", "1h")]).await;
    queued.end(Verdict::Dead(Reason::Http(400)), 400).await;
    let told = queued.gateway.get("/system/queues").await.json();
    let books = json!({"accepted": 4, "succeeded": 0, "failed": 0, "dead": 1, "cancelled": 0,
        "waiting": 3, "running": 0, "drift": 0});
    assert_eq!(told["books"], books);
    let function = &told["functions"][0];
    assert_eq!(function["function"], "echo.openfaas-fn");
    assert_eq!(
        (&function["waiting"], &function["running"]),
        (&json!(3), &json!(0))
    );
    let ready = queued.gateway.private("/readyz").await;
    assert!(ready.text.ends_with("queue: ok\n"), "{ready:?}");
}
