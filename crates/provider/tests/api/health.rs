//! Whether a provider can do its work.

use crate::support::Api;

#[tokio::test]
async fn a_working_provider_is_healthy() {
    let api = Api::start().await;
    api.get("/healthz").await.is(200);
}

#[tokio::test]
async fn a_provider_that_cannot_work_says_why() {
    let api = Api::start().await;
    api.provider.fail("the engine\ndoes not answer");
    api.get("/healthz")
        .await
        .refuses(503, "the engine does not answer\n");
    assert_eq!(api.send("HEAD", "/healthz", "").await.status, 503);
}

#[tokio::test]
async fn a_provider_that_stops_is_unhealthy_and_still_answers() {
    let api = Api::start().await;
    api.stop.cancel();
    api.get("/healthz").await.refuses(503, "draining\n");
    assert_eq!(api.get("/system/functions").await.status, 200);
}
