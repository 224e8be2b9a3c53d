//! Calls: accepted, taken, settled, cancelled, forgotten.

use std::time::Duration;

use faas_queue::embedded::Limits;
use faas_queue::{Books, Counts, Error, InvocationId, Reason, State, Verdict, Work};

use crate::support::*;

of_every_backend!(
    a_call_comes_out_as_it_went_in,
    accepted_calls_survive_the_end_of_the_process,
    what_ran_when_the_process_ended_is_taken_again_and_counted,
    a_delayed_call_waits_its_time,
    calls_of_a_function_are_taken_in_the_order_they_came,
    no_more_is_taken_than_asked_for_and_of_no_other_function,
    a_call_that_is_made_again_waits_and_keeps_count,
    what_was_not_begun_goes_back_unharmed,
    a_lease_that_ends_gives_the_call_to_another_and_one_end_counts,
    a_lease_that_is_extended_does_not_end,
    the_same_key_is_the_same_call,
    a_queued_call_is_cancelled_at_once,
    a_running_call_is_told_that_it_is_cancelled,
    a_call_cancelled_while_running_is_not_made_again,
    an_answer_is_kept_where_it_was_asked_for,
    calls_are_found_by_their_callers_name,
    an_id_that_does_not_exist,
    the_books_balance_through_everything,
    somebody_waiting_hears_of_a_call,
);

fn again(after: Duration, counts: Counts) -> Verdict {
    Verdict::Retry { after, counts }
}

async fn a_call_comes_out_as_it_went_in(backend: impl Backend) {
    let queue = backend.queue();
    let call = accept_one(queue).await;
    let taken = take_one(queue).await;
    assert_eq!(taken.call().unwrap(), call);
    assert_eq!((taken.id, taken.delivery, taken.failures), (call.id, 1, 0));
    assert_eq!(state(queue, call.id).await, State::Running);
    assert!(settle(queue, &taken, Verdict::Succeeded, 200).await);
    let status = queue.status(call.id).await.unwrap().unwrap();
    assert_eq!(
        (status.state, status.last_status),
        (State::Succeeded, Some(200))
    );
    assert!(status.ended_ms >= status.started_ms && status.started_ms.is_some());
    assert!(take(queue, FUNCTION, 9).await.is_empty());
}

async fn accepted_calls_survive_the_end_of_the_process(mut backend: impl Backend) {
    let call = accept_one(backend.queue()).await;
    backend.restart().await;
    assert_eq!(take_one(backend.queue()).await.call().unwrap(), call);
}

async fn what_ran_when_the_process_ended_is_taken_again_and_counted(mut backend: impl Backend) {
    accept_one(backend.queue()).await;
    assert_eq!(take_one(backend.queue()).await.delivery, 1);
    backend.restart().await;
    let taken = take_one(backend.queue()).await;
    assert_eq!((taken.delivery, taken.returns, taken.failures), (2, 0, 0));
    assert_eq!(books(backend.queue()).await.running, 1);
}

async fn a_delayed_call_waits_its_time(mut backend: impl Backend) {
    let mut delayed = new(call(FUNCTION));
    delayed.delay = Duration::from_millis(1500);
    let due = now_ms() + 1400;
    backend.queue().accept(delayed).await.unwrap();
    assert!(take(backend.queue(), FUNCTION, 9).await.is_empty());
    assert_eq!(books(backend.queue()).await.waiting, 1);
    backend.restart().await;
    take_one(backend.queue()).await;
    assert!(now_ms() >= due);
}

async fn calls_of_a_function_are_taken_in_the_order_they_came(backend: impl Backend) {
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(accept_one(backend.queue()).await.id);
    }
    let taken = take(backend.queue(), FUNCTION, 20).await;
    assert_eq!(taken.iter().map(|taken| taken.id).collect::<Vec<_>>(), ids);
}

