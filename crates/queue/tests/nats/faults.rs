//! Calls put into the queue while its server comes and goes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use faas_queue::{Clock, Error, Nats, Queue, SteadyClock, Taken, Work};

use crate::patience::{found, soon, until};
use crate::proxy::Proxy;
use crate::server::Server;
use crate::{call, connect, new, settings};

const STREAM: &str = "OF_faas-request";

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for_without_an_end() {
    let mut server = Server::absent(&[]);
    let nats = connect(&server.at()).await;
    assert!(nats.trouble().is_some());
    let began = Instant::now();
    let refused = nats.accept(new(call("f.openfaas-fn"))).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(
        began.elapsed() < Duration::from_secs(11),
        "{:?}",
        began.elapsed()
    );
    server.begin().await;
    until("the queue to be well", async || nats.trouble().is_none()).await;
    nats.accept(new(call("f.openfaas-fn"))).await.unwrap();
    assert_eq!(
        server.info(STREAM).await.state.messages,
        1,
        "what was refused was not kept"
    );
}

#[tokio::test]
async fn a_lost_answer_stores_the_call_once_and_its_caller_hears_of_it() {
    let server = Server::start().await;
    let proxy = Proxy::before(server.address).await;
    let nats = connect(&proxy.address.to_string()).await;
    nats.accept(new(call("f.openfaas-fn"))).await.unwrap();
    proxy.lose_the_answer_to("HPUB openfaas.queue.");
    let accepted = nats.accept(new(call("f.openfaas-fn"))).await.unwrap();
    assert!(proxy.has_happened());
    assert_eq!(server.info(STREAM).await.state.messages, 2);
    assert!(
        accepted.id.to_string().starts_with("00000000-0004-8"),
        "{accepted:?}"
    );
}

async fn taken_by(worker: &Nats) -> Taken {
    found("the call", async || {
        let wish = ("f.openfaas-fn".to_owned(), 1);
        worker.take(&[wish]).await.unwrap().pop()
    })
    .await
}

#[tokio::test]
async fn a_worker_that_was_cut_off_hears_of_what_was_cancelled_meanwhile() {
    let server = Server::start().await;
    let proxy = Proxy::before(server.address).await;
    let others = connect(&server.at()).await;
    let worker = Nats::work(settings(&proxy.address.to_string())).await;
    let worker = worker.unwrap();
    let mut cancelled = worker.cancellations();
    let id = others.accept(new(call("f.openfaas-fn"))).await.unwrap().id;
    assert_eq!(taken_by(&worker).await.id, id);
    proxy.close();
    until("the loss to be noticed", async || {
        worker.trouble().is_some()
    })
    .await;
    assert!(others.cancel(id).await.unwrap());
    proxy.open();
    assert_eq!(soon("the word", cancelled.recv()).await.unwrap(), id);
}

#[tokio::test]
async fn a_stream_that_was_deleted_is_made_again() {
    let server = Server::start().await;
    let nats = connect(&server.at()).await;
    server.look().await.delete_stream(STREAM).await.unwrap();
    nats.accept(new(call("f.openfaas-fn"))).await.unwrap();
    assert_eq!(server.info(STREAM).await.state.messages, 1);
}

#[tokio::test]
async fn streams_of_which_nobody_needs_anything_just_now_are_made_again_too() {
    let server = Server::start().await;
    let _nats = connect(&server.at()).await;
    let ends = "KV_OF_status_faas-request";
    let jetstream = server.look().await;
    jetstream.delete_stream(ends).await.unwrap();
    until("the stream", async || {
        jetstream.get_stream(ends).await.is_ok()
    })
    .await;
}

/// A clock that is wrong by so much.
struct Ahead(i64);

impl Clock for Ahead {
    fn now_ms(&self) -> u64 {
        SteadyClock::default()
            .now_ms()
            .saturating_add_signed(self.0)
    }
}

#[tokio::test]
async fn a_worker_whose_clock_is_wrong_knows_how_old_a_call_is() {
    const HOUR_MS: i64 = 3_600_000;
    for wrong in [HOUR_MS, -HOUR_MS] {
        let server = Server::start().await;
        let others = connect(&server.at()).await;
        let clock = Arc::new(Ahead(wrong));
        let worker = Nats::work_at(settings(&server.at()), clock).await.unwrap();
        let mut delayed = new(call("f.openfaas-fn"));
        delayed.delay = Duration::from_secs(1);
        let began = Instant::now();
        others.accept(delayed).await.unwrap();
        let taken = taken_by(&worker).await;
        let age = taken.age;
        assert!(began.elapsed() > Duration::from_millis(900));
        assert!(age < began.elapsed() + Duration::from_secs(1), "{age:?}");
    }
}

/// Accepts until told to stop; the numbers of the calls that were accepted.
async fn accept_all(
    nats: Nats,
    caller: u64,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut accepted = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let number = format!("{caller}-{}", accepted.len());
        let mut numbered = call("f.openfaas-fn");
        numbered.call_id.clone_from(&number);
        if nats.accept(new(numbered)).await.is_ok() {
            accepted.push(number);
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_the_server_loses_no_call_that_was_accepted() {
    let mut server = Server::start().await;
    let nats = connect(&server.at()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicUsize::new(0));
    let further = async |calls: usize| {
        let enough = count.load(Ordering::Relaxed) + calls;
        until("further calls to be accepted", async || {
            count.load(Ordering::Relaxed) >= enough
        })
        .await;
    };
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            tokio::spawn(accept_all(nats.clone(), caller, stop, count))
        })
        .collect();
    for _ in 0..3 {
        further(200).await;
        server.kill();
        until("the loss to be noticed", async || nats.trouble().is_some()).await;
        server.begin().await;
    }
    further(200).await;
    stop.store(true, Ordering::Relaxed);
    let mut accepted = Vec::new();
    for caller in callers {
        accepted.extend(soon("a caller", caller).await.unwrap());
    }
    let stored: Vec<String> = server
        .messages(STREAM)
        .await
        .iter()
        .map(|message| {
            message
                .headers
                .get("OF-Call-Id")
                .unwrap()
                .as_str()
                .to_owned()
        })
        .collect();
    let known: BTreeSet<&String> = stored.iter().collect();
    let lost: Vec<_> = accepted
        .iter()
        .filter(|number| !known.contains(number))
        .collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    assert!(accepted.len() > 100, "{}", accepted.len());
    eprintln!("{} accepted, {} stored", accepted.len(), stored.len());
}
