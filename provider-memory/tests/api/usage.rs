//! What functions use, as a status tells it.

use serde_json::Value;

use crate::support::{Provider, accepted, function, until};

const MEGABYTES: f64 = 1e6;

async fn usage(provider: &Provider) -> Value {
    let path = "/system/function/busy?usage=1";
    provider.json(path).await["usage"].clone()
}

#[tokio::test]
async fn a_status_tells_what_a_function_uses_where_that_is_asked_for() {
    let provider = Provider::start().await;
    // Takes 50 MB and a processor, until its caller has gone.
    let script = "x=$(head -c 50000000 /dev/zero | tr '\\0' x); while :; do :; done";
    provider.home.script("busy.sh", script);
    provider.have(&function("busy", "sh busy.sh")).await;
    let idle = usage(&provider).await;
    let memory = idle["totalMemoryBytes"].as_f64().unwrap();
    assert!(
        (0.1 * MEGABYTES..30.0 * MEGABYTES).contains(&memory),
        "{idle}"
    );
    assert_eq!(provider.status("busy").await.get("usage"), None);

    let seen = until("a busy processor and a full memory", async || {
        let usage = usage(&provider).await;
        let number = |key: &str| usage[key].as_f64().unwrap_or_default();
        number("cpu") > 200.0 && number("totalMemoryBytes") > 50.0 * MEGABYTES
    });
    tokio::select! {
        answer = provider.call("busy", "") => panic!("{answer:?}"),
        () = seen => {}
    }
    assert_eq!(provider.scale("busy", 0).await, accepted());
    until("nothing to be used", async || {
        usage(&provider).await.is_null()
    })
    .await;
}
