//! Logs: which lines a question gets, and how they look.

use std::time::Duration;

use hyper::Method;
use serde_json::Value;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::{Answer, Request};
use crate::rule::{Group, Level};
use crate::target::Target;
use crate::wait::eventually;

const FROM: Family = Family::new(
    Group::Logs,
    Level::Standard,
    "provider SDK: GET /system/logs",
);

/// Logs of its own, so that nobody else's calls are in them.
const LINES: usize = 20;

const ALL: usize = usize::MAX;

pub(super) fn checks() -> Vec<Check> {
    let refused = refused().into_iter();
    let refused = refused.map(|check| check.needs(&[Capability::Logs]));
    let asked = asked().into_iter().chain(shaped());
    let asked = asked.map(|check| check.needs(&[Capability::Logs, Capability::Probe]));
    refused.chain(asked).chain([followed()]).collect()
}

fn refused() -> Vec<Check> {
    let check = |id, says, query: &'static str, status: u16| {
        FROM.check(id, says, move |target| is_refused(target, query, status))
    };
    vec![
        FROM.check(
            "logs.platform-service",
            "The names of the platform's own services have no log: 404.",
            keeps_services_to_itself,
        )
        .level(Level::Full)
        .source("what a platform says of itself is not for those who may read a function's log")
        .case("G16"),
        check(
            "logs.unknown",
            "The log of a function that does not exist answers 404 and a line of text.",
            "name=NAME-nobody",
            404,
        )
        .case("G1"),
        check(
            "logs.no-name",
            "A request for logs without a name answers 400 and a line of text.",
            "follow=false",
            400,
        )
        .case("G3"),
        check(
            "logs.bad-tail",
            "A request for logs with tail=x answers 422 and a line of text.",
            "name=NAME-nobody&tail=x",
            422,
        )
        .case("G2"),
        check(
            "logs.bad-since",
            "A request for logs with since=yesterday answers 422 and a line of text.",
            "name=NAME-nobody&since=yesterday",
            422,
        )
        .case("G2"),
    ]
}

fn asked() -> Vec<Check> {
    let check = |id, says, query: &'static str, last: usize| {
        FROM.check(id, says, move |target| gives(target, query, last))
    };
    vec![
        check(
            "logs.tail",
            "With tail=5, a log is its last five lines.",
            "tail=5",
            5,
        )
        .case("G8"),
        check(
            "logs.tail-zero",
            "With tail=0, a log is all there is.",
            "tail=0",
            ALL,
        )
        .case("G9"),
        check(
            "logs.tail-negative",
            "With tail=-1, a log is all there is.",
            "tail=-1",
            ALL,
        )
        .case("G9"),
        check(
            "logs.tail-twice",
            "Of a parameter that is given twice, the last counts.",
            "tail=7&tail=2",
            2,
        )
        .case("G13"),
        check(
            "logs.since",
            "With a time to come in since, a log is empty.",
            "since=2999-01-01T00:00:00Z",
            0,
        )
        .case("G10"),
        check(
            "logs.since-long-ago",
            "With a time long ago in since, a log is all there is.",
            "since=2001-01-01T00:00:00Z",
            ALL,
        )
        .case("G10"),
        check(
            "logs.instance",
            "With the name of no replica in instance, a log is empty.",
            "instance=certify-nobody",
            0,
        )
        .case("G12"),
    ]
}

fn shaped() -> Vec<Check> {
    vec![
        FROM.check(
            "logs.content-type",
            "A log says that it is application/x-ndjson.",
            says_its_type,
        )
        .case("G15"),
        FROM.check(
            "logs.times",
            "Every line has the time it was written at: RFC 3339, and of today.",
            has_times,
        )
        .case("G15"),
        FROM.check(
            "logs.long-line",
            "A line of 100,000 characters is one line of the log, whole.",
            keeps_long_lines,
        )
        .case("G11"),
        FROM.check(
            "logs.odd-lines",
            "Lines with letters beyond ASCII, with bytes that are no UTF-8, and without any character each are a line \
             of JSON, and the lines after them come, too.",
            survives_odd_lines,
        )
        .level(Level::Full)
        .case("G11"),
    ]
}

