//! Asynchronous calls as they are accepted, or not.

use std::time::Duration;

use faas_gateway::Config;
use faas_queue::embedded::Limits;
use faas_queue::{Queue, State};
use serde_json::json;

use crate::support::{Answer, Deployed, Queued, Wire, until};

#[tokio::test]
async fn a_call_is_stored_as_it_came_before_it_is_accepted() {
    let queued = Queued::start().await;
    for method in ["POST", "PUT", "PATCH"] {
        let path = "/async-function/echo.openfaas-fn/a%2Fb//c%25?x=%20&y";
        let request = queued.gateway.request(method, path).body("a body");
        let request = request
            .header("x-call-id", "c-7")
            .header("connection", "close, x-hop")
            .header("x-hop", "1")
            .header("x-remaining-ms", "1000")
            .header("authorization", "Bearer kept");
        let answer = Answer::to(request).await;
        assert_eq!((answer.status, answer.text.as_str()), (202, ""));
        assert_eq!(answer.header("x-call-id"), "c-7");
        assert!(!answer.header("x-start-time").is_empty());

        let call = queued.only().await;
        assert_eq!(call.id.to_string(), answer.header("x-invocation-id"));
        assert_eq!(
            (call.method.as_str(), &call.body[..]),
            (method, &b"a body"[..])
        );
        assert_eq!(
            (call.path.as_str(), call.query.as_deref()),
            ("/a%2Fb//c%25", Some("x=%20&y"))
        );
        assert_eq!(
            (call.function.as_str(), call.called.as_str()),
            ("echo.openfaas-fn", "echo.openfaas-fn")
        );
        assert_eq!(
            (call.queue.as_str(), call.call_id.as_str()),
            ("faas-request", "c-7")
        );
        let header = |name: &str| {
            let found = call.headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| String::from_utf8(value.clone()).unwrap())
        };
        let host = queued.gateway.at.public.to_string();
        assert_eq!(call.host, host);
        for (name, value) in [
            ("x-call-id", "c-7"),
            ("authorization", "Bearer kept"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-host", &host),
        ] {
            assert_eq!(header(name).as_deref(), Some(value), "{name}");
        }
        for gone in [
            "host",
            "content-length",
            "connection",
            "x-hop",
            "x-remaining-ms",
        ] {
            assert_eq!(header(gone), None, "{gone}");
        }
    }
}

#[tokio::test]
async fn a_call_without_an_id_gets_one() {
    let queued = Queued::start().await;
    let answer = queued.post("/async-function/echo", &[]).await;
    let call = queued.only().await;
    assert_eq!(answer.header("x-call-id"), call.call_id);
    assert_eq!((call.call_id.len(), call.path.as_str()), (36, "/"));
}

#[tokio::test]
async fn a_function_that_does_not_exist_is_404_and_one_nobody_knows_of_is_accepted() {
    let mut queued = Queued::start().await;
    let words = "function nobody.openfaas-fn not found";
    let unknown = queued.post("/async-function/nobody", &[]).await;
    unknown.is_refusal(404, words);
    let odd = queued.post("/async-function/a%2Eb", &[]).await;
    assert_eq!(odd.status, 404);
    queued.fake.crash().await;
    let accepted = queued.post("/async-function/later", &[]).await;
    assert_eq!(accepted.status, 202);
}

#[tokio::test]
async fn what_cannot_be_asked_is_400_with_the_headers_name() {
    let queued = Queued::start().await;
    for (name, value, words) in [
        (
            "x-callback-url",
            "http://169.254.169.254/x",
            "X-Callback-Url: 169.254.169.254 is an address of machine metadata",
        ),
        (
            "x-delay",
            "25h",
            "X-Delay: `25h` is more than max_message_age=24h0m0s",
        ),
        ("x-async-result", "no", "X-Async-Result: `no` is not `keep`"),
    ] {
        let answer = queued.post("/async-function/echo", &[(name, value)]).await;
        answer.is_refusal(400, words);
        assert!(!answer.header("x-call-id").is_empty());
    }
    assert_eq!(queued.queue.books().await.unwrap().accepted, 0);
}

