//! HTTP/2 in the clear: a function that speaks it (`upstream_protocol=h2c`), and callers who do.

use std::time::Duration;

use http::HeaderMap;
use nix::sys::signal::Signal;

use crate::h2c_function::{Caller, Function, soon, text};
use crate::support::{Watchdog, run};

/// Waits until a condition holds, letting the function go on.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    soon(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Calls from the outside while the function, which lives in this process, goes on.
async fn aside<T: Send + 'static>(
    function: Function,
    call: impl FnOnce(&Watchdog) -> T + Send + 'static,
) -> (Function, T) {
    let called = tokio::task::spawn_blocking(move || {
        let result = call(&function.watchdog);
        (function, result)
    });
    called.await.unwrap()
}

#[tokio::test]
async fn a_call_of_grpc_passes_both_ways_with_its_trailers() {
    let function = Function::behind(&[]).await;
    let (answer, mut asking) = Caller::to(&function.watchdog).await.call("/echo").await;
    let (head, mut body) = soon("an answer", answer).await.unwrap().into_parts();
    assert_eq!(
        (head.status.as_u16(), &head.headers["content-type"]),
        (200, &"application/grpc".parse().unwrap())
    );
    assert!(head.headers.contains_key("x-duration-seconds"));
    for piece in ["one", "two"] {
        asking.send_data(piece.into(), false).unwrap();
        assert_eq!(soon("a piece", body.data()).await.unwrap().unwrap(), piece);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", 2.into());
    asking.send_trailers(trailers).unwrap();
    assert!(soon("the end", body.data()).await.is_none());
    let trailers = soon("trailers", body.trailers()).await.unwrap().unwrap();
    assert_eq!(
        (&trailers["x-sum"], &trailers["grpc-status"]),
        (&2.into(), &0.into())
    );
    function
        .watchdog
        .wait_for_log("POST /echo - 200 OK - ContentLength: 6B (");
}

#[tokio::test]
async fn callers_of_http_1_are_passed_on_as_well() {
    let function = Function::behind(&[]).await;
    let (_function, ()) = aside(function, |watchdog| {
        let seen = watchdog.get("/head?a=%20").text();
        assert!(seen.starts_with("HTTP/2.0 http://127.0.0.1:"), "{seen}");
        for part in [
            "/head?a=%20 ",
            "\"x-forwarded-host\": \"127.0.0.1\"",
            "\"x-forwarded-for\"",
        ] {
            assert!(seen.contains(part), "{part}: {seen}");
        }
        let body = vec![b'x'; 300_000];
        let answer = watchdog.call("POST", "/length", &[], &body);
        answer.is(200, "300000 Some(\"300000\")");
        let chunks = "POST /length HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = watchdog.raw(format!("{chunks}2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"));
        answer.is(200, "2 None");
        assert!(answer.header("X-Duration-Seconds").is_some());
    })
    .await;
}

#[tokio::test]
async fn calls_share_a_connection_to_the_function() {
    let function = Function::behind(&[]).await;
    let caller = Caller::to(&function.watchdog).await;
    let mut calls = Vec::new();
    for _ in 0..40 {
        let (answer, asking) = caller.call("/echo").await;
        calls.push((soon("an answer", answer).await.unwrap(), asking));
    }
    assert_eq!(function.connections(), 1);
}

#[tokio::test]
async fn an_answer_that_is_reset_does_not_look_whole() {
    let function = Function::behind(&[]).await;
    let (answer, _asking) = Caller::to(&function.watchdog).await.call("/half").await;
    let mut body = soon("an answer", answer).await.unwrap().into_body();
    assert_eq!(soon("a piece", body.data()).await.unwrap().unwrap(), "half");
    assert!(soon("the end", body.data()).await.unwrap().is_err());
    let (_function, broken) = aside(function, |watchdog| {
        let mut caller = watchdog.connect();
        caller.send("GET", "/half", &[], b"");
        caller.broken_answer()
    })
    .await;
    assert_eq!(broken, (200, "half".to_owned(), false));
}

#[tokio::test]
async fn a_call_that_is_given_up_ends_at_the_function() {
    let function = Function::behind(&[("exec_timeout", "300ms")]).await;
    let caller = Caller::to(&function.watchdog).await;
    let (status, headers, _) = caller.post("/hang", "").await;
    assert_eq!(
        (status.as_u16(), &headers["x-openfaas-internal"]),
        (504, &"of-watchdog".parse().unwrap())
    );
    until("the function is told", || function.hanging() == 0).await;

    let function = Function::behind(&[]).await;
    let caller = Caller::to(&function.watchdog).await;
    let (_answer, mut asking) = caller.call("/hang").await;
    until("it hangs", || function.hanging() == 1).await;
    asking.send_reset(h2::Reason::CANCEL);
    until("the function is told", || function.hanging() == 0).await;
    assert_eq!(caller.post("/echo", "x").await.2, "x");
}

#[tokio::test]
async fn a_late_call_is_reset_and_only_that() {
    let function = Function::behind(&[("write_timeout", "700ms")]).await;
    let caller = Caller::to(&function.watchdog).await;
    // Nobody reads this one.
    let (late, _asking) = caller.call("/endless").await;
    let late = soon("an answer", late).await.unwrap();
    until("it is given up", || function.hanging() == 0).await;
    assert_eq!(caller.post("/echo", "x").await.2, "x");
    let mut body = late.into_body();
    let error = soon("the end", async {
        loop {
            match body.data().await {
                Some(Ok(piece)) => drop(body.flow_control().release_capacity(piece.len())),
                Some(Err(error)) => return error,
                None => panic!("it looks whole"),
            }
        }
    })
    .await;
    assert!(error.is_reset(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_every_mode_answer_callers_of_http_2() {
    for mode in ["classic", "streaming", "serializing"] {
        let watchdog = Watchdog::with("env", &[("mode", mode), ("max_inflight", "1")]);
        let caller = Caller::to(&watchdog).await;
        for _ in 0..2 {
            let (status, _, text) = caller.post("/a%20b?c=d", "body").await;
            assert_eq!(status, 200, "{mode}: {text}");
            for line in [
                "Http_Path=/a b",
                "Http_Query=c=d",
                "Http_Te=trailers",
                "Http_Method=POST",
            ] {
                assert!(
                    text.lines().any(|known| known == line),
                    "{mode}: {line}: {text}"
                );
            }
            let host = text.lines().find(|line| line.starts_with("Http_Host="));
            let expected = (mode == "classic").then_some("Http_Host=fn.example:99");
            assert_eq!(host, expected);
        }
    }
    let watchdog = Watchdog::with("cat", &[]);
    let caller = Caller::to(&watchdog).await;
    assert_eq!(caller.post("/", "hello").await.2, "hello");
    assert_eq!(caller.post("/_/health", "").await.0, 405);
    assert_eq!(caller.post("//a", "").await.0, 307);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_waits_for_calls_of_http_2() {
    let watchdog = Watchdog::script_with("echo begun; cat", &[("mode", "streaming")]);
    let caller = Caller::to(&watchdog).await;
    let (answer, mut asking) = caller.call("/").await;
    let mut body = soon("an answer", answer).await.unwrap().into_body();
    soon("the beginning", body.data()).await.unwrap().unwrap();
    watchdog.signal(Signal::SIGTERM);
    until("the connection takes no more", || {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(caller.is_closed())
        })
    })
    .await;
    asking.send_data("last".into(), true).unwrap();
    assert_eq!(text(body).await, "last");
    let mut watchdog = watchdog;
    assert_eq!(watchdog.wait().code(), Some(0));
    assert!(!watchdog.log().contains("panicked"), "{}", watchdog.log());
}

#[test]
fn connections_that_say_nothing_are_closed() {
    let watchdog = Watchdog::with("cat", &[("read_timeout", "300ms")]);
    for first in [
        "",
        "PRI * HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ] {
        let mut caller = watchdog.connect();
        caller.write(first.as_bytes());
        caller.read_to_end();
    }
}

#[test]
fn a_protocol_that_is_none_is_told() {
    let variables = [
        ("fprocess", "cat"),
        ("mode", "http"),
        ("upstream_url", "http://127.0.0.1:9"),
    ];
    let mut all = variables.to_vec();
    all.push(("upstream_protocol", "h3"));
    let end = run(&[], &all);
    assert_eq!(end.status.code(), Some(1));
    assert!(
        end.stderr
            .contains("upstream_protocol=\"h3\" is neither http1 nor h2c"),
        "{}",
        end.stderr
    );
}
