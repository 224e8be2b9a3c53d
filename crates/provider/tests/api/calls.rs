//! Calls of functions at the provider.

use std::time::Duration;

use faas_http::forward::Upstream;
use faas_provider::{EndpointTable, FunctionEndpoints, FunctionName, Options};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{ANY_PORT, Api, echo, soon};

async fn with_echo() -> Api {
    let api = Api::start().await;
    api.provider.replicas_at(echo().await);
    api.deploy("echo").await;
    api
}

/// A replica that accepts calls and never answers.
async fn deaf() -> TcpListener {
    TcpListener::bind(ANY_PORT).await.unwrap()
}

#[tokio::test]
async fn a_function_sees_the_path_after_its_name_as_it_was_written() {
    let api = with_echo().await;
    for (path, seen) in [
        ("/function/echo", "/"),
        ("/function/echo/", "/"),
        ("/function/echo?", "/?"),
        ("/function/echo?a=%2F&b", "/?a=%2F&b"),
        ("/function/echo/some/path?x=1", "/some/path?x=1"),
        ("/function/echo/a%2Fb//c/", "/a%2Fb//c/"),
        ("/function/echo.openfaas-fn/%zz", "/%zz"),
        (
            "/function/echo/../../system/functions",
            "/../../system/functions",
        ),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n");
        let answer = api.raw(request).await;
        assert!(
            answer.ends_with(&format!("\r\n\r\nGET {seen}\n")),
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn every_method_of_functions_reaches_them() {
    let api = with_echo().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let answer = api.send(method, "/function/echo/x", "body").await;
        assert_eq!(
            (answer.status.as_u16(), answer.body),
            (200, format!("{method} /x\nbody"))
        );
        assert_eq!(answer.headers.get("x-openfaas-internal"), None);
    }
    let head = api.send("HEAD", "/function/echo", "").await;
    head.is(200);
    assert_eq!(head.header("content-length"), "HEAD /\n".len().to_string());
}

#[tokio::test]
async fn functions_of_other_namespaces_are_called_by_their_full_name() {
    let api = with_echo().await;
    api.post(
        "/system/functions?namespace=dev",
        json!({"service": "other", "image": "i"}),
    )
    .await
    .is(202);
    assert_eq!(api.get("/function/other.dev/x").await.body, "GET /x\n");
    api.get("/function/other")
        .await
        .refuses(404, "function other.openfaas-fn not found");
    api.get("/function/echo.dev")
        .await
        .refuses(404, "function echo.dev not found");
}

#[tokio::test]
async fn who_says_no_is_told() {
    let api = with_echo().await;
    let missing = api.get("/function/none").await;
    missing.refuses(404, "function none.openfaas-fn not found");
    assert_eq!(missing.header("x-openfaas-internal"), "proxy");

    api.post("/system/scale-function/echo", json!({"replicas": 0}))
        .await
        .is(202);
    let idle = api.get("/function/echo").await;
    idle.refuses(503, "no replica of echo.openfaas-fn is ready");
    assert_eq!(idle.header("x-openfaas-internal"), "proxy");
}

#[tokio::test]
async fn as_long_as_functions_may_be_missing_from_the_table_nothing_is_404() {
    let api = Api::start().await;
    api.provider.table.replace(EndpointTable::default());
    api.get("/function/echo")
        .await
        .refuses(503, "no replica of echo.openfaas-fn is ready");
}

#[tokio::test]
async fn replicas_that_cannot_be_reached_are_502_without_their_address() {
    let api = Api::start().await;
    let gone = deaf().await.local_addr().unwrap();
    api.provider.replicas_at(gone);
    api.deploy("echo").await;
    let answer = api.post("/function/echo", json!("body")).await;
    answer.refuses(502, "function echo.openfaas-fn: no replica can be reached");
    assert_eq!(answer.header("x-openfaas-internal"), "proxy");
    assert!(!answer.body.contains("127.0.0.1"));
}

#[tokio::test]
async fn one_replica_that_cannot_be_reached_is_not_noticed() {
    let api = Api::start().await;
    let name = FunctionName::new("echo", "openfaas-fn");
    let gone = deaf().await.local_addr().unwrap();
    let at = |address: std::net::SocketAddr| {
        Upstream::new(address.to_string(), address.to_string().parse().unwrap())
    };
    let endpoints = vec![at(gone), at(echo().await), at(gone)];
    api.provider.table.publish(
        &name,
        FunctionEndpoints {
            endpoints,
            ..FunctionEndpoints::default()
        },
    );
    for _ in 0..10 {
        assert_eq!(
            api.send("POST", "/function/echo", "body").await.body,
            "POST /\nbody"
        );
    }
}

#[tokio::test]
async fn a_replica_that_does_not_answer_is_504_with_the_limit() {
    let call_timeout = Some(Duration::from_millis(100));
    let api = Api::with(Options {
        call_timeout,
        ..Options::default()
    })
    .await;
    let deaf = deaf().await;
    api.provider.replicas_at(deaf.local_addr().unwrap());
    api.deploy("slow").await;
    let answer = api.get("/function/slow").await;
    answer.refuses(
        504,
        "function slow.openfaas-fn: no answer within read_timeout=100ms",
    );
    assert_eq!(answer.header("x-openfaas-internal"), "proxy");
}

#[tokio::test]
async fn a_function_may_have_a_timeout_of_its_own() {
    let api = Api::start().await;
    let deaf = deaf().await;
    api.provider.replicas_at(deaf.local_addr().unwrap());
    let wish =
        json!({"service": "slow", "image": "i", "annotations": {"com.openfaas.timeout": "150ms"}});
    api.post("/system/functions", wish).await.is(202);
    api.get("/function/slow").await.refuses(
        504,
        "function slow.openfaas-fn: no answer within com.openfaas.timeout=150ms",
    );
}

#[tokio::test]
async fn a_large_body_for_a_function_that_is_not_there_is_404_and_not_a_reset() {
    let api = Api::start().await;
    for _ in 0..10 {
        api.send("POST", "/function/none", vec![b'x'; 4 * 1024 * 1024])
            .await
            .refuses(404, "function none");
    }
}

#[tokio::test]
async fn a_caller_who_leaves_cancels_the_call_at_the_replica() {
    let api = Api::start().await;
    let deaf = deaf().await;
    api.provider.replicas_at(deaf.local_addr().unwrap());
    api.deploy("slow").await;
    let call = tokio::spawn(api.request("GET", "/function/slow").send());
    let (mut replica, _) = soon("the call", deaf.accept()).await.unwrap();
    call.abort();
    let mut seen = Vec::new();
    // Ends when the provider lets the replica go.
    let _ = soon(
        "the cancellation",
        tokio::io::AsyncReadExt::read_to_end(&mut replica, &mut seen),
    )
    .await;
    assert!(seen.starts_with(b"GET / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_websocket_goes_through_to_the_replica() {
    let api = Api::start().await;
    let replica = deaf().await;
    api.provider.replicas_at(replica.local_addr().unwrap());
    api.deploy("chat").await;
    let mut caller = TcpStream::connect(api.address).await.unwrap();
    let ask = "GET /function/chat/room?x=1 HTTP/1.1\r\nHost: p\r\nconnection: keep-alive, upgrade\r\nupgrade: WebSocket\r\n\r\n";
    caller.write_all(ask.as_bytes()).await.unwrap();
    let (mut replica, _) = soon("the call", replica.accept()).await.unwrap();
    let head = until(&mut replica, "\r\n\r\n").await;
    assert!(head.starts_with("GET /room?x=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nUpgrade: WebSocket\r\n"), "{head}");

    let grant = "HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome";
    replica.write_all(grant.as_bytes()).await.unwrap();
    let head = until(&mut caller, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(until(&mut caller, "welcome").await, "welcome");
    caller.write_all(b"hello").await.unwrap();
    assert_eq!(until(&mut replica, "hello").await, "hello");
    drop(caller);
    assert_eq!(soon("the end", replica.read(&mut [0])).await.unwrap(), 0);
}

/// Everything up to and with `end`.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let byte = soon("more bytes", stream.read_u8()).await.unwrap();
        text.push(byte.into());
    }
    text
}
