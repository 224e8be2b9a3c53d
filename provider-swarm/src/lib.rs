#![doc = include_str!("../README.md")]

mod config;
mod engine;
mod logs;
mod names;
mod namespaces;
mod network;
mod provider;
mod record;
mod registry;
mod secrets;
mod service;
mod services;
mod spec;
mod usage;
mod watch;

pub use config::Config;
pub use engine::{ApiVersion, DockerHost};
pub use service::{Error, SwarmService};
