//! Bodies that no message holds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use faas_queue::nats::Settings;
use faas_queue::{
    CallStatus, DeadContent, DeadId, Error, InvocationId, Nats, NewCall, Queue, Reason, Settlement,
    State, Taken, Verdict, Work,
};

use crate::patience::soon;
use crate::server::Server;
use crate::{call, new, settings};

const FUNCTION: &str = "f.dev";
const STORE: &str = "OBJ_OF_bodies_faas-request";
const BYTES: usize = 5_000_001;

fn body() -> Vec<u8> {
    (0..BYTES).map(|place| (place % 251) as u8).collect()
}

fn large() -> NewCall {
    let mut call = call(FUNCTION);
    call.body = body().into();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    call.accepted_ms = now.as_millis().try_into().unwrap();
    new(call)
}

struct Room {
    server: Server,
    queue: Nats,
}

impl Room {
    async fn start() -> Self {
        let server = Server::start().await;
        let queue = Nats::work(settings(&server.at())).await.unwrap();
        Self { server, queue }
    }

    async fn accept(&self, new: NewCall) -> InvocationId {
        self.queue.accept(new).await.unwrap().id
    }

    async fn take(&self) -> Taken {
        soon("a call to take", async {
            loop {
                let taken = self.queue.take(&[(FUNCTION.to_owned(), 1)]).await.unwrap();
                if let Some(taken) = taken.into_iter().next() {
                    return taken;
                }
            }
        })
        .await
    }

    async fn end(&self, verdict: Verdict) {
        let settlement = Settlement {
            verdict,
            answer: None,
            status: None,
            took: Duration::ZERO,
            max_retries: 0,
        };
        let taken = self.take().await;
        assert!(self.queue.settle(&taken, settlement).await.unwrap());
    }

    async fn status(&self, id: InvocationId) -> CallStatus {
        self.queue.status(id).await.unwrap().unwrap()
    }

    /// Has the stream of dead letters hold no more than so many bytes.
    async fn hold_letters(&self, most: i64) {
        let mut config = self.server.info("OFDLQ_faas-request").await.config;
        config.max_bytes = most;
        let context = self.server.look().await;
        context.update_stream(config).await.unwrap();
    }

    /// Messages that the store of bodies holds.
    async fn stored(&self) -> u64 {
        self.server.info(STORE).await.state.messages
    }
}

#[tokio::test]
async fn a_large_body_comes_out_as_it_went_in_and_goes_with_its_call() {
    let room = Room::start().await;
    let id = room.accept(large()).await;
    room.accept(new(call("g.dev"))).await;
    let taken = room.take().await;
    assert_eq!(taken.apart(), Some(BYTES));
    assert!(taken.call().unwrap().body.is_empty());
    let fetched = room.queue.body(&taken).await.unwrap().unwrap();
    assert!(fetched == body(), "{} bytes", fetched.len());
    // It is there as long as the call may be made again.
    room.queue.release(&taken).await.unwrap();
    let taken = room.take().await;
    assert!(room.queue.body(&taken).await.unwrap().is_some());
    room.queue.release(&taken).await.unwrap();
    room.end(Verdict::Succeeded).await;
    assert_eq!(room.status(id).await.state, State::Succeeded);
    assert_eq!(room.stored().await, 0);
    assert_eq!(room.queue.books().await.unwrap().drift(), 0);
}

#[tokio::test]
async fn a_dead_letter_keeps_its_body_until_it_is_put_back_or_dropped() {
    let room = Room::start().await;
    for _ in 0..2 {
        let id = DeadId::Call(room.accept(large()).await);
        room.end(Verdict::Dead(Reason::Http(500))).await;
        let (_, content) = room.queue.dead_letter(id).await.unwrap().unwrap();
        let DeadContent::Call(call) = content else {
            panic!("{content:?}");
        };
        assert!(call.body == body(), "{} bytes", call.body.len());
        let again = room.queue.redrive(id).await.unwrap().unwrap();
        room.end(Verdict::Dead(Reason::Http(500))).await;
        assert!(room.stored().await > 0);
        assert!(room.queue.purge(DeadId::Call(again)).await.unwrap());
        assert_eq!(room.stored().await, 0);
    }
}

