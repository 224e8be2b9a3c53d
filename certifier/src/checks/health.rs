//! The public health endpoint.

use crate::check::{Check, Rule};
use crate::failure::Outcome;
use crate::target::Target;

pub(super) fn checks() -> Vec<Check> {
    let ok = Rule {
        id: "health.ok",
        says: "GET /healthz answers 200 while the platform is in order.",
        source: "original suite, HealthEndpoint",
    };
    vec![Check::new(ok, healthy)]
}

async fn healthy(target: Target) -> Outcome {
    target.get("/healthz").await?.with_status(&[200])?;
    Ok(())
}
