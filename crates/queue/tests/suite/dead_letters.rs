//! Dead letters: listed, shown, put back, dropped.

use faas_queue::{
    DeadContent, DeadFilter, DeadId, InvocationId, QueuedCall, Reason, State, Verdict, Work,
};

use crate::support::*;

of_every_backend!(
    they_are_listed_by_function_and_reason_and_page_by_page,
    one_is_shown_with_its_call_also_after_the_end_of_the_process,
    one_that_is_put_back_is_a_new_call,
    one_that_is_dropped_is_gone,
    one_that_does_not_exist,
);

async fn die(queue: &dyn Work, function: &str, reason: Reason, status: u16) -> QueuedCall {
    let call = accept(queue, call(function)).await;
    let taken = take(queue, function, 1).await.remove(0);
    assert!(settle(queue, &taken, Verdict::Dead(reason), status).await);
    assert_eq!(state(queue, call.id).await, State::Dead);
    call
}

async fn list(queue: &dyn Work, filter: &DeadFilter) -> Vec<InvocationId> {
    let letters = queue.dead_letters(filter).await.unwrap();
    let id = |id| match id {
        DeadId::Call(id) | DeadId::Callback(id) => id,
    };
    letters.into_iter().map(|letter| id(letter.id)).collect()
}

async fn they_are_listed_by_function_and_reason_and_page_by_page(backend: impl Backend) {
    let queue = backend.queue();
    let first = die(queue, FUNCTION, Reason::Http(400), 400).await.id;
    let second = die(queue, FUNCTION, Reason::Expired, 504).await.id;
    let third = die(queue, "g.openfaas-fn", Reason::Expired, 504).await.id;
    let all = DeadFilter {
        most: 9,
        ..DeadFilter::default()
    };
    assert_eq!(list(queue, &all).await, [first, second, third]);
    let of_function = DeadFilter {
        function: Some(FUNCTION.into()),
        ..all.clone()
    };
    assert_eq!(list(queue, &of_function).await, [first, second]);
    let expired = DeadFilter {
        reason: Some("expired".into()),
        ..all.clone()
    };
    assert_eq!(list(queue, &expired).await, [second, third]);
    let page = DeadFilter {
        most: 2,
        ..all.clone()
    };
    assert_eq!(list(queue, &page).await, [first, second]);
    let next = DeadFilter {
        after: Some(DeadId::Call(second)),
        ..page
    };
    assert_eq!(list(queue, &next).await, [third]);
}

async fn one_is_shown_with_its_call_also_after_the_end_of_the_process(mut backend: impl Backend) {
    let call = die(backend.queue(), FUNCTION, Reason::RetriesExhausted, 500).await;
    backend.restart().await;
    let shown = backend
        .queue()
        .dead_letter(DeadId::Call(call.id))
        .await
        .unwrap();
    let (letter, content) = shown.unwrap();
    assert_eq!(
        (letter.reason.as_str(), letter.last_status),
        ("retries_exhausted", Some(500))
    );
    assert_eq!(
        (letter.function.as_str(), letter.call_id.as_str()),
        (FUNCTION, "c-1")
    );
    assert_eq!(content, DeadContent::Call(Box::new(call)));
}

async fn one_that_is_put_back_is_a_new_call(backend: impl Backend) {
    let queue = backend.queue();
    let call = die(queue, FUNCTION, Reason::RetriesExhausted, 500).await;
    let id = DeadId::Call(call.id);
    let again = queue.redrive(id).await.unwrap().unwrap();
    assert_ne!(again, call.id);
    assert_eq!(queue.redrive(id).await.unwrap(), None);
    let taken = take_one(queue).await;
    assert_eq!((taken.id, taken.delivery, taken.failures), (again, 1, 0));
    let made = taken.call().unwrap();
    assert_eq!(
        (made.body, made.path, made.headers),
        (call.body, call.path, call.headers)
    );
    let books = books(queue).await;
    assert_eq!((books.accepted, books.dead, books.running), (2, 1, 1));
}

async fn one_that_is_dropped_is_gone(backend: impl Backend) {
    let queue = backend.queue();
    let id = DeadId::Call(die(queue, FUNCTION, Reason::Expired, 504).await.id);
    assert!(queue.purge(id).await.unwrap());
    assert!(!queue.purge(id).await.unwrap());
    assert_eq!(queue.dead_letter(id).await.unwrap(), None);
    assert_eq!(books(queue).await.dead, 1);
}

async fn one_that_does_not_exist(backend: impl Backend) {
    let queue = backend.queue();
    for id in [
        DeadId::Call(InvocationId::new()),
        DeadId::Callback(InvocationId::new()),
    ] {
        assert_eq!(queue.dead_letter(id).await.unwrap(), None);
        assert_eq!(queue.redrive(id).await.unwrap(), None);
        assert!(!queue.purge(id).await.unwrap());
    }
    let living = accept_one(queue).await.id;
    assert_eq!(queue.redrive(DeadId::Call(living)).await.unwrap(), None);
    assert!(!queue.purge(DeadId::Call(living)).await.unwrap());
    assert_eq!(state(queue, living).await, State::Queued);
}
