//! Secrets go in and never come out.

use serde_json::{Value, json};

use crate::support::Api;

const PATH: &str = "/system/secrets";

#[tokio::test]
async fn a_secret_is_created_once_replaced_and_deleted() {
    let api = Api::start().await;
    let secret = |value: &str| json!({"name": "key", "value": value});
    api.put(PATH, secret("x"))
        .await
        .refuses(404, "secret key not found in namespace openfaas-fn");
    api.post(PATH, secret("one")).await.is(201);
    api.post(PATH, secret("two"))
        .await
        .refuses(409, "secret key already exists");
    assert_eq!(api.provider.secret("openfaas-fn", "key").unwrap(), b"one");
    api.put(PATH, secret("two")).await.is(200);
    assert_eq!(api.provider.secret("openfaas-fn", "key").unwrap(), b"two");
    api.delete(PATH, json!({"name": "key"})).await.is(200);
    api.delete(PATH, json!({"name": "key"}))
        .await
        .refuses(404, "secret key not found");
}

#[tokio::test]
async fn the_list_is_sorted_and_shows_names_and_namespaces_only() {
    let api = Api::start().await;
    assert_eq!(api.get(PATH).await.json(), json!([]));
    for name in ["b.pem", "a", "c-1"] {
        api.post(PATH, json!({"name": name, "value": "hush"}))
            .await
            .is(201);
    }
    api.post(
        PATH,
        json!({"name": "other", "namespace": "dev", "value": "hush"}),
    )
    .await
    .is(201);
    let of = |name: &str, namespace: &str| json!({"name": name, "namespace": namespace});
    let own = json!([
        of("a", "openfaas-fn"),
        of("b.pem", "openfaas-fn"),
        of("c-1", "openfaas-fn")
    ]);
    assert_eq!(api.get(PATH).await.json(), own);
    assert_eq!(
        api.get("/system/secrets?namespace=dev").await.json(),
        json!([of("other", "dev")])
    );
}

#[tokio::test]
async fn raw_values_are_bytes_and_win() {
    let api = Api::start().await;
    api.post(
        PATH,
        json!({"name": "raw", "rawValue": "AP/+", "value": "text"}),
    )
    .await
    .is(201);
    assert_eq!(
        api.provider.secret("openfaas-fn", "raw").unwrap(),
        [0x00, 0xff, 0xfe]
    );
    api.post(PATH, json!({"name": "text", "value": " ü\n\t"}))
        .await
        .is(201);
    assert_eq!(
        api.provider.secret("openfaas-fn", "text").unwrap(),
        " ü\n\t".as_bytes()
    );
    api.post(PATH, json!({"name": "bad", "rawValue": "%%"}))
        .await
        .refuses(400, "rawValue: no base64");
}

#[tokio::test]
async fn each_mistake_names_its_field() {
    let api = Api::start().await;
    for (body, line) in [
        (json!({"value": "x"}), "name: required"),
        (json!({"name": "", "value": "x"}), "name: required"),
        (
            json!({"name": "../../etc/passwd", "value": "x"}),
            "name: `../../etc/passwd` is no name of a secret",
        ),
        (
            json!({"name": "a/b", "value": "x"}),
            "name: `a/b` is no name of a secret",
        ),
        (
            json!({"name": "Upper", "value": "x"}),
            "name: `Upper` is no name of a secret",
        ),
        (json!({"name": "a".repeat(254), "value": "x"}), "name: `aaa"),
        (json!({"name": 5}), "name: invalid type"),
        (
            json!({"name": "a", "value": "x", "namespace": "No"}),
            "namespace: `No` is no name",
        ),
    ] {
        for method in ["POST", "PUT", "DELETE"] {
            api.send(method, PATH, body.to_string())
                .await
                .refuses(400, line);
        }
    }
    for method in ["POST", "PUT"] {
        api.send(method, PATH, json!({"name": "a"}).to_string())
            .await
            .refuses(400, "value: required");
    }
}

#[tokio::test]
async fn a_secret_in_use_stays() {
    let api = Api::start().await;
    api.post(PATH, json!({"name": "key", "value": "x"}))
        .await
        .is(201);
    let wish = json!({"service": "echo", "image": "i", "secrets": ["key"]});
    api.post("/system/functions", wish).await.is(202);
    api.delete(PATH, json!({"name": "key"}))
        .await
        .refuses(409, "secret key is used by echo");
}

#[tokio::test]
async fn the_namespace_of_a_secret_is_in_the_query_or_the_body() {
    let api = Api::start().await;
    let secret = |namespace: Value| json!({"name": "key", "value": "x", "namespace": namespace});
    api.post("/system/secrets?namespace=dev", secret(json!(null)))
        .await
        .is(201);
    api.put(PATH, secret(json!("dev"))).await.is(200);
    api.put("/system/secrets?namespace=prod", secret(json!("dev")))
        .await
        .refuses(400, "namespace: the query says `prod`, the body says `dev`");
    api.delete(PATH, secret(json!("")))
        .await
        .refuses(404, "secret key not found in namespace openfaas-fn");
    api.delete("/system/secrets?namespace=dev", secret(json!("dev")))
        .await
        .is(200);
}
