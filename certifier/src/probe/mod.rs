//! The probe: a function that does as each call says. FUNCTIONS.md has its language.
//!
//! It is a program of its own that happens to live here: the checks know of it only what that page says, and anybody
//! may write another.

mod act;
mod answer;
mod counts;
mod server;
mod socket;
mod wish;

pub use server::serve;
