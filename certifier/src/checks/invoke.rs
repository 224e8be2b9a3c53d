//! Calling functions: what the original suite asks for, and in the files below what it does not.

mod bodies;
mod crowds;
mod failures;
mod framing;
mod headers;
mod methods;
mod names;
mod paths;
mod programs;
mod seen;
mod streams;

use hyper::Method;
use serde_json::json;

use crate::check::{Check, Family};
use crate::failure::{Failure, Outcome};
use crate::http::Answer;
use crate::rule::{Group, Level};
use crate::target::{Sample, Target};

const FROM: Family = Family::new(Group::Invoke, Level::Core, "original suite, Invoke");

const UNKNOWN: Family = Family::new(
    Group::Invoke,
    Level::Core,
    "original suite, InvokeNotFound; the provider SDK itself gives 503",
);

/// Answers with its environment, and so with what the watchdog says about the request.
const ENV: Sample = Sample {
    name: "env",
    process: "env",
    more: || json!({"envVars": {"custom_env": "custom_env_value"}}),
};

const ECHO: Sample = Sample {
    name: "echo",
    process: "cat",
    more: || json!({}),
};

pub(super) fn checks() -> Vec<Check> {
    let subjects = [methods(), contents(), correlation(), unknown()];
    let checks = subjects.into_iter().flatten().map(Check::everywhere);
    let further = [
        names::checks(),
        methods::checks(),
        paths::checks(),
        programs::checks(),
        headers::checks(),
        bodies::checks(),
        streams::checks(),
        failures::checks(),
        framing::checks(),
        crowds::checks(),
    ];
    checks.chain(further.into_iter().flatten()).collect()
}

fn methods() -> Vec<Check> {
    let check = |id, says, method: Method| {
        FROM.check(id, says, move |target| arrives(target, method.clone()))
            .group(Group::Methods)
            .case("5.6")
    };
    vec![
        check(
            "call.get",
            "A GET reaches the function as a GET.",
            Method::GET,
        ),
        check(
            "call.post",
            "A POST with a body reaches the function as a POST.",
            Method::POST,
        ),
        check(
            "call.put",
            "A PUT with a body reaches the function as a PUT.",
            Method::PUT,
        ),
        check(
            "call.patch",
            "A PATCH with a body reaches the function as a PATCH.",
            Method::PATCH,
        ),
        check(
            "call.delete",
            "A DELETE reaches the function as a DELETE.",
            Method::DELETE,
        ),
    ]
}

fn contents() -> Vec<Check> {
    vec![
        FROM.check(
            "call.env-value",
            "The function's process sees a deployed variable with its value.",
            sees_the_variable,
        )
        .case("5.6"),
        FROM.check(
            "call.query",
            "The query string reaches the function unchanged.",
            sees_the_query,
        )
        .group(Group::Path)
        .case("5.6"),
        FROM.check(
            "call.body-exact",
            "A body of all 256 byte values is passed to the function and back, byte for \
             byte.",
            echoes_every_byte,
        )
        .group(Group::Bodies)
        .case("5.6"),
    ]
}

fn correlation() -> Vec<Check> {
    vec![
        FROM.check(
            "call.call-id",
            "Through a gateway, the answer of a function carries a header X-Call-Id.",
            has_call_id,
        )
        .group(Group::Headers)
        .case("5.6")
        .only_through_gateway(),
        FROM.check(
            "call.start-time",
            "Through a gateway, the answer carries X-Start-Time, in nanoseconds since \
             1970.",
            has_start_time,
        )
        .group(Group::Headers)
        .case("5.6")
        .only_through_gateway(),
    ]
}

fn unknown() -> Vec<Check> {
    vec![
        UNKNOWN.check(
            "call.unknown-function",
            "A call of a function that does not exist answers 404 or 502; straight to a provider \
             also 503.",
            refuses_unknown_names,
        ).case("5.5"),
        UNKNOWN.check(
            "call.empty-name",
            "A call of a function with an empty name, /function/.NAMESPACE, answers 404 or 502; \
             straight to a provider also 400 or 503.",
            refuses_the_empty_name,
        ).case("5.5"),
    ]
}

async fn arrives(target: Target, method: Method) -> Outcome {
    let mut call = target.call(method.clone(), ENV.name, "");
    if matches!(method, Method::POST | Method::PUT | Method::PATCH) {
        call = call.body("a body");
    }
    let answer = target.call_sample(&ENV, call).await?;
    has_line(&answer, &format!("Http_Method={method}"))
}

async fn sees_the_variable(target: Target) -> Outcome {
    let answer = environment(&target, "").await?;
    has_line(&answer, "custom_env=custom_env_value")
}

async fn sees_the_query(target: Target) -> Outcome {
    let answer = environment(&target, "?testing=1").await?;
    has_line(&answer, "Http_Query=testing=1")
}

async fn has_call_id(target: Target) -> Outcome {
    let answer = environment(&target, "").await?;
    match answer.header("x-call-id") {
        "" => Err(answer.fault("a header X-Call-Id", "none, or an empty one")),
        _ => Ok(()),
    }
}

async fn has_start_time(target: Target) -> Outcome {
    let answer = environment(&target, "").await?;
    // Nanoseconds have had nineteen digits since 2001; seconds or milliseconds have fewer.
    match answer.header("x-start-time") {
        time if time.len() == 19 && time.parse::<u64>().is_ok() => Ok(()),
        time => Err(answer.fault(
            "a header X-Start-Time of nineteen digits",
            format!("{time:?}"),
        )),
    }
}

/// What the function `env` answers to a POST.
async fn environment(target: &Target, rest: &str) -> Outcome<Answer> {
    let call = target.call(Method::POST, ENV.name, rest);
    target.call_sample(&ENV, call).await
}

async fn echoes_every_byte(target: Target) -> Outcome {
    let body: Vec<u8> = (0..=255).collect();
    let call = target.call(Method::POST, ECHO.name, "").body(body.clone());
    let answer = target.call_sample(&ECHO, call).await?;
    match answer.body == body {
        true => Ok(()),
        false => {
            let got = format!("{} other bytes", answer.body.len());
            Err(answer.fault("the 256 bytes that were sent", got))
        }
    }
}

async fn refuses_unknown_names(target: Target) -> Outcome {
    let call = target.call(Method::POST, "nothing", "").body("a body");
    let wanted: &[u16] = match target.options().entry.is_gateway() {
        true => &[404, 502],
        false => &[404, 502, 503],
    };
    target.send(call).await?.with_status(wanted)?;
    Ok(())
}

/// What the original suite does by mistake, and platforms have to answer all the same.
async fn refuses_the_empty_name(target: Target) -> Outcome {
    let call = target.call_path(Method::POST, &format!(".{}", target.namespace));
    let wanted: &[u16] = match target.options().entry.is_gateway() {
        true => &[404, 502],
        false => &[400, 404, 502, 503],
    };
    target.send(call).await?.with_status(wanted)?;
    Ok(())
}

fn has_line(answer: &Answer, wanted: &str) -> Outcome {
    let text = answer.text();
    match text.lines().any(|line| line == wanted) {
        true => Ok(()),
        false => Err(no_line(answer, &text, wanted)),
    }
}

/// Names the line that comes closest: it usually shows what went wrong.
fn no_line(answer: &Answer, text: &str, wanted: &str) -> Failure {
    let key = wanted.split('=').next().unwrap_or(wanted);
    let close = text.lines().find(|line| line.starts_with(key));
    let got = close.map_or_else(|| format!("no line with {key}"), |line| format!("{line:?}"));
    answer.fault(format!("a line {wanted:?} in the body"), got)
}
