//! What becomes of a call whose function answers oddly, late, half, or not at all; and whose caller hangs up.

use std::time::Duration;

use hyper::Method;
use serde_json::json;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::{Failure, Outcome};
use crate::http::Answer;
use crate::rule::{Group, Level};
use crate::target::Target;
use crate::wait::eventually;

const FROM: Family = Family::new(
    Group::Errors,
    Level::Standard,
    "provider SDK, proxy: a function's answer is the function's, a failure of the platform's own says so",
);

const STATUSES: [u16; 21] = [
    200, 201, 202, 204, 206, 301, 302, 304, 307, 400, 401, 403, 404, 409, 418, 422, 429, 500, 502,
    503, 504,
];

const ELSEWHERE: &str = "http://redirect.invalid/landing?a=%20";

/// Names the hop that failed, on what no function has said.
const MARK: &str = "x-openfaas-internal";

/// Much more than fits into the buffers on the way.
const HALF: &str = "4000000";

pub(super) fn checks() -> Vec<Check> {
    let checks = vec![
        FROM.check(
            "errors.statuses",
            "Every status of a function reaches the caller, without the mark of a platform's own failure.",
            passes_statuses,
        )
        .case("H15"),
        FROM.check(
            "errors.redirects",
            "301, 302, 303, 307 and 308 of a function reach the caller with their Location.",
            passes_redirects,
        )
        .level(Level::Full)
        .case("H16"),
        FROM.check(
            "errors.no-answer",
            "When a function closes its connection without an answer, the caller gets 502 and a line of text; or the \
             watchdog's 500, marked as that.",
            |target| is_broken(target, "*/*"),
        )
        .case("H21"),
        FROM.check(
            "errors.no-answer-to-a-stream",
            "The same for a caller that asks for an event stream.",
            |target| is_broken(target, "text/event-stream"),
        )
        .case("H26"),
        FROM.check(
            "errors.breaks-off",
            "An answer that breaks off in the middle does not look whole to the caller: its connection breaks, too.",
            |target| breaks_off(target, &[]),
        )
        .case("H21"),
        FROM.check(
            "errors.breaks-off-chunked",
            "The same for an answer without a length.",
            |target| breaks_off(target, &[("chunked", "")]),
        )
        .case("H21"),
        FROM.check(
            "errors.caller-hangs-up",
            "When a caller hangs up, the function is told: its connection is closed.",
            tells_of_hanging_up,
        )
        .source("provider SDK, proxy: the call's context; functions stop work that nobody waits for")
        .case("H23"),
        FROM.check(
            "timeouts.own-limit",
            "A call that takes longer than the function's annotation com.openfaas.timeout allows is answered 504, with a line of text.",
            ends_at_its_own_limit,
        )
        .source("RFC 9110, section 15.6.5; the annotation is this platform's")
        .group(Group::Timeouts)
        .case("H19"),
    ];
    let checks = checks.into_iter();
    checks
        .map(|check| check.needs(&[Capability::Probe]))
        .collect()
}

async fn passes_statuses(target: Target) -> Outcome {
    for status in STATUSES {
        let wish = [("status", status.to_string())];
        let wish = wish.each_ref().map(|(word, value)| (*word, value.as_str()));
        let answer = target.probe(Method::GET, "", &wish).await?;
        let answer = answer.with_status(&[status])?;
        let mark = answer.header(MARK);
        if !mark.is_empty() {
            let got = format!("X-OpenFaaS-Internal: {mark}");
            return Err(answer.fault("no mark on what the function said", got));
        }
    }
    Ok(())
}

async fn passes_redirects(target: Target) -> Outcome {
    for status in ["301", "302", "303", "307", "308"] {
        let location = format!("Location: {ELSEWHERE}");
        let wish = [("status", status), ("header", &location)];
        let answer = target.probe(Method::GET, "", &wish).await?;
        let answer = answer.with_status(&[status.parse().unwrap_or(0)])?;
        match answer.header("location") {
            ELSEWHERE => {}
            other => return Err(answer.fault(location.clone(), other)),
        }
    }
    Ok(())
}

/// A watchdog in front of the function says 500; that is its answer, and not the platform's.
async fn is_broken(target: Target, accept: &str) -> Outcome {
    let request = target.shared_probe(Method::GET, "", &[("abort", "before")]);
    let request = request.await?.header("Accept", accept);
    let answer = target.send(request).await?;
    match answer.header(MARK) {
        "of-watchdog" if answer.status == 500 => Ok(()),
        _ => signed(answer, 502),
    }
}

/// A failure of the platform's own, which says so.
fn signed(answer: Answer, wanted: u16) -> Outcome {
    let answer = answer.with_status(&[wanted])?;
    match answer.header(MARK) {
        "" => Err(answer.fault("X-OpenFaaS-Internal, naming who failed", "no such header")),
        _ => answer.refused(&[wanted]),
    }
}

async fn breaks_off(target: Target, more: &'static [(&str, &str)]) -> Outcome {
    let wish = [&[("bytes", HALF), ("abort", "middle")], more].concat();
    let request = target.shared_probe(Method::GET, "", &wish).await?;
    let mut stream = match target.open(&request).await {
        Ok(stream) if stream.status == 502 => return Ok(()),
        Ok(stream) => stream,
        Err(failure) if failure.got.starts_with("none within") => return Err(failure),
        Err(_) => return Ok(()),
    };
    let mut count = 0;
    loop {
        match stream.next(target.limit()).await {
            Ok(Some(piece)) => count += piece.len(),
            Ok(None) => {
                let got = format!("a clean end after {count} bytes");
                return Err(stream.fault("the connection to break", &got));
            }
            Err(failure) if failure.got.starts_with("none in") => return Err(failure),
            Err(_) => return Ok(()),
        }
    }
}

/// Hangs up only once the call has arrived.
async fn tells_of_hanging_up(target: Target) -> Outcome {
    let mark = target.name("hang-up");
    let wish = [("sleep", "20000"), ("mark", mark.as_str())];
    let request = target.shared_probe(Method::GET, "", &wish).await?;
    let calling = {
        let target = target.clone();
        tokio::spawn(async move { target.open(&request).await.map(drop) })
    };
    counted(&target, &mark, "began").await?;
    calling.abort();
    counted(&target, &mark, "cancelled").await
}

async fn counted(target: &Target, mark: &str, key: &str) -> Outcome {
    let limit = target.limit().min(Duration::from_secs(10));
    eventually(limit, async || {
        let answer = target.probe(Method::GET, "", &[("counts", mark)]).await?;
        let counts = answer.with_status(&[200])?;
        match counts.json()?[key] == 1 {
            true => Ok(()),
            false => Err(counts.fault(format!("one call that {key}"), counts.text())),
        }
    })
    .await
}

async fn ends_at_its_own_limit(target: Target) -> Outcome {
    let Some(probe) = target.options().probe.clone() else {
        return Err(Failure::new("a probe", "none was given"));
    };
    let limit = json!({"com.openfaas.timeout": format!("{}ms", target.pause())});
    target
        .have_function_with("limited", &probe, json!({"annotations": limit}))
        .await?;
    let first = target.wish(Method::GET, "limited", "", &[]);
    target.call_until(&first, 200).await?;
    let slow = target.wish(Method::GET, "limited", "", &[("sleep", "20000")]);
    signed(target.send(slow).await?, 504)
}
