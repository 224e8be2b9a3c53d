//! Who is idle and who is not.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::platform::{Platform, until};
use crate::processes::Process;

/// The least that the idler takes for a window.
const WINDOW: Duration = Duration::from_secs(10);

#[tokio::test]
async fn only_the_function_that_nobody_has_called_for_a_window_is_scaled_to_zero() {
    let platform = Arc::new(Platform::start().await);
    let zero = json!({"com.openfaas.scale.zero": "true"});
    for name in ["idle", "never", "called", "busy", "late"] {
        platform.deploy(name, zero.clone());
    }
    platform.deploy("unlabelled", json!({}));
    platform.deploy("word", json!({"com.openfaas.scale.zero": "yes"}));
    let long = json!({"com.openfaas.scale.zero": "1", "com.openfaas.scale.zero-duration": "10m"});
    platform.deploy("patient", long);
    until("the gateway to know them", async || {
        platform.call("idle").await == 200
    })
    .await;
    // The gateway is old enough to know; Prometheus is empty, and is to be waited for.
    tokio::time::sleep(WINDOW).await;
    let begun = Instant::now();
    let prometheus = Process::prometheus(platform.metrics);
    let held = tokio::spawn({
        let platform = Arc::clone(&platform);
        async move { platform.call("busy/hold").await }
    });
    let calling = tokio::spawn({
        let platform = Arc::clone(&platform);
        async move {
            loop {
                assert_eq!(platform.call("called").await, 200);
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        }
    });
    let mut idler = Process::idler(
        platform.public,
        prometheus.port,
        platform.secrets.path(),
        &[],
    );
    let deploying = tokio::spawn(deploy_again_and_again(Arc::clone(&platform), zero));
    until("sleep", async || {
        platform.replicas("idle") == 0 && platform.replicas("never") == 0
    })
    .await;
    assert!(begun.elapsed() >= WINDOW, "{:?}", begun.elapsed());
    // It has looked at all of them by then.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for name in ["called", "busy", "unlabelled", "word", "patient"] {
        assert_eq!(platform.replicas(name), 1, "{name}: {}", idler.log());
    }
    let young = young(&platform);
    assert!(young > 1, "{young}: {}", idler.log());
    assert!(idler.is_running());
    let url = format!("http://127.0.0.1:{}/metrics", idler.port);
    let page = reqwest::get(url).await.unwrap().text().await.unwrap();
    for line in [
        "idler_scaled_total{function_name=\"idle.openfaas-fn\"} 1",
        "idler_skipped_total{reason=\"called\"}",
        "idler_skipped_total{reason=\"in_flight\"}",
        "idler_skipped_total{reason=\"no_label\"}",
        "idler_skipped_total{reason=\"young\"}",
        "idler_passes_total",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    calling.abort();
    deploying.abort();
    held.abort();
}

/// When a function was deployed is its name: `young-` and milliseconds since 1970.
const YOUNG: &str = "young-";

async fn deploy_again_and_again(platform: Arc<Platform>, labels: Value) {
    loop {
        platform.deploy(&format!("{YOUNG}{}", now_ms()), labels.clone());
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

fn now_ms() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_millis()
}

/// Functions that the idler has looked at and that are younger than a window; none of them is asleep.
fn young(platform: &Platform) -> usize {
    let asked = platform.asked();
    let age = |name: &str| Some(now_ms() - name.strip_prefix(YOUNG)?.parse::<u128>().ok()?);
    let looked_at = |age: &u128| (3_000..WINDOW.as_millis()).contains(age);
    for (name, _) in &asked {
        let age = age(name);
        assert!(
            age.is_none_or(|age| age >= WINDOW.as_millis()),
            "{name} after {age:?} ms"
        );
    }
    let ages = platform.names().into_iter().filter_map(|name| age(&name));
    ages.filter(looked_at).count()
}

#[tokio::test]
async fn a_dry_run_says_what_it_would_do() {
    let platform = Platform::start().await;
    platform.deploy("idle", json!({"com.openfaas.scale.zero": "true"}));
    until("the gateway to know it", async || {
        platform.call("idle").await == 200
    })
    .await;
    let prometheus = Process::prometheus(platform.metrics);
    let secrets = platform.secrets.path();
    let idler = Process::idler(platform.public, prometheus.port, secrets, &["-dry-run"]);
    until("the line", async || {
        idler.log().contains("would be scaled to zero")
    })
    .await;
    assert_eq!(platform.asked(), []);
}
