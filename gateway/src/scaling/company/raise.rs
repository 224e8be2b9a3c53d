//! Having the gateway that decides raise a function's replicas: so no two of them ask for different numbers at once.

use std::time::Duration;

use async_nats::{Message, Subscriber};
use faas_provider::FunctionName;
use futures_util::StreamExt;
use tokio::time::timeout;

use super::Company;
use super::words::{Raise, Raised, subject};
use crate::scaling::raise::Refusal;

/// How long the one that decides has to say that it does it. Calls wait for it.
const TAKES_IT: Duration = Duration::from_millis(250);
/// How long it then has to say what came of it: longer than it waits for the provider.
const DOES_IT: Duration = Duration::from_secs(45);

impl Company {
    /// Has the gateway that decides see to so many replicas at least. None where there is none, or it is this one, or it does
    /// not say that it does it.
    pub(in crate::scaling) async fn have_raised(
        &self,
        name: &FunctionName,
        replicas: u64,
    ) -> Option<Result<(), Refusal>> {
        let leader = self.leader().filter(|leader| *leader != self.id)?;
        let is_gone = self.is_in_touch() && !self.there().contains(&leader);
        let mut words = match is_gone {
            true => return None,
            false => self.ask_to_raise(&leader, name, replicas).await?,
        };
        timeout(TAKES_IT, words.next()).await.ok()??;
        let done = timeout(DOES_IT, words.next()).await.ok().flatten();
        Some(said(done))
    }

    async fn ask_to_raise(
        &self,
        leader: &str,
        name: &FunctionName,
        replicas: u64,
    ) -> Option<Subscriber> {
        let raise = Raise {
            function: name.as_str().to_owned(),
            replicas,
        };
        let (inbox, body) = (self.client.new_inbox(), self.body(&raise)?);
        let words = self.client.subscribe(inbox.clone()).await.ok()?;
        let subject = subject("raise", leader);
        let asked = self.client.publish_with_reply(subject, inbox, body);
        timeout(TAKES_IT, asked).await.ok()?.ok()?;
        Some(words)
    }
}

fn said(done: Option<Message>) -> Result<(), Refusal> {
    let done = done.and_then(|word| serde_json::from_slice::<Raised>(&word.payload).ok());
    let done = done.unwrap_or_else(|| Raised {
        failure: Some("the gateway that decides does not answer".to_owned()),
        is_final: false,
    });
    match done.failure {
        None => Ok(()),
        Some(words) => Err(Refusal {
            words,
            is_final: done.is_final,
        }),
    }
}
