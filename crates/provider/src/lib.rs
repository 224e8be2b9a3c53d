#![doc = include_str!("../README.md")]

pub mod client;
mod decode;
pub mod endpoints;
mod error;
mod labels;
mod meter;
mod name;
mod provider;
pub mod quantity;
mod router;
mod validate;
mod wire;

pub use client::Client;
pub use decode::decode;
pub use endpoints::{Endpoint, EndpointTable, FunctionEndpoints, Publisher};
pub use error::{HOP_HEADER, Hop, ProviderError, refusal};
pub use labels::{
    ANNOTATION_PREFIX, FACTOR_LABEL, MAX_LABEL, MIN_LABEL, TIMEOUT_ANNOTATION, ZERO_LABEL,
    at_least_minimum, scale_label, timeout,
};
pub use meter::Meter;
pub use name::{FunctionName, FunctionPath, is_dns_label, is_secret_name};
pub use provider::{Health, LogStream, Provider};
pub use router::{BODY_LIMIT_BYTES, CALL_METHODS, Options, router};

pub use wire::*;
