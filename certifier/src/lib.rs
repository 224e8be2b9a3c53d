#![doc = include_str!("../README.md")]

mod check;
mod checks;
mod clean_up;
mod failure;
mod http;
mod options;
mod plan;
mod platform;
mod report;
mod run;
mod target;
mod view;
mod wait;

pub use check::Rule;
pub use failure::Failure;
pub use options::{Credentials, Entry, Options, Redirector};
pub use plan::rules;
pub use report::{Line, Report, Verdict};
pub use run::{run, run_until};
