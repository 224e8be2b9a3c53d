//! The side where calls are put in and asked after.

use async_nats::connection::State;
use async_trait::async_trait;

use super::Nats;
use super::message::DUE;
use super::publish::Draft;
use crate::queue::{
    Accepted, Books, CallStatus, DeadContent, DeadFilter, DeadLetter, Depth, NewCall, Queue,
};
use crate::{Answer, DeadId, Error, InvocationId, format};

#[async_trait]
impl Queue for Nats {
    async fn accept(&self, new: NewCall) -> Result<Accepted, Error> {
        let key = new.idempotency.map(|key| hex(&key));
        let secret = new.call.id;
        let mut envelope = format::encode_call(&new.call);
        let delayed = !new.delay.is_zero();
        let subject = match delayed {
            true => self.0.names.delayed_subject(),
            false => self.0.names.subject(&new.call.function),
        };
        if delayed {
            let after = u64::try_from(new.delay.as_millis()).unwrap_or(u64::MAX);
            envelope.push(DUE, self.now().saturating_add(after));
        }
        let mut draft = Draft {
            subject,
            id: key.unwrap_or_else(|| secret.to_string()),
            envelope,
        };
        let apart = self.make_fit(&mut draft).await?;
        let stored = self.publish(&draft).await;
        if apart && stored.as_ref().is_err_and(is_refusal) {
            self.drop_body(&draft.envelope).await;
        }
        let ack = stored?;
        let mut id = InvocationId::at(ack.sequence, delayed, secret);
        if ack.duplicate {
            // Where it is known nowhere any more nobody can be told of it by this id.
            let known = self.id_at(ack.sequence, delayed).await?;
            // It may be this very call, of whose storing nothing was heard.
            if apart && known.is_some_and(|known| known != id) {
                self.drop_body(&draft.envelope).await;
            }
            id = known.unwrap_or(id);
        } else if !delayed {
            self.wake("call", &new.call.function).await;
        }
        Ok(Accepted {
            id,
            duplicate: ack.duplicate,
        })
    }

    async fn status(&self, id: InvocationId) -> Result<Option<CallStatus>, Error> {
        self.status_of(id).await
    }

    async fn by_call_id(&self, call_id: &str) -> Result<Vec<CallStatus>, Error> {
        self.of_call_id(call_id).await
    }

    async fn result(&self, id: InvocationId) -> Result<Option<Answer>, Error> {
        self.result_of(id).await
    }

    async fn cancel(&self, id: InvocationId) -> Result<bool, Error> {
        self.cancel_call(id).await
    }

    async fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<DeadLetter>, Error> {
        self.letters(filter).await
    }

    async fn dead_letter(&self, id: DeadId) -> Result<Option<(DeadLetter, DeadContent)>, Error> {
        self.letter_with_content(id).await
    }

    async fn redrive(&self, id: DeadId) -> Result<Option<InvocationId>, Error> {
        self.put_letter_back(id).await
    }

    async fn purge(&self, id: DeadId) -> Result<bool, Error> {
        self.drop_letter(id).await
    }

    async fn books(&self) -> Result<Books, Error> {
        self.balance().await
    }

    async fn depths(&self) -> Result<Vec<Depth>, Error> {
        self.all_depths().await
    }

    fn name(&self) -> &str {
        &self.0.settings.queue
    }

    fn has(&self, queue: &str) -> bool {
        queue == self.0.settings.queue
    }

    fn trouble(&self) -> Option<String> {
        match self.0.client.connection_state() {
            State::Connected => self.wrong_with_streams(),
            _ => Some("there is no connection to NATS".to_owned()),
        }
    }
}

/// Whether nothing was stored for sure.
fn is_refusal(error: &Error) -> bool {
    !matches!(error, Error::Unavailable(_))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
