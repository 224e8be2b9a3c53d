//! What the gateway does about replicas: wake a function that is called, and follow alerts.

mod alert;
mod from_zero;

pub(crate) use alert::{Alerts, follow};
pub(crate) use from_zero::FromZero;