async fn no_more_is_taken_than_asked_for_and_of_no_other_function(backend: impl Backend) {
    let queue = backend.queue();
    for function in [
        FUNCTION,
        FUNCTION,
        FUNCTION,
        "g.openfaas-fn",
        "f.openfaas-fn2",
    ] {
        accept(queue, call(function)).await;
    }
    // On NATS word of a call comes after it was accepted.
    let waiting = found("word of the calls", async || {
        let waiting = queue.waiting().await.unwrap();
        let calls: u64 = waiting.iter().map(|depth| depth.waiting).sum();
        (calls >= 5).then_some(waiting)
    })
    .await;
    assert_eq!(
        (
            waiting.len(),
            waiting[0].function.as_str(),
            waiting[0].waiting
        ),
        (3, FUNCTION, 3)
    );
    assert_eq!(take(queue, FUNCTION, 2).await.len(), 2);
    assert_eq!(take(queue, FUNCTION, 2).await.len(), 1);
    let both = [
        ("g.openfaas-fn".to_owned(), 1),
        ("f.openfaas-fn2".to_owned(), 1),
        ("none".to_owned(), 1),
    ];
    assert_eq!(queue.take(&both).await.unwrap().len(), 2);
    let depths = queue.depths().await.unwrap();
    let f = depths
        .iter()
        .find(|depth| depth.function == FUNCTION)
        .unwrap();
    assert_eq!((f.waiting, f.running, depths.len()), (0, 3, 3));
}

async fn a_call_that_is_made_again_waits_and_keeps_count(mut backend: impl Backend) {
    let id = accept_one(backend.queue()).await.id;
    let after = Duration::from_millis(300);
    for (counts, failures, unreachable) in [
        (Counts::Failure, 1, 0),
        (Counts::Unreachable, 1, 1),
        (Counts::Unreachable, 1, 2),
        (Counts::Nothing, 1, 0),
    ] {
        let taken = take_one(backend.queue()).await;
        let due = now_ms() + 250;
        assert!(settle(backend.queue(), &taken, again(after, counts), 503).await);
        assert_eq!(state(backend.queue(), id).await, State::Queued);
        backend.restart().await;
        let taken = take_one(backend.queue()).await;
        assert!(now_ms() >= due);
        assert_eq!(
            (taken.failures, taken.unreachable),
            (failures, unreachable),
            "{counts:?}"
        );
        backend.queue().release(&taken).await.unwrap();
    }
    let status = backend.queue().status(id).await.unwrap().unwrap();
    assert_eq!((status.last_status, status.failures), (Some(503), 1));
}

async fn what_was_not_begun_goes_back_unharmed(backend: impl Backend) {
    let queue = backend.queue();
    accept_one(queue).await;
    let taken = take_one(queue).await;
    queue.release(&taken).await.unwrap();
    let taken = take_one(queue).await;
    assert_eq!((taken.delivery, taken.returns), (1, 0));
}

async fn a_lease_that_ends_gives_the_call_to_another_and_one_end_counts(backend: impl Backend) {
    let queue = backend.queue();
    let id = accept_one(queue).await.id;
    let first = take_one(queue).await;
    let second = take_one(queue).await;
    assert_eq!((second.id, second.delivery), (id, 2));

    assert!(!settle(queue, &first, again(Duration::ZERO, Counts::Failure), 500).await);
    assert_eq!(state(queue, id).await, State::Running);
    assert!(settle(queue, &first, Verdict::Succeeded, 200).await);
    assert!(!settle(queue, &second, Verdict::Dead(Reason::Http(400)), 400).await);
    assert!(!settle(queue, &second, again(Duration::ZERO, Counts::Failure), 500).await);
    assert_eq!(state(queue, id).await, State::Succeeded);
    let books = books(queue).await;
    assert_eq!((books.succeeded, books.dead, books.waiting), (1, 0, 0));
}

