//! How a path names a function, and what of it the function sees.

use serde_json::json;

use crate::support::{Deployed, Fake, Memory, TestGateway, Wire};

#[tokio::test]
async fn a_function_is_called_by_every_form_of_its_name() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    let namespace = json!({"name": "dev", "labels": {"openfaas": "1"}});
    let created = gateway.json("POST", "/system/namespace/", namespace).await;
    assert_eq!(created.status, 201);
    gateway.deploy("who", "echo default").await;
    let in_dev =
        json!({"service": "who", "namespace": "dev", "image": "none", "envProcess": "echo dev"});
    gateway.deploy_as(in_dev).await;

    for (path, answer) in [
        ("/function/who", "default\n"),
        ("/function/who/", "default\n"),
        ("/function/who.openfaas-fn", "default\n"),
        ("/function/who.openfaas-fn/some/path?x=1", "default\n"),
        ("/function/who.", "default\n"),
        ("/function/who.dev", "dev\n"),
        ("/function/who.dev/some/path", "dev\n"),
    ] {
        let called = gateway.post(path, "").await;
        assert_eq!(
            (called.status, called.text.as_str()),
            (200, answer),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_name_that_no_function_has_is_404() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    gateway.deploy("echo", "cat").await;
    for (path, words) in [
        ("/function/nobody", "function nobody.openfaas-fn not found"),
        ("/function/echo.prod", "function echo.prod not found"),
        (
            "/function/a.b.openfaas-fn/x",
            "function a.b.openfaas-fn not found",
        ),
        ("/function/Echo", "function Echo.openfaas-fn not found"),
        ("/function/.openfaas-fn", "the path names no function"),
        ("/function/..", "the path names no function"),
        ("/function/...x/y", "the path names no function"),
        ("/function/%65cho", "the path names no function"),
        ("/function//x", "the path names no function"),
    ] {
        let mut wire = Wire::asking(gateway.at.public, "GET", path).await;
        let head = wire.head().await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{path}: {head}");
        assert_eq!(wire.until("\n").await, format!("{words}\n"), "{path}");
    }
}

#[tokio::test]
async fn the_rest_of_the_path_and_the_query_arrive_byte_for_byte() {
    let fake = Fake::start().await;
    fake.deploy("echo", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    for (below, target) in [
        ("", "/"),
        ("/", "/"),
        ("?only=query", "/?only=query"),
        ("/a%2Fb//c/?x=1&x=%20+", "/a%2Fb//c/?x=1&x=%20+"),
        ("/a/./../b", "/a/./../b"),
        ("/%25%00%C3%A4?%", "/%25%00%C3%A4?%"),
    ] {
        let path = format!("/function/echo{below}");
        let mut wire = Wire::asking(gateway.at.public, "GET", &path).await;
        let head = wire.head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
        wire.until("\"target\":").await;
        assert_eq!(
            wire.until("}").await,
            format!("{}}}", json!(target)),
            "{path}"
        );
    }
}
