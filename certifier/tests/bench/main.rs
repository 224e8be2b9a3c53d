//! The open-loop load, against servers whose behaviour is known.
#![allow(clippy::unwrap_used, clippy::panic, clippy::result_large_err)]

mod counts;
mod shown;
mod upstream;