async fn a_lease_that_is_extended_does_not_end(backend: impl Backend) {
    let queue = backend.queue();
    accept_one(queue).await;
    let taken = take_one(queue).await;
    let until = now_ms() + 2 * LEASE.as_millis() as u64;
    while now_ms() < until {
        queue
            .extend(std::slice::from_ref(&taken.receipt))
            .await
            .unwrap();
        assert!(take(queue, FUNCTION, 1).await.is_empty());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(settle(queue, &taken, Verdict::Succeeded, 200).await);
}

async fn the_same_key_is_the_same_call(mut backend: impl Backend) {
    let keyed = |key: u8| {
        let mut new = new(call(FUNCTION));
        new.idempotency = Some([key; 32]);
        new
    };
    let first = backend.queue().accept(keyed(1)).await.unwrap();
    backend.restart().await;
    let queue = backend.queue();
    let second = queue.accept(keyed(1)).await.unwrap();
    assert_eq!(
        (second.id, second.duplicate, first.duplicate),
        (first.id, true, false)
    );
    let other = queue.accept(keyed(2)).await.unwrap();
    assert!(!other.duplicate && other.id != first.id);
    assert_eq!(books(queue).await.accepted, 2);
}

async fn a_queued_call_is_cancelled_at_once(backend: impl Backend) {
    let queue = backend.queue();
    let id = accept_one(queue).await.id;
    assert!(queue.cancel(id).await.unwrap());
    assert_eq!(state(queue, id).await, State::Cancelled);
    assert!(take(queue, FUNCTION, 1).await.is_empty());
    assert!(!queue.cancel(id).await.unwrap());
    assert_eq!(books(queue).await.cancelled, 1);
}

async fn a_running_call_is_told_that_it_is_cancelled(backend: impl Backend) {
    let queue = backend.queue();
    let mut cancelled = queue.cancellations();
    let id = accept_one(queue).await.id;
    let taken = take_one(queue).await;
    assert!(!queue.is_cancelled(id).await.unwrap());
    assert!(queue.cancel(id).await.unwrap());
    assert_eq!(
        soon("the cancellation", cancelled.recv()).await.unwrap(),
        id
    );
    assert!(queue.is_cancelled(id).await.unwrap());
    assert!(settle(queue, &taken, Verdict::Cancelled, 499).await);
    assert_eq!(state(queue, id).await, State::Cancelled);
    assert_eq!(books(queue).await.cancelled, 1);
}

async fn a_call_cancelled_while_running_is_not_made_again(mut backend: impl Backend) {
    let id = accept_one(backend.queue()).await.id;
    take_one(backend.queue()).await;
    assert!(backend.queue().cancel(id).await.unwrap());
    backend.restart().await;
    // Where several may work, who is gone is believed dead when the lease ends.
    until("the cancelled call to end", async || {
        assert!(take(backend.queue(), FUNCTION, 1).await.is_empty());
        state(backend.queue(), id).await == State::Cancelled
    })
    .await;
    assert_eq!(books(backend.queue()).await.cancelled, 1);
}

async fn an_answer_is_kept_where_it_was_asked_for(mut backend: impl Backend) {
    let mut kept = call(FUNCTION);
    kept.keep_result = true;
    let kept = accept(backend.queue(), kept).await.id;
    let dropped = accept_one(backend.queue()).await.id;
    for taken in take(backend.queue(), FUNCTION, 2).await {
        assert!(settle(backend.queue(), &taken, Verdict::Succeeded, 201).await);
    }
    backend.restart().await;
    let queue = backend.queue();
    assert_eq!(queue.result(kept).await.unwrap(), Some(answer(201)));
    assert_eq!(queue.result(dropped).await.unwrap(), None);
}

async fn calls_are_found_by_their_callers_name(backend: impl Backend) {
    let queue = backend.queue();
    let (first, second) = (accept_one(queue).await.id, accept_one(queue).await.id);
    let mut other = call(FUNCTION);
    other.call_id = "c-2".into();
    accept(queue, other).await;
    let found = queue.by_call_id("c-1").await.unwrap();
    assert_eq!(
        found.iter().map(|found| found.id).collect::<Vec<_>>(),
        [first, second]
    );
    assert!(queue.by_call_id("c-3").await.unwrap().is_empty());
}

async fn an_id_that_does_not_exist(backend: impl Backend) {
    let (queue, id) = (backend.queue(), InvocationId::new());
    assert_eq!(queue.status(id).await.unwrap(), None);
    assert_eq!(queue.result(id).await.unwrap(), None);
    assert!(!queue.cancel(id).await.unwrap());
    assert!(!queue.is_cancelled(id).await.unwrap());
}

async fn the_books_balance_through_everything(mut backend: impl Backend) {
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(accept_one(backend.queue()).await.id);
    }
    let queue = backend.queue();
    let taken = take(queue, FUNCTION, 5).await;
    for (taken, verdict) in taken.iter().zip([
        Verdict::Succeeded,
        Verdict::Failed,
        Verdict::Dead(Reason::Expired),
        again(Duration::ZERO, Counts::Failure),
    ]) {
        assert!(settle(queue, taken, verdict, 500).await);
        books(queue).await;
    }
    assert!(queue.cancel(ids[6]).await.unwrap());
    let expected = Books {
        accepted: 7,
        succeeded: 1,
        failed: 1,
        dead: 1,
        cancelled: 1,
        waiting: 2,
        running: 1,
    };
    assert_eq!(books(queue).await, expected);
    backend.restart().await;
    let books = books(backend.queue()).await;
    // Where several may work, what ran is held until the lease ends.
    assert_eq!((books.accepted, books.waiting + books.running), (7, 3));
}

