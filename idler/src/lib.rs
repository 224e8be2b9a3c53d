#![doc = include_str!("../README.md")]

mod config;
mod idler;
mod metrics;
mod prometheus;
mod seen;
mod service;

pub use config::Config;
pub use idler::{Idler, StartError};
pub use service::Service;
