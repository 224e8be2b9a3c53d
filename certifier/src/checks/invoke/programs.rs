//! The programs that functions run.

use hyper::Method;
use serde_json::json;

use super::has_line;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::rule::{Group, Level};
use crate::target::{Sample, Target};

const FROM: Family = Family::new(
    Group::Errors,
    Level::Standard,
    "the original's classic watchdog",
);

/// Ends with another status than 0: there is no such file.
const FAILING: Sample = Sample {
    name: "failing",
    process: "cat /certified/not-there",
    more: || json!({}),
};

pub(super) fn checks() -> Vec<Check> {
    vec![
        FROM.check(
            "errors.failing-process",
            "A call whose process ends with another status than 0 is answered 500.",
            tells_of_failure,
        ),
        FROM.check(
            "invoke.fprocess-wins",
            "Where both envProcess and the variable fprocess say what to run, the variable wins, and both are read back.",
            prefers_the_variable,
        )
        .group(Group::Invoke)
        .case("D9"),
    ]
}

async fn tells_of_failure(target: Target) -> Outcome {
    target.have_sample(&FAILING).await?;
    let call = target.call(Method::POST, FAILING.name, "").body("x");
    target.call_until(&call, 500).await?;
    Ok(())
}

async fn prefers_the_variable(target: Target) -> Outcome {
    let variables = json!({"envVars": {"fprocess": "env"}});
    target.have("two-processes", "cat", variables).await?;
    let view = target.view("two-processes").await?;
    view.equal("envProcess", &json!("cat"))?;
    view.has_entries("envVars", &json!({"fprocess": "env"}))?;
    let call = target.call(Method::POST, "two-processes", "").body("x");
    let answer = target.call_until(&call, 200).await?;
    has_line(&answer, "Http_Method=POST")
}