async fn somebody_waiting_hears_of_a_call(backend: impl Backend) {
    let queue = backend.queue();
    let mut changes = queue.changes();
    changes.borrow_and_update();
    let (_, call) = tokio::join!(soon("the change", changes.changed()), accept_one(queue));
    assert_eq!(take_one(queue).await.id, call.id);
}

/// Limits are each back-end's own; what is said of a full one is not.
#[tokio::test]
async fn a_full_queue_takes_no_more_and_says_whose_room_it_is() {
    let limits = Limits {
        most_calls: 3,
        most_calls_of_a_function: 2,
        ..Limits::default()
    };
    let backend = Disk::with(limits).await;
    let queue: &dyn Work = backend.queue();
    accept_one(queue).await;
    accept_one(queue).await;
    assert_eq!(
        queue.accept(new(call(FUNCTION))).await,
        Err(Error::FunctionFull(2))
    );
    accept(queue, call("g.openfaas-fn")).await;
    assert_eq!(
        queue.accept(new(call("h.openfaas-fn"))).await,
        Err(Error::Full(3))
    );
    take_one(queue).await;
    accept(queue, call("h.openfaas-fn")).await;
    assert_eq!(books(queue).await.accepted, 4);
}

#[tokio::test]
async fn what_was_kept_long_enough_is_forgotten() {
    let limits = Limits {
        result_ttl: Duration::from_millis(100),
        key_window: Duration::from_millis(100),
        ..Limits::default()
    };
    let backend = Disk::with(limits).await;
    let queue = backend.queue();
    let mut keyed = new(call(FUNCTION));
    keyed.call.keep_result = true;
    keyed.idempotency = Some([1; 32]);
    let id = queue.accept(keyed.clone()).await.unwrap().id;
    let taken = take_one(queue).await;
    assert!(settle(queue, &taken, Verdict::Succeeded, 200).await);
    until("it to be forgotten", async || {
        queue.status(id).await.unwrap().is_none()
    })
    .await;
    assert_eq!(queue.result(id).await.unwrap(), None);
    keyed.call.id = InvocationId::new();
    assert!(!queue.accept(keyed).await.unwrap().duplicate);
    assert_eq!(books(queue).await.succeeded, 1);
}
