//! Another provider in the place of provider-memory, by its image's name alone.

use std::time::Duration;

use faas_compose_tests::{Platform, until};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_provider_is_swapped_by_one_image_name() {
    let mut platform = Platform::prepared(&["docker-compose.yml"]);
    platform.set("PROVIDER_IMAGE", "ferrofaas/echo-provider:latest");
    platform.up().await;
    let info = async || platform.ask(Method::GET, "/system/info", "").await.1;
    let limit = Duration::from_secs(30);
    until("the other provider", limit, info, |info| {
        info.contains("echo")
    })
    .await;
    platform
        .deploy(json!({"service": "parrot", "image": "any"}))
        .await;
    let said = platform.call("parrot", "Is anybody there?").await;
    assert_eq!(said, "Is anybody there?");
}
