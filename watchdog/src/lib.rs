#![doc = include_str!("../README.md")]

#[macro_use]
mod log;

mod access;
mod access_log;
mod alarm;
mod answer;
mod command_line;
mod config;
mod connection;
mod environment;
mod flags;
mod go_text;
mod hang_up;
mod health;
mod jwt;
mod lines;
mod metrics;
mod modes;
mod places;
mod process;
mod request;
mod routes;
mod server;
mod sniff;
mod spool;
mod watchdog;
mod workers;

pub use command_line::command_line;
pub use config::{Config, ConfigError, Inherited, JwtAuth, Limit, Mode, VARIABLES, Variable};
pub use watchdog::{Error, Watchdog};
