#![doc = include_str!("../README.md")]

pub mod auth;
pub mod cli;
mod closing;
pub mod duration;
pub mod env;
pub mod forward;
mod health;
pub mod http2;
mod linger;
pub mod metrics;
mod opening;
mod server;
pub mod shutdown;
pub mod telemetry;

pub use closing::close;
pub use linger::Lingering;
pub use opening::{Opening, Replayed};
pub use server::{PeerAddr, Server};
