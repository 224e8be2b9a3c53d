//! What begins like a platform and does not go on: it hangs up, breaks off, never ends, or is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use certifier::{Line, Options, run_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::model::Model;
use crate::strangers::refused;

/// Far less than every check on its own would wait.
const SOON_ENOUGH: Duration = Duration::from_secs(60);

/// A server that reads a request, sends these bytes, and then does something else.
async fn answers<F>(
    bytes: &'static [u8],
    and_then: impl Fn(TcpStream) -> F + Send + 'static,
) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes).await;
            tokio::spawn(and_then(stream));
        }
    });
    url
}

async fn hangs_up(_: TcpStream) {}

async fn waits(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

/// Sends digits for as long as anybody takes them.
async fn goes_on(mut stream: TcpStream) {
    while stream.write_all(&[b'1'; 1 << 16]).await.is_ok() {}
}

#[tokio::test]
async fn a_server_that_hangs_up_without_a_word() {
    let (_, text) = refused(Options::gateway(answers(b"", hangs_up).await)).await;
    assert!(text.contains("is the port right?"), "{text}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_in_its_head() {
    let url = answers(b"HTTP/1.1 200 OK\r\nContent-Le", hangs_up).await;
    let (_, text) = refused(Options::gateway(url)).await;
    assert!(text.contains("is the port right?"), "{text}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_in_its_body() {
    let url = answers(
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"pro",
        hangs_up,
    )
    .await;
    let (_, text) = refused(Options::gateway(url)).await;
    assert!(text.contains("is the port right?"), "{text}");
}

#[tokio::test]
async fn an_answer_that_stops_in_its_body() {
    let url = answers(
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"pro",
        waits,
    )
    .await;
    let (_, text) = refused(Options::gateway(url)).await;
    assert!(text.contains("no complete answer within"), "{text}");
}

#[tokio::test]
async fn an_answer_that_never_ends() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
    let (_, text) = refused(Options::gateway(answers(head, goes_on).await)).await;
    assert!(text.contains("something else answers there"), "{text}");
}

/// What a server with a certificate says to a request that is not encrypted: a fatal alert.
#[tokio::test]
async fn a_server_that_speaks_tls() {
    let alert = b"\x15\x03\x01\x00\x02\x02\x0a";
    let (_, text) = refused(Options::gateway(answers(alert, hangs_up).await)).await;
    assert!(text.contains("invalid HTTP"), "{text}");
    assert!(text.contains("is the port right?"), "{text}");
}

#[tokio::test]
async fn a_server_that_sends_everybody_elsewhere() {
    let moved = b"HTTP/1.1 301 Moved Permanently\r\nLocation: http://other.invalid/\r\nContent-Length: 0\r\n\r\n";
    let (_, text) = refused(Options::gateway(answers(moved, hangs_up).await)).await;
    assert!(text.contains("http://other.invalid/"), "{text}");
}

/// Passes connections on until it is aborted, and breaks them all then.
async fn relay(to: String) -> (String, AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let address = to.trim_start_matches("http://").to_owned();
    let relay = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut caller, _)) = listener.accept().await {
            let mut platform = TcpStream::connect(&address).await.unwrap();
            connections.spawn(async move {
                let _ = copy_bidirectional(&mut caller, &mut platform).await;
            });
        }
    });
    (url, relay.abort_handle())
}

#[tokio::test]
async fn a_gateway_that_goes_away_in_the_middle_of_a_run() {
    let (url, gateway) = relay(Arc::new(Model::gateway(None)).serve().await).await;
    let started = Instant::now();
    let options = Options {
        timeout: Duration::from_secs(1),
        ..Options::gateway(url)
    };
    let gone = |line: &Line| {
        if line.rule.id == "deploy.accepted" {
            gateway.abort();
        }
    };
    let report = run_until(options, gone, std::future::pending()).await;
    assert!(started.elapsed() < SOON_ENOUGH, "{:?}", started.elapsed());
    assert!(!report.success());
    assert!(report.failed().len() > 20, "{report}");
    let text = report.to_string();
    assert!(text.contains("Connection refused"), "{text}");
    let last = report.lines.last().unwrap();
    let said = (last.rule.id, last.verdict.word());
    assert_eq!(said, ("clean-up.complete", "failed"), "{text}");
}