#[tokio::test]
async fn other_methods_are_405() {
    let queued = Queued::start().await;
    let answer = Answer::to(queued.gateway.request("OPTIONS", "/async-function/echo")).await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("allow"), "GET,HEAD,POST,PUT,PATCH,DELETE");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_however_it_comes() {
    let small = |config: &mut faas_gateway::Config| config.async_max_body_bytes = 10;
    let queued = Queued::with(small, Limits::default(), None).await;
    let post = async |body: String| queued.gateway.post("/async-function/echo", body).await;
    assert_eq!(post("x".repeat(10)).await.status, 202);
    let words = "the body is larger than 10 bytes";
    post("x".repeat(11)).await.is_refusal(413, words);

    // Nothing says beforehand how long it is, and it never ends.
    let mut wire = Wire::to(queued.gateway.at.public).await;
    wire.send(
        "POST /async-function/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
    wire.send("6\r\nabcdef\r\n6\r\nghijkl\r\n").await;
    let head = wire.head().await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    assert_eq!(queued.queue.books().await.unwrap().accepted, 1);
}

#[tokio::test]
async fn a_body_that_stalls_is_408_and_nothing_is_stored() {
    let hasty = |config: &mut faas_gateway::Config| {
        config.read_timeout = Duration::from_millis(200);
    };
    let queued = Queued::with(hasty, Limits::default(), None).await;
    let mut wire = Wire::to(queued.gateway.at.public).await;
    wire.send("POST /async-function/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        .await;
    let head = wire.head().await;
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    assert_eq!(queued.queue.books().await.unwrap().accepted, 0);
}

#[tokio::test]
async fn a_full_queue_is_503_and_a_functions_full_share_429() {
    let limits = Limits {
        most_calls: 3,
        most_calls_of_a_function: 2,
        ..Limits::default()
    };
    let queued = Queued::with(|_| (), limits, None).await;
    queued.fake.deploy("other", Deployed::with(1));
    queued.accepted(&[]).await;
    queued.accepted(&[]).await;
    let answer = queued.post("/async-function/echo", &[]).await;
    answer.is_refusal(
        429,
        "the queue is full for this function: 2 of its calls wait in it",
    );
    assert_eq!(answer.header("retry-after"), "1");
    let other = queued.post("/async-function/other", &[]).await;
    assert_eq!(other.status, 202);
    let answer = queued.post("/async-function/echo", &[]).await;
    answer.is_refusal(503, "the queue is full: 3 calls wait in it");
    assert_eq!(answer.header("retry-after"), "1");

    for (result, count) in [
        ("accepted", 3.0),
        ("function_full", 1.0),
        ("queue_full", 1.0),
    ] {
        let labels = [("queue_name", "faas-request"), ("result", result)];
        let series = "gateway_async_published_total";
        queued.gateway.counts(series, &labels, count).await;
    }
}

#[tokio::test]
async fn the_same_key_at_once_is_one_call_and_the_same_call_id_two() {
    let queued = Queued::start().await;
    let keyed = (0..10).map(|_| queued.accepted(&[("idempotency-key", "k")]));
    let mut ids = futures_util::future::join_all(keyed).await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    for _ in 0..2 {
        queued.accepted(&[("x-call-id", "c-1")]).await;
    }
    assert_eq!(queued.queue.books().await.unwrap().accepted, 3);
}

#[tokio::test]
async fn a_call_that_is_put_off_waits_its_time() {
    let queued = Queued::start().await;
    let id = queued.accepted(&[("x-delay", "1h")]).await;
    assert!(queued.take().await.is_empty());
    let status = queued.queue.status(id).await.unwrap().unwrap();
    let wait = status.due_ms - status.accepted_ms;
    assert_eq!(status.state, State::Queued);
    // By two clocks, which differ by a step of the wall's since the start.
    assert!((3_599_000..3_660_000).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_functions_annotations_travel_and_its_queue_has_to_be_one() {
    let queued = Queued::start().await;
    let annotated = |queue: &str| Deployed {
        annotations: json!({
            "com.openfaas.queue": queue,
            "com.openfaas.retry.attempts": "3",
            "topic": "not ours",
        }),
        ..Deployed::with(1)
    };
    queued.fake.deploy("slow", annotated("slow"));
    let accepted = queued.post("/async-function/slow", &[]).await;
    assert_eq!(accepted.status, 202);
    let call = queued.take_of("slow").await.remove(0).call().unwrap();
    assert_eq!((call.queue.as_str(), call.annotations.len()), ("slow", 2));
    assert_eq!(call.annotations["com.openfaas.retry.attempts"], "3");

    queued.fake.deploy("lost", annotated("No Queue"));
    let words = "annotation com.openfaas.queue: no queue is called `No Queue`";
    let answer = queued.post("/async-function/lost", &[]).await;
    answer.is_refusal(400, words);
}

/// There is no worker, and the scaler looks at the queue once a minute.
#[tokio::test]
async fn a_call_wakes_a_function_that_is_scaled_by_its_queue_before_anybody_makes_it() {
    let minute = |config: &mut Config| config.autoscaler_tick = Duration::from_secs(60);
    let queued = Queued::with(minute, Limits::default(), None).await;
    let asleep = |kind: &str| Deployed {
        labels: json!({"com.openfaas.scale.type": kind, "com.openfaas.scale.min": "2"}),
        ..Deployed::with(0)
    };
    for name in ["awaited", "delayed"] {
        queued.fake.deploy(name, asleep("queue"));
    }
    queued.fake.deploy("called", asleep("rps"));
    for (name, headers) in [
        ("delayed", &[("x-delay", "60s")][..]),
        ("called", &[]),
        ("awaited", &[]),
    ] {
        let path = format!("/async-function/{name}");
        assert_eq!(queued.post(&path, headers).await.status, 202);
    }
    let asked = || queued.fake.seen("POST /system/scale-function/");
    until("a scale request", async || !asked().is_empty()).await;
    let asked = asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].line.contains("/awaited?"), "{asked:?}");
    assert!(asked[0].body.contains("\"replicas\":2"), "{asked:?}");
}
