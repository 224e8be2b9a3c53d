//! One deployed function: its replicas, its log, and the one place that decides what runs.

mod launch;
mod log_book;
mod replica;
mod runner;
mod running;
mod scratch;
mod slots;

pub(crate) use launch::Launch;
pub(crate) use log_book::LogBook;
pub(crate) use runner::{Runner, Tools};
pub(crate) use running::Running;
pub(crate) use scratch::Scratch;
