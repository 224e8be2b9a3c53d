//! A redirect is the caller's business.

use hyper::Method;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::{Failure, Outcome};
use crate::rule::{Group, Level};
use crate::target::Target;

const FAMILY: Family = Family::new(
    Group::Invoke,
    Level::Core,
    "original suite, Invoke; gateways follow no redirect since October 2018",
);

/// Resolves nowhere (RFC 6761, section 6.4), so a platform that follows it goes nowhere either.
const DESTINATION: &str = "http://redirect.invalid/landing";

pub(super) fn checks() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "call.redirect-not-followed",
                "A function's 302 reaches the caller, with the Location that the function \
             gave.",
                passes_the_redirect_on,
            )
            .case("5.6")
            .needs(&[Capability::Redirector])
            .everywhere(),
    ]
}

async fn passes_the_redirect_on(target: Target) -> Outcome {
    let Some(redirector) = &target.options().redirector else {
        return Err(Failure::new("a function that redirects", "none was given"));
    };
    target
        .have_function("redirector", redirector, &[("destination", DESTINATION)])
        .await?;
    let call = target.call(Method::POST, "redirector", "").body("a body");
    let answer = target.call_until(&call, 302).await?;
    match answer.header("location") {
        DESTINATION => Ok(()),
        other => {
            let got = format!("Location: {other}");
            Err(answer.fault(format!("Location: {DESTINATION}"), got))
        }
    }
}
