//! Which namespaces there are, and that they are apart.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::{Failure, Outcome};
use crate::http::Answer;
use crate::rule::{Group, Level};
use crate::target::Target;

const FAMILY: Family = Family::new(
    Group::Namespaces,
    Level::Core,
    "original suite, ListNamespaces",
);

pub(super) fn checks() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "namespaces.listed",
                "GET /system/namespaces answers 200 with an array of names that holds the \
             default namespace and every further one.",
                holds_the_known,
            )
            .case("5.2"),
        FAMILY
            .check(
                "namespaces.exact",
                "The list of namespaces holds each of them once, and nothing else.",
                holds_nothing_else,
            )
            .case("5.2")
            .alone(),
        FAMILY
            .check(
                "namespaces.apart",
                "A function deployed in a second namespace is listed there, and not in the \
             default one.",
                keeps_them_apart,
            )
            .source("provider SDK, the parameter `namespace` of the list")
            .level(Level::Standard)
            .needs(&[Capability::Namespaces]),
    ]
}

async fn holds_the_known(target: Target) -> Outcome {
    let (answer, names) = names(&target).await?;
    match known(&target).iter().find(|name| !names.contains(name)) {
        None => Ok(()),
        Some(missing) => Err(answer.fault(format!("{missing:?} among them"), format!("{names:?}"))),
    }
}

/// On a shared platform the further namespaces have to be named, or the check left out.
async fn holds_nothing_else(target: Target) -> Outcome {
    let (answer, mut names) = names(&target).await?;
    names.sort();
    let expected: Vec<_> = known(&target).into_iter().collect();
    if names == expected {
        return Ok(());
    }
    let hint = "if one more exists, name it with --namespace";
    Err(answer.fault(format!("{expected:?} ({hint})"), format!("{names:?}")))
}

async fn keeps_them_apart(target: Target) -> Outcome {
    let [_, second] = &target.options().tested_namespaces()[..] else {
        return Err(Failure::new("a second namespace", "none was given"));
    };
    // So that neither list is empty, which is a matter of its own.
    target.have("apart-here", "cat", json!({})).await?;
    let there = target.in_namespace(second);
    there.have("apart", "cat", json!({})).await?;
    let (answer, functions) = there.listed("apart").await?;
    let name = target.name("apart");
    if functions.len() != 1 {
        let got = format!("it is listed {} times", functions.len());
        return Err(answer.fault(format!("{name} in {second}"), got));
    }
    let (answer, functions) = target.listed("apart").await?;
    match functions.is_empty() {
        true => Ok(()),
        false => {
            let expected = format!("{name} not to be in {}", target.namespace);
            Err(answer.fault(expected, "it is listed there"))
        }
    }
}

fn known(target: &Target) -> BTreeSet<String> {
    let options = target.options();
    let further = options.namespaces.iter().cloned();
    further.chain([options.default_namespace.clone()]).collect()
}

async fn names(target: &Target) -> Outcome<(Answer, Vec<String>)> {
    let answer = target
        .get("/system/namespaces")
        .await?
        .with_status(&[200])?;
    let names = answer.array()?.into_iter().map(|name| match name {
        Value::String(name) => Ok(name),
        other => Err(answer.fault("an array of texts", other.to_string())),
    });
    let names = names.collect::<Outcome<_>>()?;
    Ok((answer, names))
}