fn followed() -> Check {
    FROM.check(
        "logs.follow",
        "A line that is written while a log is followed arrives within seconds.",
        follows,
    )
    .case("G4")
    .needs(&[Capability::Logs, Capability::LogsFollow, Capability::Probe])
}

/// A question; `NAME` in it stands for what begins every name of this run.
async fn ask(target: &Target, query: &str) -> Outcome<Answer> {
    let query = query.replace("NAME", &target.name("log"));
    let path = format!("/system/logs?namespace={}&{query}", target.namespace);
    target.get(&path).await
}

async fn is_refused(target: Target, query: &str, status: u16) -> Outcome {
    ask(&target, query).await?.refused(&[status])
}

async fn keeps_services_to_itself(target: Target) -> Outcome {
    for service in ["gateway", "nats", "prometheus", "queue-worker", "provider"] {
        let answer = ask(&target, &format!("follow=false&name={service}")).await?;
        answer.with_status(&[404])?;
    }
    Ok(())
}

/// A probe that has logged as it was told, once its log is complete.
async fn have_logged(target: &Target, short: &str, wish: &[(&str, &str)]) -> Outcome {
    target.have_probe(short).await?;
    let call = target.wish(Method::GET, short, "", wish);
    target.send(call).await?.with_status(&[200])?;
    Ok(())
}

/// The lines that the probe wrote, without those of a watchdog before it.
fn lines(answer: &Answer) -> Outcome<Vec<Value>> {
    let text = answer.text();
    let lines = text.lines().filter(|line| !line.is_empty());
    let parsed = lines.map(|line| {
        serde_json::from_str(line).map_err(|_| answer.fault("one JSON object per line", line))
    });
    parsed.collect()
}

/// The number of a line of the probe's.
fn number(line: &Value) -> Option<usize> {
    let text = line["text"].as_str()?;
    let place = text.find("line ")?;
    text[place + 5..].split_whitespace().next()?.parse().ok()
}

fn numbers(answer: &Answer) -> Outcome<Vec<usize>> {
    Ok(lines(answer)?.iter().filter_map(number).collect())
}

/// Asks between two readings of the whole log that agree. Then nobody has written meanwhile, and it is plain which lines
/// the answer must be: a watchdog writes lines of its own, at any time after a call.
async fn gives(target: Target, query: &str, last: usize) -> Outcome {
    let short = format!("log-{}", fastrand::u32(..));
    have_logged(&target, &short, &[("log", "20")]).await?;
    let path = format!(
        "/system/logs?name={}&namespace={}&follow=false&{query}",
        target.name(&short),
        target.namespace
    );
    let (all, answer) = eventually(target.limit(), async || {
        let before = target.logs(&short).await?;
        let answer = target.get(&path).await?;
        let after = target.logs(&short).await?;
        let all = lines(&after)?;
        match (numbers(&after)?.len(), lines(&before)? == all) {
            (LINES, true) => Ok((all, answer)),
            (LINES, false) => Err(after.fault("the same log as right before", "another")),
            (other, _) => Err(after.fault("twenty lines of the function", format!("{other}"))),
        }
    })
    .await?;
    let answer = answer.with_status(&[200])?;
    let wanted = &all[all.len().saturating_sub(last)..];
    let got = lines(&answer)?;
    match got == wanted {
        true => Ok(()),
        false => {
            let expected = format!("the last {} of {} lines", wanted.len(), all.len());
            let numbers = numbers(&answer)?;
            let got = format!("{} lines, with the numbers {numbers:?}", got.len());
            Err(answer.fault(expected, got))
        }
    }
}

