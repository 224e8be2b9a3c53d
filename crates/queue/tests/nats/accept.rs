//! Calls put into the queue on a server that is well.

use std::time::Duration;

use faas_queue::nats::{Login, NatsError};
use faas_queue::{Envelope, Error, Nats, Queue, format};
use futures_util::future::join_all;

use crate::server::Server;
use crate::{call, connect, new, settings};

const STREAM: &str = "OF_faas-request";

#[tokio::test]
async fn an_accepted_call_is_in_the_stream_as_it_came() {
    let server = Server::start().await;
    let nats = connect(&server.at()).await;
    assert_eq!(nats.trouble(), None);
    let stored = call("f.openfaas-fn");
    let accepted = nats.accept(new(stored.clone())).await.unwrap();
    assert!(!accepted.duplicate);
    assert!(
        accepted.id.to_string().starts_with("00000000-0002-8"),
        "{accepted:?}"
    );

    let message = server.messages(STREAM).await.remove(0);
    assert_eq!(
        message.subject.as_str(),
        "openfaas.queue.faas-request.openfaas-fn.f"
    );
    let headers = message.headers.iter().flat_map(|(name, values)| {
        let name = name.to_string();
        values
            .iter()
            .map(move |value| (name.clone(), value.as_str().to_owned()))
    });
    let envelope = Envelope {
        headers: headers.collect(),
        payload: message.payload,
    };
    let mut read = format::decode_call(&envelope).unwrap();
    read.headers.sort();
    assert_eq!(read, stored);
}

#[tokio::test]
async fn a_call_that_is_put_off_is_in_a_stream_of_its_own() {
    let server = Server::start().await;
    let nats = connect(&server.at()).await;
    let mut delayed = new(call("f.openfaas-fn"));
    delayed.delay = Duration::from_secs(5);
    nats.accept(delayed).await.unwrap();
    assert_eq!(server.info(STREAM).await.state.messages, 0);
    let message = server.messages("OF_delayed_faas-request").await.remove(0);
    let due: i128 = message
        .headers
        .get("OF-Due")
        .unwrap()
        .as_str()
        .parse()
        .unwrap();
    let stored = message.time.unix_timestamp_nanos() / 1_000_000;
    // By the server's clock, whatever the gateway's said when the call came.
    assert!((4_000..=5_000).contains(&(due - stored)), "{due} {stored}");
}

#[tokio::test]
async fn the_same_key_at_once_and_later_is_one_call() {
    let mut server = Server::start().await;
    let nats = connect(&server.at()).await;
    let keyed = || {
        let mut keyed = new(call("f.openfaas-fn"));
        keyed.idempotency = Some([7; 32]);
        nats.accept(keyed)
    };
    let first: Vec<_> = join_all((0..10).map(|_| keyed())).await;
    let first: Vec<_> = first.into_iter().map(Result::unwrap).collect();
    server.kill();
    server.begin().await;
    let later = keyed().await.unwrap();
    assert!(later.duplicate);
    assert!(
        first.iter().all(|one| one.id == later.id),
        "{first:?} {later:?}"
    );
    assert_eq!(first.iter().filter(|one| !one.duplicate).count(), 1);
    assert_eq!(server.info(STREAM).await.state.messages, 1);
}

#[tokio::test]
async fn a_full_queue_takes_no_more_and_says_whose_room_it_is() {
    let server = Server::start().await;
    let mut small = settings(&server.at());
    (small.most_calls, small.most_calls_of_a_function) = (100, 10);
    let nats = Nats::connect(small).await.unwrap();
    for _ in 0..10 {
        nats.accept(new(call("f.openfaas-fn"))).await.unwrap();
    }
    let refused = nats.accept(new(call("f.openfaas-fn"))).await;
    assert_eq!(refused, Err(Error::FunctionFull(10)));
    let posts =
        (0..140).map(|number| nats.accept(new(call(&format!("g{}.openfaas-fn", number % 20)))));
    let answers = join_all(posts).await;
    let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
    let full = answers
        .iter()
        .filter(|answer| **answer == Err(Error::Full(100)))
        .count();
    assert_eq!((accepted, full), (90, 50));
    assert_eq!(server.info(STREAM).await.state.messages, 100);
}

#[tokio::test]
async fn a_call_with_too_many_headers_is_refused_and_the_connection_stays() {
    let server = Server::start().await;
    let nats = connect(&server.at()).await;
    let mut large = call("f.openfaas-fn");
    large.headers = vec![("x-large".into(), vec![b'x'; 1024 * 1024])];
    large.body = vec![0; 1024 * 1024].into();
    let others = (0..20).map(|_| nats.accept(new(call("g.openfaas-fn"))));
    let (refused, others) = tokio::join!(nats.accept(new(large)), join_all(others));
    assert_eq!(refused, Err(Error::TooLarge(1024 * 1024)));
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    assert_eq!(nats.trouble(), None);
}

#[tokio::test]
async fn streams_that_are_there_are_brought_up_to_date_and_keep_what_they_hold() {
    let server = Server::start().await;
    let first = connect(&server.at()).await;
    first.accept(new(call("f.openfaas-fn"))).await.unwrap();
    let mut smaller = settings(&server.at());
    smaller.most_calls = 5;
    Nats::connect(smaller).await.unwrap();
    let info = server.info(STREAM).await;
    assert_eq!((info.config.max_messages, info.state.messages), (5, 1));
}

#[tokio::test]
async fn a_stream_that_is_not_ours_is_left_alone() {
    let server = Server::start().await;
    let foreign = async_nats::jetstream::stream::Config {
        name: STREAM.into(),
        subjects: vec!["somebody.elses".into()],
        ..Default::default()
    };
    server.look().await.create_stream(foreign).await.unwrap();
    let error = Nats::connect(settings(&server.at())).await.err().unwrap();
    assert!(matches!(error, NatsError::Streams(_)));
    let line = error.to_string();
    assert!(
        line.starts_with("stream OF_faas-request: its retention is not ours"),
        "{line}"
    );
    assert_eq!(
        server.info(STREAM).await.config.subjects,
        ["somebody.elses"]
    );
}

#[tokio::test]
async fn a_server_that_wants_a_password_gets_it() {
    let server = Server::with(&["--user", "of", "--pass", "s3cret"]).await;
    let mut known = settings(&server.at());
    known.login = Login::User("of".into(), "s3cret".into());
    let nats = Nats::connect(known).await.unwrap();
    nats.accept(new(call("f.openfaas-fn"))).await.unwrap();
    let server = Server::with(&["--auth", "t0ken"]).await;
    let mut known = settings(&server.at());
    known.login = Login::Token("t0ken".into());
    let nats = Nats::connect(known).await.unwrap();
    nats.accept(new(call("f.openfaas-fn"))).await.unwrap();
}
