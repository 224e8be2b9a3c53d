//! The public health endpoint.

use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::rule::{Group, Level};
use crate::target::Target;

const FAMILY: Family = Family::new(Group::Health, Level::Core, "original suite, HealthEndpoint");

pub(super) fn checks() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "health.ok",
                "GET /healthz answers 200 while the platform is in order.",
                healthy,
            )
            .case("5.3"),
    ]
}

async fn healthy(target: Target) -> Outcome {
    target.get("/healthz").await?.with_status(&[200])?;
    Ok(())
}