async fn logged_once(
    target: &Target,
    short: &str,
    wish: &[(&str, &str)],
) -> Outcome<(Answer, Vec<Value>)> {
    have_logged(target, short, wish).await?;
    eventually(target.limit(), async || {
        let answer = target.logs(short).await?;
        let lines = lines(&answer)?;
        match lines.iter().any(|line| number(line).is_some()) {
            true => Ok((answer, lines)),
            false => Err(answer.fault("the line of the function", "none")),
        }
    })
    .await
}

async fn says_its_type(target: Target) -> Outcome {
    let (answer, _) = logged_once(&target, "log-type", &[("log", "1")]).await?;
    match answer.header("content-type") {
        kind if kind.starts_with("application/x-ndjson") => Ok(()),
        other => Err(answer.fault("Content-Type: application/x-ndjson", other)),
    }
}

/// The day is compared with that of the platform's own clock, in the answer's Date.
async fn has_times(target: Target) -> Outcome {
    let (answer, lines) = logged_once(&target, "log-times", &[("log", "1")]).await?;
    for line in lines {
        let time = line["timestamp"].as_str().unwrap_or_default();
        let bytes = time.as_bytes();
        let shaped =
            bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && bytes[13] == b':';
        if !shaped || time < "2020" {
            return Err(answer.fault("a time of RFC 3339, and of this age", line.to_string()));
        }
    }
    Ok(())
}

/// A line that is not written to its end yet may be told as far as it is there.
async fn keeps_long_lines(target: Target) -> Outcome {
    let wish = [("log", "1"), ("length", "100000")];
    have_logged(&target, "log-long", &wish).await?;
    eventually(target.limit(), async || {
        let answer = target.logs("log-long").await?;
        let lines = lines(&answer)?;
        let line = lines.iter().find(|line| number(line).is_some());
        let length = line
            .and_then(|line| line["text"].as_str())
            .map_or(0, str::len);
        match length >= 100_000 {
            true => Ok(()),
            false => Err(answer.fault("100,000 characters or more", format!("{length}"))),
        }
    })
    .await
}

async fn survives_odd_lines(target: Target) -> Outcome {
    target.have_probe("log-odd").await?;
    for kind in ["unicode", "binary", "empty", "ascii"] {
        let wish = [("log", "2"), ("length", "50"), ("kind", kind)];
        let call = target.wish(Method::GET, "log-odd", "", &wish);
        target.send(call).await?.with_status(&[200])?;
    }
    eventually(target.limit(), async || {
        let answer = target.logs("log-odd").await?;
        let text = answer.text();
        let all = numbers(&answer)?;
        match all.len() == 6 && text.contains("ü€😀") && text.contains("abcdefghij") {
            true => Ok(()),
            false => Err(answer.fault("six numbered lines of three kinds", format!("{all:?}"))),
        }
    })
    .await
}

async fn follows(target: Target) -> Outcome {
    have_logged(&target, "log-follow", &[("log", "1")]).await?;
    let (name, namespace) = (target.name("log-follow"), &target.namespace);
    let path = format!(
        "/system/logs?name={name}&namespace={namespace}&follow=true&since=2001-01-01T00:00:00Z"
    );
    let mut stream = target.open(&Request::system(Method::GET, path)).await?;
    let limit = target.limit().min(Duration::from_secs(5));
    let mut text = String::new();
    while !text.contains("line 1 ") {
        match stream.next(limit).await? {
            Some(piece) => text.push_str(&String::from_utf8_lossy(&piece)),
            None => return Err(stream.fault("the line that is there", "the end")),
        }
    }
    let call = target.wish(Method::GET, "log-follow", "", &[("log", "2")]);
    target.send(call).await?.with_status(&[200])?;
    while !text.contains("line 2 ") {
        match stream.next(limit).await? {
            Some(piece) => text.push_str(&String::from_utf8_lossy(&piece)),
            None => return Err(stream.fault("the line that was written meanwhile", "the end")),
        }
    }
    Ok(())
}
