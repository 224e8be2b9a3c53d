//! The queue on a real NATS server, which the tests start, kill and start again. Needs `nats-server`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accept;
mod bodies;
mod faults;
mod patience;
#[allow(dead_code, reason = "another suite uses all of it")]
mod proxy;
mod queues;
mod secure;
#[allow(dead_code, reason = "another suite uses all of it")]
mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use faas_queue::nats::{Login, Settings};
use faas_queue::{InvocationId, Nats, NewCall, QueuedCall};

pub(crate) fn settings(servers: &str) -> Settings {
    Settings {
        servers: servers.to_owned(),
        login: Login::None,
        authorities: None,
        queue: "faas-request".into(),
        replicas: 1,
        most_calls: 1_000_000,
        most_calls_of_a_function: 200_000,
        result_ttl: Duration::from_secs(3600),
        lease: Duration::from_secs(60),
    }
}

pub(crate) async fn connect(servers: &str) -> Nats {
    Nats::connect(settings(servers)).await.unwrap()
}

pub(crate) fn call(function: &str) -> QueuedCall {
    QueuedCall {
        id: InvocationId::new(),
        call_id: "c-1".into(),
        queue: "faas-request".into(),
        function: function.into(),
        called: "f".into(),
        method: "POST".into(),
        host: "gateway".into(),
        path: "/a%2Fb".into(),
        query: Some("x=1".into()),
        headers: vec![
            ("x-bytes".into(), vec![0xff]),
            ("x-twice".into(), b"1".to_vec()),
            ("x-twice".into(), b"2".to_vec()),
        ],
        body: Bytes::from_static(b"\0body"),
        callback_url: None,
        keep_result: false,
        accepted_ms: 1_700_000_000_123,
        annotations: BTreeMap::new(),
    }
}

pub(crate) fn new(call: QueuedCall) -> NewCall {
    NewCall {
        call,
        delay: Duration::ZERO,
        idempotency: None,
    }
}
