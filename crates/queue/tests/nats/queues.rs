//! Two queues as one.

use std::sync::Arc;
use std::time::Duration;

use faas_queue::nats::Settings;
use faas_queue::{
    DeadFilter, DeadLetter, Nats, NewCall, Queue, Queues, Reason, Settlement, State, Verdict, Work,
};

use crate::patience::soon;
use crate::server::Server;
use crate::{call, new, settings};

/// The queues `faas-request` and `slow`, and both as one.
struct Both {
    _server: Server,
    parts: [Nats; 2],
    all: Queues,
}

impl Both {
    async fn start() -> Self {
        let server = Server::start().await;
        let of = |queue: &str| Settings {
            queue: queue.to_owned(),
            ..settings(&server.at())
        };
        let first = Nats::work(of("faas-request")).await.unwrap();
        let second = Nats::work(of("slow")).await.unwrap();
        let all = Queues::new(Arc::new(first.clone()), vec![Arc::new(second.clone())]);
        Self {
            _server: server,
            parts: [first, second],
            all,
        }
    }

    /// A call that became a dead letter of a queue.
    async fn dead(&self, place: usize) {
        let queue = &self.parts[place];
        self.all.accept(of_queue(queue.name())).await.unwrap();
        let taken = soon("a call to take", async {
            loop {
                let taken = queue.take(&[("f.dev".to_owned(), 1)]).await.unwrap();
                if let Some(taken) = taken.into_iter().next() {
                    return taken;
                }
            }
        });
        let settlement = Settlement {
            verdict: Verdict::Dead(Reason::Http(400)),
            answer: None,
            status: Some(400),
            took: Duration::ZERO,
            max_retries: 0,
        };
        assert!(queue.settle(&taken.await, settlement).await.unwrap());
    }

    async fn letters(&self, filter: DeadFilter) -> Vec<DeadLetter> {
        self.all.dead_letters(&filter).await.unwrap()
    }
}

fn of_queue(queue: &str) -> NewCall {
    let mut call = call("f.dev");
    call.queue = queue.to_owned();
    new(call)
}

#[tokio::test]
async fn calls_go_where_they_say_and_are_found_wherever_they_are() {
    let both = Both::start().await;
    let mut ids = Vec::new();
    for queue in ["faas-request", "slow"] {
        let id = both.all.accept(of_queue(queue)).await.unwrap().id;
        let status = both.all.status(id).await.unwrap().unwrap();
        assert_eq!(
            (status.queue.as_str(), status.state),
            (queue, State::Queued)
        );
        ids.push(id);
    }
    assert!(both.parts[0].status(ids[1]).await.unwrap().is_none());
    assert_eq!(both.all.by_call_id("c-1").await.unwrap().len(), 2);
    assert_eq!(both.all.depths().await.unwrap().len(), 2);
    assert!(both.all.cancel(ids[1]).await.unwrap());
    let books = both.all.books().await.unwrap();
    let told = (
        books.accepted,
        books.waiting,
        books.cancelled,
        books.drift(),
    );
    assert_eq!(told, (2, 1, 1, 0));
    assert!(both.all.has("slow") && !both.all.has("none"));
    assert!(both.all.accept(of_queue("none")).await.is_err());
}

#[tokio::test]
async fn dead_letters_of_all_queues_are_listed_page_by_page() {
    let both = Both::start().await;
    for place in [0, 1, 0, 1] {
        both.dead(place).await;
    }
    let filter = |most, after| DeadFilter {
        most,
        after,
        ..DeadFilter::default()
    };
    let all = both.letters(filter(100, None)).await;
    assert_eq!(all.len(), 4);
    let mut paged = Vec::new();
    loop {
        let after = paged.last().map(|letter: &DeadLetter| letter.id);
        let page = both.letters(filter(1, after)).await;
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let last = all[3].id;
    assert!(both.all.dead_letter(last).await.unwrap().is_some());
    let again = both.all.redrive(last).await.unwrap().unwrap();
    let status = both.all.status(again).await.unwrap().unwrap();
    assert_eq!(status.queue, "slow");
    assert!(both.all.purge(all[0].id).await.unwrap());
    assert_eq!(both.letters(filter(100, None)).await.len(), 2);
}
