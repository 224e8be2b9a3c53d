//! Calls that are queued and made later, and where their results go.

use hyper::Method;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::{Failure, Outcome};
use crate::http::{Answer, Request};
use crate::rule::{Group, Level};
use crate::sink::Callback;
use crate::target::Target;
use crate::wait::eventually;

const ASYNC: Family = Family::new(
    Group::Async,
    Level::Standard,
    "gateway: POST /async-function/NAME",
);

const CALLBACKS: Family = Family::new(
    Group::Callbacks,
    Level::Standard,
    "queue worker: the result is posted to X-Callback-Url",
);

/// What a queued call asks of the probe unless the check is about that.
const SHORT: [(&str, &str); 2] = [("bytes", "26"), ("status", "201")];

pub(super) fn checks() -> Vec<Check> {
    let queued = queued().into_iter();
    let queued = queued.map(|check| check.needs(&[Capability::Async, Capability::Probe]));
    let posted = posted().into_iter();
    let posted = posted
        .map(|check| check.needs(&[Capability::Async, Capability::Callbacks, Capability::Probe]));
    queued
        .chain(posted)
        .map(Check::only_through_gateway)
        .collect()
}

fn queued() -> Vec<Check> {
    vec![
        ASYNC.check(
            "async.accepted",
            "An asynchronous call is answered 202, with an X-Call-Id.",
            is_accepted,
        ),
        ASYNC.check(
            "async.at-once",
            "An asynchronous call is answered before the function has done its work.",
            is_accepted_at_once,
        ),
        ASYNC.check(
            "async.made",
            "An asynchronous call reaches the function, once.",
            is_made_once,
        ),
        ASYNC
            .check(
                "async.unknown-function",
                "An asynchronous call of a function that does not exist is answered 404 and a line of text.",
                refuses_the_unknown,
            )
            .level(Level::Full)
            .source("a call that cannot be made should not be promised"),
        CALLBACKS.check(
            "callbacks.bad-url",
            "An asynchronous call with an X-Callback-Url that is no URL is answered 400.",
            refuses_a_bad_callback,
        ),
    ]
}

fn posted() -> Vec<Check> {
    vec![
        CALLBACKS.check(
            "callbacks.body",
            "The body of a function's answer is posted to the callback URL, exactly.",
            posts_the_body,
        ),
        CALLBACKS.check(
            "callbacks.call-id",
            "A callback carries the X-Call-Id that the call was accepted with.",
            says_which_call,
        ),
        CALLBACKS.check(
            "callbacks.function-name",
            "A callback carries X-Function-Name, the name that was called.",
            says_which_function,
        ),
        CALLBACKS.check(
            "callbacks.status",
            "A callback carries X-Function-Status, the status of the function's answer.",
            says_the_status,
        ),
        CALLBACKS.check(
            "callbacks.duration",
            "A callback carries X-Duration-Seconds, a number of seconds.",
            says_how_long,
        ),
        CALLBACKS
            .check(
                "async.call-exact",
                "Path, query, body and headers of an asynchronous call reach the function as they were sent.",
                passes_the_call_on,
            )
            .group(Group::Async),
    ]
}

/// The probe's call, through the queue.
async fn queue(
    target: &Target,
    rest: &str,
    wish: &[(&str, &str)],
    callback: Option<&str>,
) -> Outcome<Answer> {
    let _ = target.probe(Method::GET, "", &[]).await?;
    let (name, namespace) = (target.name("probe"), &target.namespace);
    let path = format!("/async-function/{name}.{namespace}{rest}");
    let wish = Serializer::new(String::new()).extend_pairs(wish).finish();
    let mut request = Request::call(Method::POST, path)
        .header("X-Probe", &wish)
        .header("X-Certified", "as sent");
    if let Some(callback) = callback {
        request = request.header("X-Callback-Url", callback);
    }
    target.send(request.body("a body")).await
}

async fn is_accepted(target: Target) -> Outcome {
    let answer = queue(&target, "", &[("bytes", "1")], None).await?;
    let answer = answer.with_status(&[202])?;
    match answer.header("x-call-id") {
        "" => Err(answer.fault("a header X-Call-Id", "none, or an empty one")),
        _ => Ok(()),
    }
}

/// What became of the calls with this mark.
async fn counts(target: &Target, mark: &str) -> Outcome<(Answer, Value)> {
    let answer = target.probe(Method::GET, "", &[("counts", mark)]).await?;
    let answer = answer.with_status(&[200])?;
    let counts = answer.json()?;
    Ok((answer, counts))
}

async fn is_accepted_at_once(target: Target) -> Outcome {
    let (mark, pause) = (target.name("at-once"), target.pause());
    let wish = [("mark", mark.as_str()), ("sleep", &pause)];
    queue(&target, "", &wish, None).await?.with_success()?;
    let (answer, counts) = counts(&target, &mark).await?;
    match counts["ended"] == 0 {
        true => Ok(()),
        false => Err(answer.fault("a call that is still at work, or to be", counts.to_string())),
    }
}