#[tokio::test]
async fn a_call_that_is_cancelled_or_put_off_or_comes_twice_leaves_nothing_behind() {
    let room = Room::start().await;
    let later = NewCall {
        delay: Duration::from_millis(300),
        ..large()
    };
    room.accept(later).await;
    room.end(Verdict::Succeeded).await;
    assert_eq!(room.stored().await, 0, "after a call that was put off");

    let id = room.accept(large()).await;
    assert!(room.queue.cancel(id).await.unwrap());
    assert_eq!(room.stored().await, 0, "after a call that was cancelled");

    let once = || NewCall {
        idempotency: Some([7; 32]),
        ..large()
    };
    room.accept(once()).await;
    let stored = room.stored().await;
    assert!(room.queue.accept(once()).await.unwrap().duplicate);
    assert_eq!(room.stored().await, stored, "after the same call again");
    room.end(Verdict::Succeeded).await;
    assert_eq!(room.stored().await, 0);
}

#[tokio::test]
async fn a_queue_that_is_full_keeps_no_body() {
    let server = Server::start().await;
    let most_calls = 1;
    let settings = Settings {
        most_calls,
        ..settings(&server.at())
    };
    let queue = Nats::connect(settings).await.unwrap();
    queue.accept(new(call(FUNCTION))).await.unwrap();
    let refused = queue.accept(large()).await;
    assert_eq!(refused, Err(Error::Full(most_calls)));
    assert_eq!(server.info(STORE).await.state.messages, 0);
}

#[tokio::test]
async fn what_a_crash_left_is_swept_and_nothing_else() {
    let room = Room::start().await;
    let waits = room.accept(large()).await;
    let later = NewCall {
        delay: Duration::from_secs(3600),
        ..large()
    };
    room.accept(later).await;
    let letter = room.accept(large()).await;
    // The first one waits again afterwards.
    let first = room.take().await;
    assert_eq!((first.id, first.delivery), (waits, 1));
    room.end(Verdict::Dead(Reason::Http(500))).await;
    room.queue.release(&first).await.unwrap();
    assert_eq!(room.status(letter).await.state, State::Dead);
    let in_use = room.stored().await;

    // A gateway died when it had stored a body, and one before it had stored all of it.
    let context = room.server.look().await;
    let store = context.get_object_store("OF_bodies_faas-request").await;
    let put = store.unwrap().put("left-behind", &mut &*body()).await;
    put.unwrap();
    let half = "$O.OF_bodies_faas-request.C.halfway";
    let sent = context.publish(half, body()[..1000].to_vec().into()).await;
    sent.unwrap().await.unwrap();
    assert!(room.stored().await > in_use + 1);

    let hour = Duration::from_secs(3600);
    assert_eq!(room.queue.sweep_bodies(hour).await.unwrap(), 0, "too young");
    let before = room.stored().await;
    assert!(before > in_use + 1);
    assert_eq!(room.queue.sweep_bodies(Duration::ZERO).await.unwrap(), 2);
    assert_eq!(room.stored().await, in_use);
    assert_eq!(room.status(waits).await.state, State::Queued);
    let taken = room.take().await;
    assert!(room.queue.body(&taken).await.unwrap().is_some());
    let letter = room.queue.dead_letter(DeadId::Call(letter)).await.unwrap();
    assert!(matches!(letter, Some((_, DeadContent::Call(_)))));
}

#[tokio::test]
async fn bodies_of_dead_letters_that_were_pushed_out_are_swept() {
    let room = Room::start().await;
    for _ in 0..2 {
        room.accept(large()).await;
        room.end(Verdict::Dead(Reason::Http(500))).await;
    }
    assert_eq!(room.queue.sweep_bodies(Duration::ZERO).await.unwrap(), 0);
    room.hold_letters(100).await;
    assert_eq!(room.queue.sweep_bodies(Duration::ZERO).await.unwrap(), 2);
    assert_eq!(room.stored().await, 0);
}

#[tokio::test]
async fn dead_letters_that_are_pushed_out_are_counted() {
    let room = Room::start().await;
    // One letter, but not two.
    room.hold_letters(110_000).await;
    soon("a letter to be pushed out", async {
        while room.queue.evicted() == 0 {
            let mut call = call(FUNCTION);
            call.body = vec![b'x'; 100_000].into();
            room.accept(new(call)).await;
            room.end(Verdict::Dead(Reason::Http(500))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_lost_is_told_from_one_that_cannot_be_had_yet() {
    let mut room = Room::start().await;
    room.accept(large()).await;
    let taken = room.take().await;
    room.server.kill();
    let error = room.queue.body(&taken).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    room.server.begin().await;
    soon("the body", async {
        while room.queue.body(&taken).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let context = room.server.look().await;
    let stream = context.get_stream(STORE).await.unwrap();
    stream.purge().await.unwrap();
    let error = room.queue.body(&taken).await.unwrap_err();
    assert!(matches!(error, Error::Format(_)), "{error}");
}
