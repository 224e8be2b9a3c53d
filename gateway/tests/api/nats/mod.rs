//! Several gateways, each a process of its own, that scale together over a NATS server. Needs `nats-server`.

mod faults;
mod gateways;
mod leader;
#[path = "../../../../crates/queue/tests/nats/proxy.rs"]
#[allow(dead_code, reason = "another suite uses all of it")]
mod proxy;
#[path = "../../../../crates/queue/tests/nats/server.rs"]
#[allow(dead_code, reason = "another suite uses all of it")]
mod server;
mod zero;
