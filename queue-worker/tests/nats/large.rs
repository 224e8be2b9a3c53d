//! Bodies that no message of NATS holds.

use reqwest::StatusCode;

use crate::stack::Stack;

#[tokio::test]
async fn a_large_body_reaches_the_function_and_one_that_is_too_large_is_refused() {
    let stack = Stack::with("60s", &[("async_max_body_bytes", "20000000")]).await;
    let id = stack.post_body("count", vec![b'x'; 20_000_000]).await;
    let status = stack.stands(&id.unwrap(), "succeeded").await;
    assert_eq!(status["result"]["body"], "20000000", "{status}");
    assert_eq!(
        stack.post_body("count", vec![b'x'; 20_000_001]).await,
        Err(Some(StatusCode::PAYLOAD_TOO_LARGE))
    );
    stack.settled().await;
    let left = stack.nats.info("OBJ_OF_bodies_faas-request").await;
    assert_eq!(left.state.messages, 0);
}
