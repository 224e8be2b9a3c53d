//! Listening to the other gateways.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use faas_provider::{EndpointTable, FunctionName};
use faas_scaling::alert::Limits;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Company;
use super::words::{ALL, Alert, Fall, Named, Raise, Raised, Rise, Stats, parts};
use crate::scaling::{Autoscaler, Scaler};

/// Until it is tried again to listen.
const PAUSE: Duration = Duration::from_secs(1);

impl Scaler {
    /// Listens to the others, where there may be any, and stands for the lease until `stop`. Ends never, where there may be.
    pub(in crate::scaling) async fn keep_company(self: Arc<Self>, stop: CancellationToken) {
        let Some(company) = &self.company else {
            return;
        };
        let stand = async {
            if self.policy.autoscaler == Autoscaler::Native {
                stop.run_until_cancelled(company.stand()).await;
                company.resign().await;
            }
        };
        tokio::join!(self.listen(company), stand);
    }

    async fn listen(self: &Arc<Self>, company: &Arc<Company>) {
        loop {
            match company.client.subscribe(ALL).await {
                Ok(mut words) => {
                    company.tell(&[]).await;
                    // One after the other, in the order in which they were said.
                    while let Some(word) = words.next().await {
                        self.hear(company, word).await;
                    }
                }
                Err(error) => tracing::warn!(%error, "the other gateways cannot be heard"),
            }
            sleep(PAUSE).await;
        }
    }

    /// What is no word that we know, or makes no sense, is passed over.
    async fn hear(self: &Arc<Self>, company: &Arc<Company>, word: Message) {
        let Some((kind, gateway)) = parts(&word.subject) else {
            return;
        };
        match (kind, gateway == company.id) {
            ("stats", true) => company.hear_itself(),
            ("stats", false) => self.hear_stats(company, gateway, &word),
            ("bye", false) => company.peers().leave(gateway),
            ("rise", false) => {
                if let Some(rise) = read(&word) {
                    self.rises(company, gateway, &rise);
                }
            }
            ("alert", false) => self.hear_alert(&word),
            ("fall", true) => {
                let agrees = self.agrees_to_fall(company, &word);
                if let Some(to) = word.reply {
                    company.answer(to, &agrees).await;
                }
            }
            // The provider may take its time.
            ("raise", true) => {
                tokio::spawn(Arc::clone(self).raise_for(Arc::clone(company), word));
            }
            ("why", true) => {
                let why = self.told_why(&word);
                if let Some(to) = word.reply {
                    company.answer(to, &why).await;
                }
            }
            _ => {}
        }
    }

    fn hear_stats(&self, company: &Company, gateway: &str, word: &Message) {
        let Some(stats) = read::<Stats>(word) else {
            return;
        };
        let table = self.table();
        let reports = stats.reports();
        let known = reports.filter(|(name, _)| table.get(name).is_some());
        company.peers().hear(company.now(), gateway, known);
    }

    /// An alert that another gateway was told of, and has followed where it is to be followed at once.
    fn hear_alert(&self, word: &Message) {
        let Some(alert) = read::<Alert>(word) else {
            return;
        };
        let now = self.now();
        if let Some(scaled) = self.functions().get_mut(alert.function.as_str()) {
            let limits: Limits = scaled.settings.limits;
            scaled.alert(now, alert.firing, alert.current, limits, false);
        }
    }

    fn agrees_to_fall(&self, company: &Company, word: &Message) -> bool {
        let Some(fall) = read::<Fall>(word) else {
            return false;
        };
        match known(&self.table(), &fall.function) {
            Some(name) => company.hold_back(&fall, &self.meter(&name)),
            None => false,
        }
    }

    /// Lets calls go that were held back, once they see what has become of their function.
    fn rises(self: &Arc<Self>, company: &Company, gateway: &str, rise: &Rise) {
        let Some(held) = company.let_go(gateway, &rise.function) else {
            return;
        };
        if let Some(name) = known(&self.table(), &rise.function).filter(|_| rise.sleeps) {
            let scaler = Arc::clone(self);
            tokio::spawn(async move {
                scaler.settles_here(&name).await;
                drop(held);
            });
        }
    }

    async fn raise_for(self: Arc<Self>, company: Arc<Company>, word: Message) {
        let (Some(raise), Some(to)) = (read::<Raise>(&word), word.reply) else {
            return;
        };
        let Some(name) = known(&self.table(), &raise.function).filter(|_| self.leads()) else {
            return;
        };
        company.answer(to.clone(), &true).await;
        let done = match self.raiser.raise_here(&name, raise.replicas).await {
            Ok(()) => Raised::default(),
            Err(refusal) => Raised {
                failure: Some(refusal.words),
                is_final: refusal.is_final,
            },
        };
        company.answer(to, &done).await;
    }

    fn told_why(&self, word: &Message) -> Option<Value> {
        let Named { function } = read(word)?;
        self.why(&known(&self.table(), &function)?)
    }
}

fn known(table: &EndpointTable, function: &str) -> Option<FunctionName> {
    let known = table.functions.get_key_value(function)?;
    Some(known.0.clone())
}

fn read<T: DeserializeOwned>(word: &Message) -> Option<T> {
    let read = serde_json::from_slice(&word.payload);
    read.inspect_err(|error| tracing::debug!(subject = %word.subject, %error, "a word of another gateway makes no sense"))
        .ok()
}
