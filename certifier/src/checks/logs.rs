//! Reading what a function has logged.

use hyper::Method;
use serde_json::{Value, json};

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::Answer;
use crate::rule::{Group, Level};
use crate::target::{Sample, Target};
use crate::wait::eventually;

const FROM: Family = Family::new(
    Group::Logs,
    Level::Core,
    "original suite, FunctionLogs; provider SDK, log messages",
);

const LOGGER: Sample = Sample {
    name: "logger",
    process: "cat",
    more: || json!({}),
};

pub(super) fn checks() -> Vec<Check> {
    vec![
        FROM.check(
            "logs.ends-without-follow",
            "GET /system/logs with follow=false answers 200 and ends by itself.",
            ends_by_itself,
        ),
        FROM.check(
            "logs.lines",
            "Every line of a log is a JSON object with the texts name, namespace, \
             instance, timestamp and text.",
            are_json_lines,
        ),
        FROM.check(
            "logs.own-lines",
            "Every line of a log has the name and the namespace that were asked for.",
            are_its_own,
        ),
        FROM.check(
            "logs.call-begins",
            "After a call, the log has a line that begins with `Forking fprocess`.",
            tell_of_the_begin,
        ),
        FROM.check(
            "logs.call-ends",
            "After a call, the log has a line that begins with `Wrote N Bytes`, N being \
             the length of the answer.",
            tell_of_the_end,
        ),
    ]
    .into_iter()
    .map(|check| check.case("5.7").needs(&[Capability::Logs]).everywhere())
    .collect()
}

async fn ends_by_itself(target: Target) -> Outcome {
    have_called(&target).await?;
    target.logs(LOGGER.name).await?;
    Ok(())
}

async fn are_json_lines(target: Target) -> Outcome {
    let (answer, lines) = lines(&target).await?;
    for line in lines {
        for key in ["name", "namespace", "instance", "timestamp", "text"] {
            if !line[key].is_string() {
                return Err(answer.fault(format!("a text {key:?} in every line"), line.to_string()));
            }
        }
    }
    Ok(())
}

async fn are_its_own(target: Target) -> Outcome {
    let (answer, lines) = lines(&target).await?;
    let (name, namespace) = (target.name(LOGGER.name), &target.namespace);
    for line in lines {
        if line["name"] != name.as_str() || line["namespace"] != namespace.as_str() {
            let expected = format!("only lines of {name} in {namespace}");
            return Err(answer.fault(expected, line.to_string()));
        }
    }
    Ok(())
}

async fn tell_of_the_begin(target: Target) -> Outcome {
    has_text(&target, "Forking fprocess").await
}

async fn tell_of_the_end(target: Target) -> Outcome {
    let length = target.namespace.len();
    has_text(&target, &format!("Wrote {length} Bytes")).await
}

/// A function that has been called once, with its namespace as the body.
async fn have_called(target: &Target) -> Outcome<Answer> {
    let body = target.namespace.clone();
    let call = target.call(Method::POST, LOGGER.name, "").body(body);
    target.call_sample(&LOGGER, call).await
}

/// The lines of a function that has been called; they may take a moment to arrive.
async fn lines(target: &Target) -> Outcome<(Answer, Vec<Value>)> {
    have_called(target).await?;
    eventually(target.limit(), async || {
        let answer = target.logs(LOGGER.name).await?;
        let lines = parse(&answer)?;
        match lines.is_empty() {
            true => Err(answer.fault("a line or more after a call", "an empty log")),
            false => Ok((answer, lines)),
        }
    })
    .await
}

async fn has_text(target: &Target, wanted: &str) -> Outcome {
    have_called(target).await?;
    eventually(target.limit(), async || {
        let answer = target.logs(LOGGER.name).await?;
        let found = parse(&answer)?.iter().any(|line| says(line, wanted));
        match found {
            true => Ok(()),
            false => Err(answer.fault(
                format!("a line that begins with {wanted:?}"),
                "no such line",
            )),
        }
    })
    .await
}

fn parse(answer: &Answer) -> Outcome<Vec<Value>> {
    let text = answer.text();
    let lines = text.lines().filter(|line| !line.is_empty());
    let parsed = lines.map(|line| {
        serde_json::from_str(line).map_err(|_| answer.fault("one JSON object per line", line))
    });
    parsed.collect()
}

/// Whether the line begins that way, after the date and time that a watchdog may put in front.
fn says(line: &Value, wanted: &str) -> bool {
    let text = line["text"].as_str().unwrap_or_default();
    let stamp = |character: char| character.is_ascii_digit() || "/: ".contains(character);
    text.trim_start_matches(stamp).starts_with(wanted)
}
