#![doc = include_str!("../README.md")]

mod changes;
mod config;
mod function;
mod image_map;
mod provider;
mod records;
pub mod sandbox;
mod service;
mod state_file;
mod usage;

pub use config::Config;
pub use provider::MemoryProvider;
pub use sandbox::Capabilities;
pub use service::{Error, MemoryService, Settings, reenter};
pub use state_file::Error as StateError;
