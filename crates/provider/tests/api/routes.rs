//! Which paths there are, and which methods they take.

use crate::support::Api;

#[tokio::test]
async fn unknown_paths_are_404() {
    let api = Api::start().await;
    for path in [
        "/",
        "/system",
        "/system/",
        "/system/functions/",
        "/system/function",
        "/system/function/",
        "/system/function/a/b",
        "/system/scale-function/",
        "/system/namespace",
        "/system/nothing",
        "/function",
        "/function/",
        "/healthz/",
        "/ui/",
    ] {
        api.get(path).await.refuses(404, "");
    }
}

#[tokio::test]
async fn other_methods_of_known_paths_are_405_and_told_which_there_are() {
    let api = Api::start().await;
    for (method, path, allowed) in [
        ("PATCH", "/system/functions", "GET,HEAD,POST,PUT,DELETE"),
        ("OPTIONS", "/system/functions", "GET,HEAD,POST,PUT,DELETE"),
        ("POST", "/system/function/echo", "GET,HEAD"),
        ("GET", "/system/scale-function/echo", "POST"),
        ("POST", "/system/info", "GET,HEAD"),
        ("PATCH", "/system/secrets", "GET,HEAD,POST,PUT,DELETE"),
        ("POST", "/system/logs", "GET,HEAD"),
        ("POST", "/system/namespaces", "GET,HEAD"),
        ("PATCH", "/system/namespace/dev", "GET,HEAD,PUT,DELETE,POST"),
        ("POST", "/system/namespaces/dev", "GET,HEAD,PUT,DELETE"),
        ("POST", "/system/endpoints", "GET,HEAD"),
        ("POST", "/healthz", "GET,HEAD"),
    ] {
        let answer = api.send(method, path, "").await;
        answer.refuses(405, "this path does not take this method");
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn functions_are_not_called_by_trace_connect_or_made_up_methods() {
    let api = Api::start().await;
    api.deploy("echo").await;
    for method in ["TRACE", "CONNECT", "PURGE"] {
        let request =
            format!("{method} /function/echo HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n");
        let answer = api.raw(request).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{method}: {answer}");
        assert!(
            answer.contains("\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn nobody_gets_a_tunnel() {
    let api = Api::start().await;
    let answer = api
        .raw("CONNECT example.com:80 HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn head_answers_like_get_without_the_body() {
    let api = Api::start().await;
    api.send("HEAD", "/healthz", "").await.is(200);
    let length = api.get("/system/info").await.body.len().to_string();
    let head = api.send("HEAD", "/system/info", "").await;
    head.is(200);
    assert_eq!(head.header("content-length"), length);
}

#[tokio::test]
async fn names_that_nothing_can_have_are_404_in_every_path() {
    let api = Api::start().await;
    for name in [
        "..",
        "%2e%2e",
        "a%2Fb",
        "..%2Fx",
        "a%20b",
        "%ff",
        "%00",
        "%0a",
        "Upper",
        "-a",
        "under_score",
    ] {
        let get =
            |path: String| format!("GET {path} HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n");
        let answer = api.raw(get(format!("/system/function/{name}"))).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{name}: {answer}");
        let answer = api.raw(get(format!("/system/namespace/{name}"))).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{name}: {answer}");
        let delete = format!(
            "DELETE /system/namespace/{name} HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n"
        );
        let answer = api.raw(delete).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{name}: {answer}");
        let answer = api.raw(get(format!("/function/{name}/x"))).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{name}: {answer}");
        // Neither does the answer's one line become two.
        assert_eq!(
            answer.split("\r\n\r\n").nth(1).unwrap().lines().count(),
            1,
            "{answer}"
        );
    }
}

#[tokio::test]
async fn info_says_who_this_is_and_leaves_nothing_empty() {
    let api = Api::start().await;
    let info = api.get("/system/info").await.json();
    assert_eq!(
        (&info["provider"], &info["orchestration"]),
        (&"memory-for-tests".into(), &"none".into())
    );
    assert_eq!(info["version"]["release"], "1.2.3");
    assert_ne!(info["version"]["sha"], "");
}

#[tokio::test]
async fn the_form_of_2018_is_served() {
    let api = Api::start().await;
    let replica = crate::support::echo().await;
    api.provider.replicas_at(replica);
    // As clients of that time wrote it: every key there, empty or null.
    let wish = r#"{"service":"echo","image":"functions/alpine:latest","network":"func_functions","envProcess":"cat",
        "envVars":null,"constraints":null,"secrets":null,"labels":null,"annotations":null,"registryAuth":"",
        "limits":null,"requests":null,"readOnlyRootFilesystem":false}"#;
    api.send("POST", "/system/functions", wish).await.is(202);
    api.get("/system/functions").await.json();
    assert_eq!(
        api.get("/system/function/echo").await.json()["availableReplicas"],
        1
    );
    api.send(
        "POST",
        "/system/scale-function/echo",
        r#"{"serviceName":"echo","replicas":2}"#,
    )
    .await
    .is(202);
    for path in ["/function/echo", "/function/echo/"] {
        assert_eq!(api.send("POST", path, "hi").await.body, "POST /\nhi");
    }
    api.send("PUT", "/system/functions", wish).await.is(202);
    api.send("DELETE", "/system/functions", r#"{"functionName":"echo"}"#)
        .await
        .is(202);
}
