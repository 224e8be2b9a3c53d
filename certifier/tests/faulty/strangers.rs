//! What is no platform at all is told so, soon and in words.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::Html;
use certifier::{Options, Report, run};
use tokio::net::TcpListener;

use crate::model::{BASIC, Model};

const SOON: Duration = Duration::from_secs(8);

/// Runs with the default limits, and gives what the only failure says.
pub(crate) async fn refused(options: Options) -> (Report, String) {
    let started = Instant::now();
    let report = run(options).await;
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    assert!(!report.success());
    assert!(report.passed().is_empty(), "{report}");
    let text = report.to_string();
    match report.failed().as_slice() {
        [_] => {}
        other => panic!("one failure, not {}: {text}", other.len()),
    }
    (report, text)
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn a_port_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (_, text) = refused(Options::gateway(&url)).await;
    assert!(text.contains("nobody answers there"), "{text}");
    assert!(text.contains("is the port right?"), "{text}");
}

#[tokio::test]
async fn a_server_that_never_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (_, text) = refused(Options::gateway(&url)).await;
    assert!(text.contains("no complete answer within"), "{text}");
    drop(listener);
}

#[tokio::test]
async fn a_web_server_with_pages() {
    let url = serve(Router::new().fallback(|| async { Html("<h1>It works!</h1>") })).await;
    let (_, text) = refused(Options::gateway(&url)).await;
    assert!(text.contains("something else answers there"), "{text}");
    assert!(text.contains("text/html"), "{text}");
    assert!(text.contains("It works!"), "{text}");
}

#[tokio::test]
async fn a_web_server_without_pages() {
    let url = serve(Router::new()).await;
    let (report, text) = refused(Options::provider(&url)).await;
    assert!(text.contains("status 404"), "{text}");
    assert!(report.skipped().len() > 40, "{text}");
}

#[tokio::test]
async fn a_gateway_that_wants_credentials() {
    let model = Arc::new(Model::gateway(None).wanting(BASIC));
    let (_, text) = refused(Options::gateway(model.serve().await)).await;
    assert!(text.contains("--basic-auth-file"), "{text}");
}

#[tokio::test]
async fn a_gateway_taken_for_a_provider_and_the_reverse() {
    let gateway = Arc::new(Model::gateway(None)).serve().await;
    let (_, text) = refused(Options::provider(gateway)).await;
    assert!(text.contains("use --gateway"), "{text}");

    let provider = Arc::new(Model::provider()).serve().await;
    let (_, text) = refused(Options::gateway(provider)).await;
    assert!(text.contains("use --provider"), "{text}");
}

#[tokio::test]
async fn a_url_that_is_none() {
    for url in ["ftp://127.0.0.1:1", "127.0.0.1:8080", ""] {
        let (_, text) = refused(Options::gateway(url)).await;
        assert!(text.contains("begins with http:// or https://"), "{text}");
    }
}

#[tokio::test]
async fn a_filter_or_a_skip_that_names_no_check() {
    let url = Arc::new(Model::gateway(None)).serve().await;
    let misspelt = vec!["delpoy".to_owned()];
    let filtered = Options {
        filter: misspelt.clone(),
        ..Options::gateway(&url)
    };
    let skipped = Options {
        skip: misspelt,
        ..Options::gateway(&url)
    };
    for options in [filtered, skipped] {
        let (_, text) = refused(options).await;
        assert!(text.contains("selection.matches"), "{text}");
        assert!(text.contains("delpoy"), "{text}");
    }
}
