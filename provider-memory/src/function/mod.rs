//! One deployed function: its replicas, its log, and the one place that decides what runs.

mod arrivals;
mod duty;
mod launch;
mod log_book;
mod paused;
mod replica;
mod rest;
mod runner;
mod running;
mod scratch;
mod slots;

pub(crate) use launch::Launch;
pub(crate) use log_book::LogBook;
pub(crate) use paused::Paused;
pub(crate) use runner::{Runner, Tools};
pub(crate) use running::Running;
pub(crate) use scratch::Scratch;
