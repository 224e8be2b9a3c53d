//! Removing a function.

use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Value, json};

use crate::check::{Check, Family};
use crate::failure::{Failure, Outcome};
use crate::http::{Answer, Request};
use crate::rule::{Group, Level};
use crate::target::{FUNCTIONS, Target};
use crate::wait::eventually;

const FAMILY: Family = Family::new(Group::Delete, Level::Standard, "faas-cli remove");

const TOGETHER: Family = Family::new(Group::Concurrency, Level::Full, "two pipelines at a time");

pub(super) fn checks() -> Vec<Check> {
    let subjects = [refused(), done(), addressed(), together()];
    subjects.into_iter().flatten().collect()
}

fn refused() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "delete.unknown-is-404",
                "DELETE of a function that does not exist answers 404 and one line of text.",
                |target| async move { target.delete("never-there").await?.refused(&[404]) },
            )
            .case("C1"),
        FAMILY
            .check(
                "delete.bad-body",
                "DELETE /system/functions without a body, with half a JSON object, or with an empty name answers 400 \
                 and one line of text.",
                needs_a_name,
            )
            .case("C2"),
    ]
}

async fn needs_a_name(target: Target) -> Outcome {
    for body in ["", "{", "{\"functionName\":\"\"}"] {
        let path = format!("{FUNCTIONS}?namespace={}", target.namespace);
        let request = Request::system(Method::DELETE, path).body(body);
        target.send(request).await?.refused(&[400])?;
    }
    Ok(())
}

fn done() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "delete.gone-at-once",
                "Right after the answer to a deletion the function is not in the list, and its status is 404.",
                is_gone_at_once,
            )
            .case("C3")
            .level(Level::Full)
            .source("faas-cli remove, then list, in a script"),
        FAMILY
            .check(
                "delete.twice",
                "A second deletion answers 404.",
                |target| async move {
                    target.have("deleted-twice", "cat", json!({})).await?;
                    target.delete("deleted-twice").await?.with_success()?;
                    target.delete("deleted-twice").await?.with_status(&[404])?;
                    Ok(())
                },
            )
            .case("C4"),
        FAMILY
            .check(
                "delete.name-free-at-once",
                "A name can be deployed again right after its deletion, and the new function answers.",
                leaves_the_name,
            )
            .case("C5")
            .source("faas-cli remove and deploy in one script"),
    ]
}

async fn is_gone_at_once(target: Target) -> Outcome {
    target.have("gone-at-once", "cat", json!({})).await?;
    target.delete("gone-at-once").await?.with_success()?;
    target.status("gone-at-once").await?.with_status(&[404])?;
    let (answer, functions) = target.listed("gone-at-once").await?;
    match functions.is_empty() {
        true => Ok(()),
        false => Err(answer.fault("the function not to be listed", "it still is")),
    }
}

async fn leaves_the_name(target: Target) -> Outcome {
    target.have("again", "cat", json!({})).await?;
    target.available("again").await?;
    target.delete("again").await?.with_success()?;
    let second = target.deploy("again", "env", json!({})).await?;
    second.with_success()?;
    let call = target.call(Method::POST, "again", "");
    eventually(target.limit(), async || {
        let answer = target.send(call.clone()).await?.with_status(&[200])?;
        match answer.text().contains("Http_Method=POST") {
            true => Ok(()),
            false => Err(answer.fault("the answer of the new function", answer.text())),
        }
    })
    .await
}

fn addressed() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "delete.namespace-in-body",
                "DELETE /system/functions finds the function by the namespace in its body.",
                |target| is_found(target, "", |namespace| json!({"namespace": namespace})),
            )
            .case("C7")
            .source("faas-cli of some years, which sends it there")
            .everywhere(),
        FAMILY
            .check(
                "delete.namespace-twice",
                "DELETE /system/functions takes the same namespace in query and body.",
                |target| is_found(target, "?namespace=", |namespace| json!({"namespace": namespace})),
            )
            .case("C7")
            .source("clients that know both ways and do not want to choose")
            .everywhere(),
        FAMILY
            .check(
                "delete.namespace-contradiction",
                "DELETE /system/functions with one namespace in the query and another in the body answers 400 and deletes nothing.",
                is_not_guessed,
            )
            .case("C7")
            .level(Level::Full)
            .source("a platform that guesses deletes the wrong function one day"),
    ]
}

async fn is_found(target: Target, query: &str, body: fn(&str) -> Value) -> Outcome {
    let short = if query.is_empty() {
        "by-body"
    } else {
        "by-both"
    };
    target.have(short, "cat", json!({})).await?;
    let query = match query {
        "" => String::new(),
        query => format!("{query}{}", target.namespace),
    };
    let answer = delete_by(&target, short, &query, body(&target.namespace)).await?;
    answer.with_success()?;
    eventually(target.limit(), async || {
        target.status(short).await?.with_status(&[404])?;
        Ok(())
    })
    .await
}

async fn is_not_guessed(target: Target) -> Outcome {
    target.have("contradicted", "cat", json!({})).await?;
    let query = format!("?namespace={}", target.namespace);
    let other = json!({"namespace": target.name("other")});
    let answer = delete_by(&target, "contradicted", &query, other).await?;
    answer.refused(&[400])?;
    target.view("contradicted").await.map(drop)
}

async fn delete_by(target: &Target, short: &str, query: &str, more: Value) -> Outcome<Answer> {
    let mut body = json!({"functionName": target.name(short)});
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    let request = Request::system(Method::DELETE, format!("{FUNCTIONS}{query}"));
    target.send(request.json(&body)).await
}

fn together() -> Vec<Check> {
    vec![
        TOGETHER
            .check(
                "delete.one-winner",
                "Of twenty deletions of one function at a time, one is accepted and the others answer 404.",
                has_one_winner,
            )
            .case("C9"),
        TOGETHER
            .check(
                "delete.consistent",
                "After thirty deployments and deletions of one name at a time it is there everywhere, or nowhere.",
                ends_one_way,
            )
            .case("C10"),
    ]
}

async fn has_one_winner(target: Target) -> Outcome {
    target.have("fought-over", "cat", json!({})).await?;
    let attempts = (0..20).map(|_| target.delete("fought-over"));
    let answers: Vec<_> = join_all(attempts)
        .await
        .into_iter()
        .collect::<Outcome<_>>()?;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    let won = statuses.iter().filter(|&&status| status < 300).count();
    let lost = statuses.iter().filter(|&&status| status == 404).count();
    match (won, lost) {
        (1, 19) => Ok(()),
        _ => {
            let expected = "one success and nineteen times 404";
            Err(Failure::new(expected, format!("{statuses:?}")))
        }
    }
}

/// What the single requests answer is open: they overtake each other.
async fn ends_one_way(target: Target) -> Outcome {
    let short = "in-and-out";
    let pairs = (0..15).map(|_| async {
        target.deploy(short, "cat", json!({})).await?;
        target.delete(short).await
    });
    for answer in join_all(pairs).await {
        answer?;
    }
    let (answer, listed) = target.listed(short).await?;
    let status = target.status(short).await?;
    match (listed.len(), status.status) {
        (0, 404) => target
            .send(target.call(Method::POST, short, ""))
            .await?
            .with_status(&[404, 502, 503])
            .map(drop),
        (1, 200) => target
            .call_until(&target.call(Method::POST, short, ""), 200)
            .await
            .map(drop),
        (count, status) => {
            let got = format!("listed {count} times, status {status}");
            Err(answer.fault("to be there both ways, or neither way", got))
        }
    }
}
