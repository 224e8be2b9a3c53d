//! The probe does as each call says.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::Value;
use tokio::net::TcpListener;

const DEADLINE: Duration = Duration::from_secs(20);

async fn probe() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(certifier::probe::serve(listener));
    url
}

fn client() -> Client {
    let client = Client::builder().no_proxy();
    client
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

async fn call(url: &str, wish: &str) -> Result<Response, reqwest::Error> {
    client()
        .get(url)
        .header("X-Probe", wish)
        .timeout(DEADLINE)
        .send()
        .await
}

async fn text(url: &str, wish: &str) -> String {
    call(url, wish).await.unwrap().text().await.unwrap()
}

async fn json(url: &str, wish: &str) -> Value {
    serde_json::from_str(&text(url, wish).await).unwrap()
}

#[tokio::test]
async fn a_call_is_described_as_it_came() {
    let url = probe().await;
    let call = client()
        .request(Method::PATCH, format!("{url}/a%2Fb//c?x=1&x=%20"))
        .header("X-Twice", "1")
        .header("X-Twice", "2")
        .body("abc");
    let seen: Value =
        serde_json::from_str(&call.send().await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(seen["method"], "PATCH");
    assert_eq!(seen["path"], "/a%2Fb//c");
    assert_eq!(seen["query"], "x=1&x=%20");
    assert_eq!(seen["length"], 3);
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(seen["sha256"], abc);
    let headers = seen["headers"].as_array().unwrap();
    let twice: Vec<_> = headers
        .iter()
        .filter(|pair| pair[0] == "x-twice")
        .map(|pair| &pair[1])
        .collect();
    assert_eq!(twice, ["1", "2"]);
}

#[tokio::test]
async fn status_headers_and_bodies_are_as_wished() {
    let url = probe().await;
    let answer = call(
        &url,
        "status=418&header=Set-Cookie%3A+a%3D1&header=Set-Cookie%3A+b%3D2&bytes=60000",
    )
    .await
    .unwrap();
    assert_eq!(answer.status(), 418);
    assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2);
    assert_eq!(answer.headers()["content-length"], "60000");
    let body = answer.bytes().await.unwrap();
    assert_eq!(body.len(), 60_000);
    assert!(body.starts_with(b"abcdefghijklmnopqrstuvwxyzab"));

    let chunked = call(&url, "bytes=10&chunked&no-type").await.unwrap();
    assert!(!chunked.headers().contains_key("content-length"));
    assert!(!chunked.headers().contains_key("content-type"));
    assert_eq!(
        text(&url, "events=2&every=1").await,
        "data: 1\n\ndata: 2\n\n"
    );
    assert_eq!(text(&url, "lines=2").await, "{\"line\":1}\n{\"line\":2}\n");
}

#[tokio::test]
async fn an_answer_breaks_off_where_it_is_told_to() {
    let url = probe().await;
    assert!(call(&url, "abort=before").await.is_err());
    for wish in ["bytes=100000&abort=middle", "pieces=2&abort=middle"] {
        let answer = call(&url, wish).await.unwrap();
        assert!(answer.bytes().await.is_err(), "{wish}");
    }
}

#[tokio::test]
async fn a_body_comes_back_and_files_are_written_and_read() {
    let url = probe().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file").display().to_string();
    let send = |wish: String| {
        client()
            .post(&url)
            .header("X-Probe", wish)
            .body("content")
            .send()
    };
    assert_eq!(
        send("echo".into()).await.unwrap().text().await.unwrap(),
        "content"
    );
    let written = send(format!("write={file}"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(written, "{\"written\":7}");
    assert_eq!(text(&url, &format!("read={file}")).await, "content");
    assert_eq!(json(&url, &format!("stat={file}")).await["uid"], 0);
    assert_eq!(call(&url, "read=/nowhere").await.unwrap().status(), 500);
}

#[tokio::test]
async fn a_caller_who_hangs_up_is_counted() {
    let url = probe().await;
    text(&url, "mark=k").await;
    let impatient = client().get(&url).header("X-Probe", "mark=k&sleep=60000");
    let impatient = impatient.timeout(Duration::from_millis(200)).send().await;
    assert!(impatient.is_err());
    let cancelled = async {
        while json(&url, "counts=k").await["cancelled"] != 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, cancelled).await.unwrap();
    let counts = json(&url, "counts=k").await;
    assert_eq!((&counts["began"], &counts["ended"]), (&2.into(), &1.into()));
}

#[tokio::test]
async fn what_is_not_understood_is_refused_in_words() {
    let answer = call(&probe().await, "stauts=404").await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("stauts=404"));
}

#[tokio::test]
async fn what_a_web_socket_is_sent_comes_back() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;

    let url = probe().await.replacen("http", "ws", 1);
    let (mut socket, answer) = tokio_tungstenite::connect_async(url).await.unwrap();
    assert_eq!(answer.status(), 101);
    for message in [Message::text("hello"), Message::binary(vec![7; 70_000])] {
        socket.send(message.clone()).await.unwrap();
        let back = tokio::time::timeout(DEADLINE, socket.next()).await;
        assert_eq!(back.unwrap().unwrap().unwrap(), message);
    }
}
