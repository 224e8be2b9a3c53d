#![doc = include_str!("../README.md")]

mod attempt;
mod bodies;
mod call;
mod callbacks;
mod config;
mod dispatch;
mod fair;
mod gate;
mod held;
mod hosts;
mod limit;
mod metrics;
mod permitted;
mod post;
mod retry_after;
mod service;
mod worker;

pub use config::{Codes, Config, Growth, Waits};
pub use permitted::Networks;
pub use service::Service;
pub use worker::{StartError, Worker};
