//! The provider as operators run it: its own program in a container on the functions' network of a real one-node swarm.
//!
//! The engine is the one that `.ci/engine` starts; without it every test here fails and says how to get it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;
mod certified;
mod engine_faults;
mod fault_proxy;
mod functions;
mod logs;
mod namespaces;
mod others;
mod problems;
mod registry;
mod secrets;
mod support;
mod swarm;
mod usage;
