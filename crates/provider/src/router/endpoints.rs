//! An extension of ours: the table of endpoints as a stream, for a gateway in another process.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::header::CONTENT_TYPE;
use tokio::sync::watch;

use super::App;
use crate::endpoints::wire::{self, EndpointsRecord};
use crate::{EndpointTable, Provider};

/// How often an idle stream says that it lives: an empty line.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Every function, then `complete`, then each change as it comes: newline-delimited [`EndpointsRecord`]s, without end.
pub(super) async fn watch<P: Provider>(State(app): State<App<P>>) -> Response {
    let stop = app.options.stop.clone();
    let table = app.provider.endpoints();
    let records = futures_util::StreamExt::take_until(records(table), stop.cancelled_owned());
    (
        [(CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(records),
    )
        .into_response()
}

fn records(table: watch::Receiver<EndpointTable>) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(
        (table, EndpointTable::default(), true),
        |(mut table, sent, first)| async move {
            if !first {
                match tokio::time::timeout(HEARTBEAT, table.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return None,
                    Err(_) => return Some((Ok(Bytes::from_static(b"\n")), (table, sent, false))),
                }
            }
            let now = table.borrow_and_update().clone();
            let mut text = Vec::new();
            for (name, entry) in sent.changes(&now) {
                wire::write(&mut text, &EndpointsRecord::of(&name, entry.as_deref()));
            }
            if now.complete && !sent.complete {
                wire::write(&mut text, &EndpointsRecord::complete());
            }
            Some((Ok(Bytes::from(text)), (table, now, false)))
        },
    )
}
