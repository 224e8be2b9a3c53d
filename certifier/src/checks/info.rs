//! What the platform says of itself.

use serde_json::Value;

use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::Answer;
use crate::rule::{Group, Level};
use crate::target::Target;

const FAMILY: Family = Family::new(Group::Info, Level::Core, "original suite, ProviderInfo");

pub(super) fn checks() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "info.provider",
                "GET /system/info names the provider, its orchestration, release and commit, \
             none of them empty.",
                names_the_provider,
            )
            .source("original suite, ProviderInfo; provider SDK, ProviderInfo")
            .case("5.4"),
        FAMILY
            .check(
                "info.gateway-version",
                "Through a gateway, GET /system/info also gives the gateway's own release and \
             commit.",
                names_the_gateway,
            )
            .case("5.4")
            .only_through_gateway(),
    ]
}

/// A provider speaks of itself; a gateway puts that under `provider`.
async fn names_the_provider(target: Target) -> Outcome {
    let prefix = match target.options().entry.is_gateway() {
        true => "/provider",
        false => "",
    };
    let fields = [
        "/provider",
        "/orchestration",
        "/version/release",
        "/version/sha",
    ];
    filled(
        &info(&target).await?,
        &fields.map(|field| format!("{prefix}{field}")),
    )
}

async fn names_the_gateway(target: Target) -> Outcome {
    let fields = ["/version/release", "/version/sha"].map(str::to_owned);
    filled(&info(&target).await?, &fields)
}

async fn info(target: &Target) -> Outcome<Answer> {
    target.get("/system/info").await?.with_status(&[200])
}

/// Every one of these places (RFC 6901) holds a text that is not empty.
fn filled(answer: &Answer, places: &[String]) -> Outcome {
    let info = answer.json()?;
    for place in places {
        match info.pointer(place) {
            Some(Value::String(text)) if !text.is_empty() => {}
            got => {
                let got = got.map_or("nothing".to_owned(), Value::to_string);
                return Err(answer.fault(format!("a text at {place} that is not empty"), got));
            }
        }
    }
    Ok(())
}
