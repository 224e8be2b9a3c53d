//! Which methods a path takes.

use crate::support::{Answer, Deployed, Fake, TestGateway, Wire};

const CALLS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

#[tokio::test]
async fn seven_methods_reach_a_function_with_their_bodies() {
    let fake = Fake::start().await;
    fake.deploy("echo", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let answer = Answer::to(gateway.request(method, "/function/echo").body("abc")).await;
        assert_eq!(answer.status, 200, "{method}");
        assert_eq!(answer.json()["method"], method);
        assert_eq!(answer.json()["body"], "abc", "{method}");
    }
    let answer = Answer::to(gateway.request("HEAD", "/function/echo")).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(answer.header("x-from"), "replica");
}

#[tokio::test]
async fn other_methods_do_not_reach_a_function() {
    let fake = Fake::start().await;
    fake.deploy("echo", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    for method in ["TRACE", "CONNECT", "BREW", "get"] {
        let mut wire = Wire::asking(gateway.at.public, method, "/function/echo").await;
        let head = wire.head().await;
        assert!(head.starts_with("HTTP/1.1 405 "), "{method}: {head}");
        assert!(
            head.contains(&format!("Allow: {CALLS}\r\n")),
            "{method}: {head}"
        );
        assert!(
            head.contains("X-Openfaas-Internal: gateway\r\n"),
            "{method}: {head}"
        );
    }
}

#[tokio::test]
async fn nobody_is_connected_to_anywhere() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    let elsewhere = fake.address.to_string();
    let mut wire = Wire::asking(gateway.at.public, "CONNECT", &elsewhere).await;
    let head = wire.head().await;
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
}

#[tokio::test]
async fn a_system_path_says_which_methods_it_takes() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    for (method, path, allowed) in [
        ("PATCH", "/system/functions", "GET,HEAD,POST,PUT,DELETE"),
        ("DELETE", "/system/info", "GET,HEAD"),
        ("GET", "/system/alert", "POST"),
        ("GET", "/system/scale-function/echo", "POST"),
        ("TRACE", "/system/function/echo", "GET,HEAD"),
        ("POST", "/healthz", "GET,HEAD"),
    ] {
        let answer = Answer::to(gateway.request(method, path)).await;
        let words = "this path does not take this method; Allow says which it takes";
        answer.is_refusal(405, words);
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
    }
    assert_eq!(fake.seen("PATCH").len() + fake.seen("TRACE").len(), 0);
}

#[tokio::test]
async fn head_is_answered_where_get_is() {
    let fake = Fake::start().await;
    fake.deploy("echo", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    for path in [
        "/system/functions",
        "/system/function/echo",
        "/system/info",
        "/healthz",
        "/",
    ] {
        let answer = Answer::to(gateway.request("HEAD", path)).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{path}");
    }
}
