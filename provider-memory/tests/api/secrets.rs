//! Secrets: kept, mounted, never disclosed.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Provider, accepted, answer, function, ok, until, with};

const SECRETS: &str = "/system/secrets";

fn secret(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

/// A function that shows a secret, or whatever the program says.
fn reader(process: &str, secrets: &[&str]) -> Value {
    with(function("reader", process), json!({"secrets": secrets}))
}

#[tokio::test]
async fn a_secret_is_created_listed_updated_and_deleted_but_never_shown() {
    let provider = Provider::start().await;
    let text = |status| (status, String::new());
    let created = provider.create_secret(&secret("key", "hidden-1")).await;
    assert_eq!(created, text(StatusCode::CREATED));
    let twice = provider.create_secret(&secret("key", "hidden-2")).await;
    assert_eq!(twice.0, StatusCode::CONFLICT);
    let updated = provider
        .send(Method::PUT, SECRETS, &secret("key", "hidden-3"))
        .await;
    assert_eq!(updated, text(StatusCode::OK));
    let listed = provider.get(SECRETS).await;
    assert_eq!(listed, ok(r#"[{"name":"key","namespace":"openfaas-fn"}]"#));
    assert!(!twice.1.contains("hidden"));
    let deleted = provider
        .send(Method::DELETE, SECRETS, &secret("key", ""))
        .await;
    assert_eq!(deleted, text(StatusCode::OK));
    assert_eq!(provider.get(SECRETS).await, ok("[]"));
    for method in [Method::PUT, Method::DELETE] {
        let (status, words) = provider.send(method, SECRETS, &secret("key", "x")).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(words, "secret key not found in namespace openfaas-fn\n");
    }
}

#[tokio::test]
async fn of_twenty_creations_of_one_name_at_once_one_wins() {
    let provider = Provider::start().await;
    let body = secret("key", "x");
    let answers = join_all((0..20).map(|_| provider.create_secret(&body))).await;
    let with = |status| answers.iter().filter(|answer| answer.0 == status).count();
    assert_eq!(
        (with(StatusCode::CREATED), with(StatusCode::CONFLICT)),
        (1, 19)
    );
}

#[tokio::test]
async fn a_function_reads_every_byte_of_its_secret() {
    let provider = Provider::start().await;
    // Bytes 0, 255, a newline at the end.
    let raw = json!({"name": "raw", "rawValue": "AP8BCg==", "value": "not this"});
    provider.create_secret(&raw).await;
    provider
        .have(&reader("od -An -tx1 /var/openfaas/secrets/raw", &["raw"]))
        .await;
    assert_eq!(provider.call("reader", "").await, ok(" 00 ff 01 0a\n"));
}

#[tokio::test]
async fn secrets_are_files_that_everybody_inside_can_read_and_nobody_can_change() {
    let provider = Provider::start().await;
    for name in ["mine", "other"] {
        provider.create_secret(&secret(name, name)).await;
    }
    provider.home.script(
        "look.sh",
        "cd /var/openfaas/secrets; ls; stat -c %a mine; chmod 666 mine 2>/dev/null; \
         (echo x > mine) 2>/dev/null; (echo x > new) 2>/dev/null; rm -f mine 2>/dev/null; ls; cat mine",
    );
    provider.have(&reader("sh look.sh", &["mine"])).await;
    assert_eq!(
        provider.call("reader", "").await,
        ok("mine\n444\nmine\nmine")
    );
}

#[tokio::test]
async fn a_secret_that_is_in_use_stays() {
    let provider = Provider::start().await;
    provider.create_secret(&secret("key", "value")).await;
    provider
        .have(&reader("cat /var/openfaas/secrets/key", &["key"]))
        .await;
    let body = secret("key", "");
    let delete = || provider.send(Method::DELETE, SECRETS, &body);
    let (status, words) = delete().await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(words, "secret key is used by function reader.openfaas-fn\n");
    assert_eq!(provider.call("reader", "").await, ok("value"));
    provider.delete("reader").await;
    assert_eq!(delete().await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_new_value_is_read_after_a_redeploy_and_the_old_one_never_again() {
    let provider = Provider::start().await;
    provider.create_secret(&secret("key", "old")).await;
    let body = reader("cat /var/openfaas/secrets/key", &["key"]);
    provider.have(&body).await;
    provider.scale("reader", 2).await;
    provider.available("reader", 2).await;
    provider
        .send(Method::PUT, SECRETS, &secret("key", "new"))
        .await;
    assert_eq!(provider.update(&body).await, accepted());
    until("the new value twice from each", async || {
        let calls = join_all((0..8).map(|_| provider.call("reader", ""))).await;
        calls.iter().all(|call| *call == ok("new"))
    })
    .await;
    for _ in 0..10 {
        assert_eq!(provider.call("reader", "").await, ok("new"));
    }
}

#[tokio::test]
async fn a_missing_secret_is_named_and_nothing_is_touched() {
    let provider = Provider::start().await;
    let body = reader("cat", &["nowhere"]);
    let (status, words) = provider.post_function(&body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let expected = "secrets: `nowhere` does not exist in namespace openfaas-fn; create it first\n";
    assert_eq!(words, expected);
    assert_eq!(provider.get("/system/functions").await, ok("[]"));

    provider.have(&reader("wc -c", &[])).await;
    let before = provider.status("reader").await;
    assert_eq!(provider.update(&body).await, (status, expected.to_owned()));
    assert_eq!(provider.status("reader").await, before);
    assert_eq!(provider.call("reader", "hello").await, ok("5\n"));
}

#[tokio::test]
async fn a_secret_of_another_namespace_is_another_secret() {
    let provider = Provider::start().await;
    provider.create_namespace("dev").await;
    provider.create_secret(&secret("key", "here")).await;
    let there = json!({"name": "key", "value": "there", "namespace": "dev"});
    assert_eq!(provider.create_secret(&there).await.0, StatusCode::CREATED);
    let body = reader("cat /var/openfaas/secrets/key", &["key"]);
    provider.have(&body).await;
    provider
        .have(&with(body, json!({"namespace": "dev"})))
        .await;
    assert_eq!(provider.call("reader", "").await, ok("here"));
    assert_eq!(provider.call("reader.dev", "").await, ok("there"));

    let only = json!({"name": "only-dev", "value": "x", "namespace": "dev"});
    provider.create_secret(&only).await;
    let elsewhere = reader("cat", &["only-dev"]);
    assert_eq!(provider.update(&elsewhere).await.0, StatusCode::BAD_REQUEST);
    let listed = provider.get(SECRETS).await;
    assert_eq!(listed, ok(r#"[{"name":"key","namespace":"openfaas-fn"}]"#));
}

#[tokio::test]
async fn what_cannot_be_a_secret_is_refused_in_a_line_that_names_the_field() {
    let provider = Provider::start().await;
    for (body, field) in [
        (json!({"value": "x"}), "name: "),
        (secret("..", "x"), "name: "),
        (secret("../x", "x"), "name: "),
        (secret("a/b", "x"), "name: "),
        (secret("UPPER", "x"), "name: "),
        (secret(&"x".repeat(300), "x"), "name: "),
        (secret("empty", ""), "value: "),
        (json!({"name": "raw", "rawValue": "%%"}), "rawValue: "),
        (
            json!({"name": "x", "value": "x", "namespace": "nowhere"}),
            "namespace: ",
        ),
        (
            json!({"name": "x", "value": "x", "namespace": "../x"}),
            "namespace: ",
        ),
    ] {
        let (status, words) = provider.create_secret(&body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {words}");
        assert!(
            words.starts_with(field) && words.lines().count() == 1,
            "{body}: {words}"
        );
    }
    let (status, words) = answer(provider.request(Method::POST, SECRETS).body("{")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{words}");
    assert_eq!(provider.get(SECRETS).await, ok("[]"));
}
