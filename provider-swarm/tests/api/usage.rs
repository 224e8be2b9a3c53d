//! What functions use, as a status tells it.

use futures_util::future::join_all;
use serde_json::Value;

use crate::support::{Provider, accepted, function, unique, until};

async fn usage(provider: &Provider, name: &str) -> Value {
    let path = format!("/system/function/{name}?usage=1");
    provider.json(&path).await["usage"].clone()
}

/// Calls of the engine about containers, which nothing else makes.
async fn asked(provider: &Provider) -> u64 {
    let (_, page) = provider.get("/metrics").await;
    let about = "provider_swarm_engine_calls_total{about=\"containers\"";
    let lines = page.lines().filter(|line| line.starts_with(about));
    let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    counts.sum()
}

#[tokio::test]
async fn a_status_tells_what_a_function_uses_where_that_is_asked_for() {
    let provider = Provider::start().await;
    let name = unique("usage");
    provider
        .have(&function(&name, "sh -c cat</dev/zero>/dev/null"))
        .await;
    let idle = usage(&provider, &name).await;
    let memory = idle["totalMemoryBytes"].as_f64().unwrap();
    assert!((50_000.0..50_000_000.0).contains(&memory), "{idle}");

    let busy = async {
        loop {
            provider.call(&name, "").await;
        }
    };
    let seen = until("a busy processor", async || {
        let usage = usage(&provider, &name).await;
        usage["cpu"].as_f64().is_some_and(|cpu| cpu > 200.0)
    });
    tokio::select! {
        () = busy => {}
        () = seen => {}
    }
    assert_eq!(provider.status(&name).await.get("usage"), None);
    assert_eq!(provider.scale(&name, 0).await, accepted());
    until("nothing to be used", async || {
        usage(&provider, &name).await.is_null()
    })
    .await;
}

#[tokio::test]
async fn however_many_ask_the_engine_measures_once() {
    let provider = Provider::start().await;
    let name = unique("measured");
    provider.have(&function(&name, "cat")).await;
    let before = asked(&provider).await;
    let all = join_all((0..20).map(|_| usage(&provider, &name))).await;
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    assert!(all[0].is_object(), "{all:?}");
    // One list, and the one container twice.
    assert_eq!(asked(&provider).await - before, 3);
}
