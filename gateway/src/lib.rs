#![doc = include_str!("../README.md")]

mod body;
mod call_id;
mod config;
pub mod endpoints;
mod error;
mod gateway;
mod guard;
mod handlers;
mod json;
mod metrics;
mod name;
mod provider;
mod queues;
mod routes;
mod scaling;
mod wish;

pub use config::Config;
pub use endpoints::Endpoints;
pub use error::StartError;
pub use gateway::{Addresses, Gateway, Parts};
pub use scaling::Autoscaler;
