//! The typed client against the served provider.

use axum::Router;
use faas_http::auth::Pair;
use faas_provider::client::Error;
use faas_provider::{Client, FunctionDeployment, FunctionName};
use http::StatusCode;

use crate::support::{Api, serve};

fn wish(service: &str) -> FunctionDeployment {
    FunctionDeployment {
        service: service.into(),
        image: "i".into(),
        namespace: "dev".into(),
        ..FunctionDeployment::default()
    }
}

#[tokio::test]
async fn the_client_does_what_the_routes_offer() {
    let api = Api::start().await;
    let client = api.client();
    let name = FunctionName::new("echo", "dev");
    client.deploy(&wish("echo")).await.unwrap();
    client.scale(&name, 3).await.unwrap();
    let status = client.status(&name).await.unwrap();
    assert_eq!(
        (
            status.name.as_str(),
            status.namespace.as_str(),
            status.replicas
        ),
        ("echo", "dev", 3)
    );
    client
        .update(&FunctionDeployment {
            image: "i2".into(),
            ..wish("echo")
        })
        .await
        .unwrap();
    let list = client.list("dev").await.unwrap();
    assert_eq!((list.len(), list[0].image.as_str()), (1, "i2"));
    client.delete(&name).await.unwrap();
    assert!(client.list("dev").await.unwrap().is_empty());
    assert_eq!(client.namespaces().await.unwrap(), ["openfaas-fn"]);
    assert_eq!(client.info().await.unwrap().provider, "memory-for-tests");
}

#[tokio::test]
async fn refusals_come_with_their_words() {
    let api = Api::start().await;
    let client = api.client();
    let name = FunctionName::new("none", "dev");
    assert!(matches!(client.status(&name).await, Err(Error::NotFound)));
    assert!(matches!(client.delete(&name).await, Err(Error::NotFound)));
    assert!(matches!(client.scale(&name, 1).await, Err(Error::NotFound)));
    client.deploy(&wish("echo")).await.unwrap();
    match client.deploy(&wish("echo")).await {
        Err(Error::Refused { status, words }) => {
            assert_eq!(
                (status, words.as_str()),
                (StatusCode::CONFLICT, "function echo.dev already exists")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn credentials_are_sent_where_there_are_some() {
    let api = Api::guarded().await;
    let with =
        |pair: Option<Pair>| Client::new(api.url("").parse().unwrap(), pair.as_ref()).unwrap();
    assert!(
        with(Some(Pair::new("admin", "secret")))
            .info()
            .await
            .is_ok()
    );
    for wrong in [None, Some(Pair::new("admin", "wrong"))] {
        match with(wrong).info().await {
            Err(Error::Refused { status, words }) => {
                assert_eq!(
                    (status, words.as_str()),
                    (StatusCode::UNAUTHORIZED, "invalid credentials")
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_provider_of_somebody_else_is_understood() {
    let null = || async { "null" };
    let foreign = Router::new()
        .route("/below/system/functions", axum::routing::get(null))
        .route("/below/system/namespaces", axum::routing::get(null));
    let address = serve(foreign).await;
    let client = Client::new(format!("http://{address}/below").parse().unwrap(), None).unwrap();
    assert!(client.list("openfaas-fn").await.unwrap().is_empty());
    assert!(client.namespaces().await.unwrap().is_empty());
    assert!(matches!(
        client.endpoints().await.err(),
        Some(Error::NotFound)
    ));
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_told_from_one_that_refuses() {
    let address = tokio::net::TcpListener::bind(crate::support::ANY_PORT)
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let client = Client::new(format!("http://{address}").parse().unwrap(), None).unwrap();
    match client.info().await {
        Err(Error::Transport(words)) => assert!(words.contains("refused"), "{words}"),
        other => panic!("{other:?}"),
    }
}
