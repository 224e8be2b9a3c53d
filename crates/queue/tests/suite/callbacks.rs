//! Callbacks: work of their own, that outlives the call.

use std::time::Duration;

use faas_queue::{CallbackVerdict, DeadContent, DeadFilter, DeadId, Reason, Verdict, Work};

use crate::support::*;

of_every_backend!(
    an_end_leaves_a_callback_behind,
    a_callback_survives_the_end_of_the_process,
    a_callback_is_tried_again_and_dies_in_the_end,
    a_cancelled_call_is_called_back_too,
);

async fn ended(queue: &dyn Work, verdict: Verdict, status: u16) -> faas_queue::QueuedCall {
    let mut wanted = call(FUNCTION);
    wanted.callback_url = Some("http://sink/done".into());
    let call = accept(queue, wanted).await;
    let taken = take_one(queue).await;
    assert!(settle(queue, &taken, verdict, status).await);
    call
}

async fn an_end_leaves_a_callback_behind(backend: impl Backend) {
    let queue = backend.queue();
    for (verdict, status) in [
        (Verdict::Succeeded, 200),
        (Verdict::Dead(Reason::Http(400)), 400),
        (Verdict::Failed, 400),
    ] {
        let call = ended(queue, verdict, status).await;
        let taken = take_callback(queue).await;
        assert_eq!((taken.callback.id, taken.tries), (call.id, 0));
        assert_eq!(
            (taken.callback.url.as_str(), taken.callback.took_micros),
            ("http://sink/done", 12_000)
        );
        assert_eq!(taken.callback.answer, answer(status));
        assert!(queue.take_callbacks(9).await.unwrap().is_empty());
        queue
            .settle_callback(&taken, CallbackVerdict::Done)
            .await
            .unwrap();
        assert_eq!(queue.callbacks().await.unwrap(), 0);
    }
}

async fn a_callback_survives_the_end_of_the_process(mut backend: impl Backend) {
    let call = ended(backend.queue(), Verdict::Succeeded, 200).await;
    take_callback(backend.queue()).await;
    backend.restart().await;
    assert_eq!(take_callback(backend.queue()).await.callback.id, call.id);
}

async fn a_callback_is_tried_again_and_dies_in_the_end(backend: impl Backend) {
    let queue = backend.queue();
    let call = ended(queue, Verdict::Succeeded, 200).await;
    for (tried, tries) in [(true, 1), (false, 1), (true, 2)] {
        let taken = take_callback(queue).await;
        assert_eq!(taken.tries, tries - u32::from(tried));
        let after = Duration::from_millis(50);
        let again = CallbackVerdict::Again { after, tried };
        queue.settle_callback(&taken, again).await.unwrap();
        assert!(queue.take_callbacks(1).await.unwrap().is_empty());
    }
    let taken = take_callback(queue).await;
    queue
        .settle_callback(&taken, CallbackVerdict::Dead)
        .await
        .unwrap();

    let id = DeadId::Callback(call.id);
    let filter = DeadFilter {
        most: 9,
        ..DeadFilter::default()
    };
    let letters = queue.dead_letters(&filter).await.unwrap();
    assert_eq!(
        (letters.len(), letters[0].id, letters[0].reason.as_str()),
        (1, id, "callback_failed")
    );
    let (_, content) = queue.dead_letter(id).await.unwrap().unwrap();
    assert!(matches!(content, DeadContent::Callback(callback) if callback.answer == answer(200)));
    assert_eq!(queue.redrive(id).await.unwrap(), Some(call.id));
    assert_eq!(take_callback(queue).await.tries, 0);
    assert_eq!(books(queue).await.accepted, 1);
}

async fn a_cancelled_call_is_called_back_too(backend: impl Backend) {
    let queue = backend.queue();
    let mut wanted = call(FUNCTION);
    wanted.callback_url = Some("http://sink/done".into());
    let id = accept(queue, wanted).await.id;
    assert!(queue.cancel(id).await.unwrap());
    let taken = take_callback(queue).await;
    assert_eq!((taken.callback.id, taken.callback.answer.status), (id, 499));
}
