//! Bodies as they come, both ways.

use crate::support::{Deployed, Fake, TestGateway, Wire};

#[tokio::test]
async fn chunks_of_an_answer_arrive_as_they_are_sent() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    let chunks = fake.replica.stage.stream();
    let mut caller = Wire::asking(gateway.at.public, "GET", "/function/f/stream").await;
    let head = caller.head().await;
    assert!(
        head.contains("Content-Type: text/event-stream\r\n"),
        "{head}"
    );
    for event in ["data: one\n\n", "data: two\n\n", "data: three\n\n"] {
        // Each is read before the next is sent, so none can have been held back.
        chunks.send(Ok(event)).unwrap();
        assert_eq!(caller.chunk().await, event);
    }
    drop(chunks);
    assert_eq!(caller.chunk().await, "");
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    let chunks = fake.replica.stage.stream();
    let mut caller = Wire::asking(gateway.at.public, "GET", "/function/f/stream").await;
    caller.head().await;
    chunks.send(Ok("data: one\n\n")).unwrap();
    assert_eq!(caller.chunk().await, "data: one\n\n");
    chunks.send(Err(std::io::Error::other("broken"))).unwrap();
    assert_eq!(caller.rest().await, "");
}

#[tokio::test]
async fn a_body_is_sent_on_before_it_is_whole() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    let mut caller = Wire::to(gateway.at.public).await;
    let head = "POST /function/f/hold HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    caller.send(format!("{head}4\r\nhalf\r\n")).await;
    // The replica has the call although its body has no end yet.
    fake.replica.stage.holds(1).await;
    fake.replica.stage.let_go(1);
    caller.send("0\r\n\r\n").await;
    assert!(caller.head().await.starts_with("HTTP/1.1 200 "));
}
