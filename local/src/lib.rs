#![doc = include_str!("../README.md")]

mod banner;
mod config;
mod stack;

pub use banner::banner;
pub use config::Config;
pub use faas_provider_memory::reenter;
pub use stack::Stack;
