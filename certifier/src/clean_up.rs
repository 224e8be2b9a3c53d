//! Removing what a run made, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use hyper::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::failure::{Failure, Outcome};
use crate::http::{Answer, Request};
use crate::platform::{Made, Platform};
use crate::wait::eventually;

/// Nobody waits longer than this for an interrupted run to end.
const LONGEST: Duration = Duration::from_secs(20);

/// So many requests at a time.
const AT_ONCE: usize = 8;

/// Removes everything, in an order in which nothing is in use any more.
pub(crate) async fn clean_up(platform: &Platform) -> Outcome {
    let made = platform.made().await;
    let limit = LONGEST.min(platform.options.timeout);
    for turn in 0..3 {
        let batch: Vec<_> = made.iter().filter(|made| made.turn() == turn).collect();
        eventually(limit, async || all_gone(platform, &batch).await).await?;
    }
    Ok(())
}

/// Looks what is left, and removes it: an earlier try may have met a deployment still under way.
async fn all_gone(platform: &Platform, batch: &[&Made]) -> Outcome {
    let left = left(platform, batch).await?;
    let Some((_, failure)) = left.first().cloned() else {
        return Ok(());
    };
    let mut requests = Vec::new();
    for (made, _) in &left {
        requests.push(remove(platform, made));
    }
    // The next look says more than these answers do.
    stream::iter(requests)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    Err(failure)
}

/// What is still listed. Lists are asked rather than statuses: there are none for secrets.
async fn left<'a>(platform: &Platform, batch: &[&'a Made]) -> Outcome<Vec<(&'a Made, Failure)>> {
    let lists: BTreeSet<_> = batch.iter().map(|made| list_of(made)).collect();
    let mut left = Vec::new();
    for list in lists {
        let request = Request::system(Method::GET, &list);
        let answer = platform.client.send(&request).await?;
        // A namespace that was refused holds nothing.
        if matches!(answer.status, 400 | 404) {
            continue;
        }
        let answer = answer.with_success()?;
        let listed = answer.array()?;
        let is = |item: &Value, made: &Made| item["name"] == made.name() || item == made.name();
        let there = |made: &Made| listed.iter().any(|item| is(item, made));
        let here = batch.iter().filter(|made| list_of(made) == list);
        left.extend(
            here.filter(|made| there(made))
                .map(|made| (*made, still_there(&answer, made))),
        );
    }
    Ok(left)
}

fn encode(namespace: &str) -> String {
    form_urlencoded::byte_serialize(namespace.as_bytes()).collect()
}

fn route_of(made: &Made) -> &'static str {
    match made {
        Made::Function { .. } => "/system/functions",
        Made::Secret { .. } => "/system/secrets",
        Made::Namespace { .. } => "/system/namespaces",
    }
}

fn list_of(made: &Made) -> String {
    let route = route_of(made);
    match made.namespace() {
        Some(namespace) => format!("{route}?namespace={}", encode(namespace)),
        None => route.to_owned(),
    }
}

fn still_there(answer: &Answer, made: &Made) -> Failure {
    let (name, route) = (made.name(), route_of(made));
    let place = made.namespace().map(|namespace| format!(" in {namespace}"));
    answer.fault(
        format!(
            "{name} to be gone from {route}{}",
            place.unwrap_or_default()
        ),
        "it is still listed; please remove it by hand",
    )
}

/// Asks for the removal of one thing.
pub(crate) async fn remove(platform: &Platform, made: &Made) -> Outcome<Answer> {
    let (path, body) = match made {
        Made::Function { name, namespace } => (
            format!("/system/functions?namespace={}", encode(namespace)),
            json!({"functionName": name}),
        ),
        Made::Secret { name, namespace } => (
            "/system/secrets".to_owned(),
            json!({"name": name, "namespace": namespace}),
        ),
        Made::Namespace { name } => (
            format!("/system/namespace/{}", encode(name)),
            json!({"name": name}),
        ),
    };
    let request = Request::system(Method::DELETE, path).json(&body);
    platform.client.send(&request).await
}
