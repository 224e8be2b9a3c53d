//! The ways to run a function. One room each.

pub(crate) mod classic;