async fn began(target: &Target, mark: &str) -> Outcome {
    eventually(target.limit(), async || {
        let (answer, counts) = counts(target, mark).await?;
        match counts["began"] == 1 {
            true => Ok(()),
            false => Err(answer.fault("one call that began", counts.to_string())),
        }
    })
    .await
}

/// When a call that was queued later has been made, it is still one.
async fn is_made_once(target: Target) -> Outcome {
    let (mark, later) = (target.name("queued"), target.name("queued-later"));
    for mark in [&mark, &later] {
        let answer = queue(&target, "", &[("mark", mark)], None).await?;
        answer.with_success()?;
        began(&target, mark).await?;
    }
    let (answer, counts) = counts(&target, &mark).await?;
    match counts["began"] == 1 {
        true => Ok(()),
        false => Err(answer.fault("one call", counts.to_string())),
    }
}

async fn refuses_the_unknown(target: Target) -> Outcome {
    let name = target.name("queued-for-nobody");
    let path = format!("/async-function/{name}.{}", target.namespace);
    let request = Request::call(Method::POST, path).body("a body");
    target.send(request).await?.refused(&[404])
}

async fn refuses_a_bad_callback(target: Target) -> Outcome {
    let answer = queue(&target, "", &[("bytes", "1")], Some("nowhere at all")).await?;
    answer.refused(&[400])
}

/// The answer to a queued call, and what came to its callback.
async fn called_back(
    target: &Target,
    rest: &str,
    wish: &[(&str, &str)],
) -> Outcome<(Answer, Callback)> {
    let sink = target.sink().await?;
    let name = format!("{}-{}", target.name("result"), fastrand::u32(..));
    let url = sink.expect(&name);
    let answer = queue(target, rest, wish, Some(&url)).await?;
    let answer = answer.with_success()?;
    let callback = eventually(target.limit(), async || {
        let came = sink.received(&name).into_iter().next();
        came.ok_or_else(|| answer.fault(format!("a callback to {url}"), "none"))
    });
    let callback = callback.await?;
    Ok((answer, callback))
}

async fn posts_the_body(target: Target) -> Outcome {
    let (_, callback) = called_back(&target, "", &SHORT).await?;
    match &callback.body[..] == b"abcdefghijklmnopqrstuvwxyz" {
        true => Ok(()),
        false => {
            let got = format!("{} bytes that differ", callback.body.len());
            Err(callback.fault("the alphabet, which the function answered", got))
        }
    }
}

fn has(callback: &Callback, name: &str, wanted: &str) -> Outcome {
    match callback.header(name) {
        got if got == wanted && !wanted.is_empty() => Ok(()),
        got => Err(callback.fault(format!("{name}: {wanted}"), format!("{got:?}"))),
    }
}

async fn says_which_call(target: Target) -> Outcome {
    let (answer, callback) = called_back(&target, "", &SHORT).await?;
    has(&callback, "X-Call-Id", answer.header("x-call-id"))
}

/// With its namespace or without: both have been seen.
async fn says_which_function(target: Target) -> Outcome {
    let (_, callback) = called_back(&target, "", &SHORT).await?;
    let name = target.name("probe");
    match callback.header("x-function-name") {
        bare if bare == name => Ok(()),
        _ => {
            let whole = format!("{name}.{}", target.namespace);
            has(&callback, "X-Function-Name", &whole)
        }
    }
}

async fn says_the_status(target: Target) -> Outcome {
    let (_, callback) = called_back(&target, "", &SHORT).await?;
    has(&callback, "X-Function-Status", "201")
}

async fn says_how_long(target: Target) -> Outcome {
    let (_, callback) = called_back(&target, "", &SHORT).await?;
    match callback.header("x-duration-seconds").parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 => Ok(()),
        _ => {
            let got = callback.header("x-duration-seconds").to_owned();
            Err(callback.fault("X-Duration-Seconds, a number", format!("{got:?}")))
        }
    }
}

async fn passes_the_call_on(target: Target) -> Outcome {
    let (_, callback) = called_back(&target, "/a%2Fb//c?x=1&x=%20", &[]).await?;
    let seen: Value = serde_json::from_slice(&callback.body)
        .map_err(|_| callback.fault("the probe's description of the call", "no JSON"))?;
    let headers = seen["headers"].as_array().into_iter().flatten();
    let mut certified = headers.filter(|pair| pair[0] == "x-certified");
    let fits = [
        seen["method"] == "POST",
        seen["path"] == "/a%2Fb//c",
        seen["query"] == "x=1&x=%20",
        seen["length"] == 6,
        certified.any(|pair| pair[1] == "as sent"),
    ];
    match fits.iter().all(|fits| *fits) {
        true => Ok(()),
        false => {
            let expected = "POST /a%2Fb//c?x=1&x=%20 with 6 bytes and X-Certified: as sent";
            Err(Failure {
                received: seen.to_string(),
                ..callback.fault(expected, "another call at the function")
            })
        }
    }
}
