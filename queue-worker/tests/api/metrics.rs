//! The series, by the names that dashboards know.

use crate::support::{Reply, Room, until};

#[tokio::test]
async fn what_happens_is_counted_under_the_originals_names() {
    let room = Room::with(|config| config.max_retry_attempts = 1).await;
    room.stage.always("bad", Reply::status(500));
    for function in ["good", "good", "bad"] {
        let id = room.post(function).await;
        room.ended(id).await;
    }
    room.stage.always("slow", Reply::Hold);
    room.post("slow").await;
    room.stage.holds(1).await;
    let queue = "queue_name=\"faas-request\"";
    for (series, labels, value) in [
        ("queue_worker_messages_processed_total", vec![queue], 3.0),
        ("queue_worker_messages_submitted_total", vec![queue], 4.0),
        (
            "queue_worker_function_invocation_inflight",
            vec![queue, "slow.openfaas-fn"],
            1.0,
        ),
        (
            "queue_worker_pending_messages",
            vec![queue, "slow.openfaas-fn"],
            0.0,
        ),
        (
            "queue_worker_ack_pending",
            vec![queue, "slow.openfaas-fn"],
            1.0,
        ),
        (
            "queue_worker_retries_total",
            vec!["bad.openfaas-fn", "code=\"500\""],
            1.0,
        ),
        (
            "queue_worker_dead_letter_total",
            vec!["bad.openfaas-fn", "reason=\"retries_exhausted\""],
            1.0,
        ),
        ("queue_worker_queue_latency_seconds_count", vec![], 3.0),
        ("queue_worker_ledger_drift", vec![], 0.0),
    ] {
        until(&format!("{series} {labels:?} to be {value}"), async || {
            room.sample(series, &labels) == Some(value)
        })
        .await;
    }
}
