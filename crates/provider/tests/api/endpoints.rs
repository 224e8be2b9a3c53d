//! The table of endpoints, for a gateway in another process.

use std::sync::Arc;

use faas_provider::{EndpointTable, FunctionEndpoints, FunctionName, Publisher};
use futures_util::{Stream, StreamExt};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::support::{Api, soon};

async fn next(
    tables: &mut (impl Stream<Item = Result<EndpointTable, faas_provider::client::Error>> + Unpin),
) -> EndpointTable {
    soon("a table", tables.next()).await.unwrap().unwrap()
}

async fn watch(
    api: &Api,
) -> impl Stream<Item = Result<EndpointTable, faas_provider::client::Error>> + Unpin + use<> {
    Box::pin(soon("the stream", api.client().endpoints()).await.unwrap())
}

/// Two replicas wherever the functions of this provider are.
async fn with_replicas() -> Api {
    let api = Api::start().await;
    api.provider.replicas_at(([127, 0, 0, 1], 9).into());
    api
}

#[tokio::test]
async fn the_first_table_is_complete() {
    let api = with_replicas().await;
    let wish = json!({"service": "a", "image": "i", "labels": {"com.openfaas.scale.max": "7"}, "annotations": {"k": "v"}});
    api.post("/system/functions", wish).await.is(202);
    api.deploy("b").await;
    api.post("/system/scale-function/b", json!({"replicas": 0}))
        .await
        .is(202);

    let table = next(&mut watch(&api).await).await;
    assert!(table.complete);
    assert_eq!(table.functions.len(), 2);
    let a = table.get("a.openfaas-fn").unwrap();
    assert_eq!((a.replicas, a.endpoints.len()), (1, 1));
    assert_eq!(a.endpoints[0].id(), "a.openfaas-fn-0");
    assert_eq!(a.endpoints[0].authority(), "127.0.0.1:9");
    assert_eq!(a.labels["com.openfaas.scale.max"], "7");
    assert_eq!(a.annotations["k"], "v");
    let b = table.get("b.openfaas-fn").unwrap();
    assert_eq!((b.replicas, b.endpoints.len()), (0, 0));
}

#[tokio::test]
async fn nothing_is_told_before_everything_is_known() {
    let api = Api::start().await;
    let table = EndpointTable::default();
    api.provider.table.replace(table);
    let name = FunctionName::new("early", "openfaas-fn");
    let mut tables = watch(&api).await;
    api.provider
        .table
        .publish(&name, FunctionEndpoints::default());
    api.provider.table.set_complete();
    let table = next(&mut tables).await;
    assert!(table.complete && table.get("early.openfaas-fn").is_some());
}

#[tokio::test]
async fn each_change_comes_at_once() {
    let api = with_replicas().await;
    let mut tables = watch(&api).await;
    assert!(next(&mut tables).await.functions.is_empty());

    api.deploy("echo").await;
    assert_eq!(
        next(&mut tables)
            .await
            .get("echo.openfaas-fn")
            .unwrap()
            .endpoints
            .len(),
        1
    );
    api.post("/system/scale-function/echo", json!({"replicas": 3}))
        .await
        .is(202);
    assert_eq!(
        next(&mut tables)
            .await
            .get("echo.openfaas-fn")
            .unwrap()
            .endpoints
            .len(),
        3
    );
    api.delete("/system/functions", json!({"functionName": "echo"}))
        .await
        .is(202);
    assert!(next(&mut tables).await.get("echo.openfaas-fn").is_none());
}

#[tokio::test]
async fn replicas_that_stay_stay_the_same_and_so_do_functions() {
    let api = with_replicas().await;
    api.deploy("echo").await;
    api.deploy("other").await;
    let mut tables = watch(&api).await;
    let before = next(&mut tables).await;
    api.post("/system/scale-function/echo", json!({"replicas": 2}))
        .await
        .is(202);
    let after = next(&mut tables).await;
    let of = |table: &EndpointTable, name: &str| Arc::clone(table.get(name).unwrap());
    // The very same replica, so that the calls it is busy with still count.
    let (old, new) = (
        of(&before, "echo.openfaas-fn"),
        of(&after, "echo.openfaas-fn"),
    );
    assert!(Arc::ptr_eq(&old.endpoints[0], &new.endpoints[0]));
    assert!(Arc::ptr_eq(
        &of(&before, "other.openfaas-fn"),
        &of(&after, "other.openfaas-fn")
    ));

    // One that moved is another one, whatever its name.
    api.provider.replicas_at(([127, 0, 0, 1], 10).into());
    api.post("/system/scale-function/echo", json!({"replicas": 2}))
        .await
        .is(202);
    let moved = of(&next(&mut tables).await, "echo.openfaas-fn");
    assert_eq!(moved.endpoints[0].authority(), "127.0.0.1:10");
}

#[tokio::test]
async fn a_replica_below_a_path_stays_below_it() {
    let api = Api::start().await;
    let name = FunctionName::new("echo", "openfaas-fn");
    let authority = "127.0.0.1:9".parse().unwrap();
    let endpoints = vec![faas_http::forward::Upstream::below(
        "r",
        authority,
        "/below/it",
    )];
    api.provider.table.publish(
        &name,
        FunctionEndpoints {
            endpoints,
            ..FunctionEndpoints::default()
        },
    );
    let table = next(&mut watch(&api).await).await;
    assert_eq!(
        table.get("echo.openfaas-fn").unwrap().endpoints[0].prefix(),
        "/below/it"
    );
}

#[tokio::test]
async fn the_stream_ends_when_the_service_stops() {
    let api = Api::start().await;
    let mut tables = watch(&api).await;
    next(&mut tables).await;
    api.stop.cancel();
    assert!(soon("the end", tables.next()).await.is_none());
}

#[tokio::test]
async fn a_watcher_who_leaves_is_forgotten() {
    let api = Api::start().await;
    let mut tables = watch(&api).await;
    next(&mut tables).await;
    drop(tables);
    // The service does not wait for it when it stops, and changes trouble nobody.
    api.deploy("echo").await;
    assert_eq!(next(&mut watch(&api).await).await.functions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_shows_that_it_lives() {
    let api = Api::start().await;
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    stream
        .write_all(b"GET /system/endpoints HTTP/1.1\r\nHost: p\r\n\r\n")
        .await
        .unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut chunks = Vec::new();
    // A chunk is its size and its content, here an empty line.
    while chunks.len() < 3 {
        let line = lines.next_line().await.unwrap().unwrap();
        if line == "1" {
            assert_eq!(lines.next_line().await.unwrap().unwrap(), "");
            chunks.push(tokio::time::Instant::now());
        }
    }
    for pair in chunks.windows(2) {
        assert_eq!((pair[1] - pair[0]).as_secs(), 5);
    }
}

#[test]
fn a_publisher_can_be_complete_from_the_start() {
    assert!(Publisher::complete().watch().borrow().complete);
    assert!(!Publisher::default().watch().borrow().complete);
}
