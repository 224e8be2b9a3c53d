//! One connection that is kept from call to call.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use super::aim::{Aim, Call};
use super::tally::{Ended, Fault};
use crate::transport::chain;
use crate::wire::chunk;

/// Made when it is first needed, and anew when it was lost. A call that is given up takes it along.
pub(super) struct Connection {
    aim: Arc<Aim>,
    kept: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub(super) fn new(aim: Arc<Aim>) -> Self {
        Self { aim, kept: None }
    }

    /// Makes one call and reads its answer to the end.
    pub(super) async fn call(&mut self) -> Ended {
        let mut call = self.aim.call();
        if let Some(mut kept) = self.usable().await {
            match kept.try_send_request(call).await {
                Ok(answer) => return self.finish(kept, answer).await,
                // The other side had closed it before a byte went out: that is no failed call.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => call = unsent,
                    None => return broke_off(&error.into_error()),
                },
            }
        }
        self.call_anew(call).await
    }

    async fn usable(&mut self) -> Option<SendRequest<Full<Bytes>>> {
        let mut kept = self.kept.take()?;
        kept.ready().await.is_ok().then_some(kept)
    }

    async fn call_anew(&mut self, call: Call) -> Ended {
        let mut fresh = match self.aim.connect().await {
            Ok(fresh) => fresh,
            Err(error) => return Ended::Lost(Fault::NoConnection, chain(&*error)),
        };
        match fresh.send_request(call).await {
            Ok(answer) => self.finish(fresh, answer).await,
            Err(error) => broke_off(&error),
        }
    }

    async fn finish(&mut self, on: SendRequest<Full<Bytes>>, answer: Response<Incoming>) -> Ended {
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        loop {
            match chunk(&mut body).await {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return broke_off(&error),
            }
        }
        self.kept = Some(on);
        Ended::Answered(status)
    }
}

fn broke_off(error: &hyper::Error) -> Ended {
    Ended::Lost(Fault::BrokeOff, chain(error))
}
