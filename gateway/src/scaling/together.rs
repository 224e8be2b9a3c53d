//! What the scaler does together with those of other gateways, where there may be any.

use std::sync::PoisonError;
use std::time::Duration;

use faas_provider::FunctionName;
use faas_scaling::lease::Role;
use tokio::time::Instant;

use super::Autoscaler;
use super::company::Agreement;
use super::meter::{Falling, Now};
use super::raise::Refusal;
use super::scaler::Scaler;

/// Holds back calls of a function, here and at the other gateways.
#[derive(Default)]
pub(crate) struct Held {
    _falling: Option<Falling>,
    agreement: Option<Agreement>,
}

impl Held {
    /// The provider has said that the function sleeps.
    pub(crate) fn sleeps(&mut self) {
        if let Some(agreement) = &mut self.agreement {
            agreement.sleeps = true;
        }
    }
}

impl Scaler {
    /// What this gateway has to do about decisions: all of it where there can be no other.
    pub(super) fn role(&self) -> Role {
        let company = self.company.as_ref();
        company.map_or(Role::Leads, |company| company.role())
    }

    /// Whether it decides, for all gateways.
    pub(super) fn leads(&self) -> bool {
        self.policy.autoscaler == Autoscaler::Native && self.role() == Role::Leads
    }

    /// Whether this gateway may have the provider asked for these replicas, at this moment.
    pub(super) fn may_ask(&self, from: u64, to: u64) -> bool {
        match self.role() {
            Role::Leads => true,
            Role::Follows => false,
            // What nobody sees but this gateway it may not take away.
            Role::CutOff => to > from,
        }
    }

    /// Asks the provider. One that does not hear the others may be behind in everything: it looks first, and only raises.
    pub(super) async fn ask(&self, name: &FunctionName, replicas: u64) -> Result<(), Refusal> {
        match self.role() {
            Role::CutOff => self.raiser.raise_here(name, replicas).await,
            Role::Leads | Role::Follows => Ok(self.client.scale(name, replicas).await?),
        }
    }

    /// Whether it led when it was asked last.
    pub(super) fn led_before(&self, role: Role) -> bool {
        let mut led = self.led.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *led, role == Role::Leads)
    }

    /// Calls of a function that wait or are in flight, and when one began or ended last, at all gateways.
    pub(super) fn called(&self, name: &FunctionName) -> (Now, Option<Duration>) {
        let meter = self.metrics.meter(name);
        let mut calls = meter.map(|meter| meter.now()).unwrap_or_default();
        let since = |used: Instant| used.saturating_duration_since(self.began);
        let mut used = calls.used.map(since);
        if let Some(company) = &self.company {
            calls.calls += company.calls(name);
            used = used.max(company.used(name));
        }
        (calls, used)
    }

    /// Has calls of a function held back at the other gateways too. None where one of them has some.
    pub(super) async fn hold_back(
        &self,
        name: &FunctionName,
        falling: Option<Falling>,
        idle: Duration,
    ) -> Option<Held> {
        let mut held = Held {
            _falling: falling,
            agreement: None,
        };
        if let Some(company) = &self.company {
            held.agreement = Some(company.all_fall(name, idle).await?);
        }
        Some(held)
    }

    /// Tells the other gateways of an alert, so that whichever decides knows of it.
    pub(super) async fn tell_of_alert(&self, name: &FunctionName, firing: bool, current: u64) {
        if let Some(company) = &self.company {
            company.tell_of_alert(name, firing, current).await;
        }
    }

    /// Tells the other gateways that a function is called which is being put to sleep.
    pub(crate) async fn tell_of_calls(&self, name: &FunctionName) {
        if let Some(company) = &self.company {
            company
                .tell_of_calls(name, self.meter(name).now().calls)
                .await;
        }
    }

    /// Takes leave of the other gateways, where there may be any.
    pub(crate) async fn leave(&self) {
        if let Some(company) = &self.company {
            company.leave().await;
        }
    }
}
