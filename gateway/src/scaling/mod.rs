//! What the gateway does about replicas: measure, decide, ask for them; wake a function that is called; follow alerts.

mod alert;
mod company;
mod cpu;
mod from_zero;
mod meter;
mod policy;
mod queued;
mod raise;
mod scaled;
mod scaler;
mod series;
mod slots;
mod together;
mod why;

pub(crate) use alert::{Alerts, follow};
pub(crate) use company::Company;
pub(crate) use from_zero::FromZero;
pub(crate) use meter::{Arrived, Meter};
pub use policy::Autoscaler;
pub(crate) use policy::Policy;
pub(crate) use raise::Raiser;
pub(crate) use scaler::Scaler;
pub(crate) use slots::{NoSlot, Slot, Slots, slots};
