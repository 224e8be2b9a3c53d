//! Removing what a run made, and nothing else.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::http::{Answer, Request};
use crate::platform::{Made, Platform};
use crate::wait::eventually;

/// Nobody waits longer than this for an interrupted run to end.
const LONGEST: Duration = Duration::from_secs(20);

/// Removes everything, functions first: a platform may refuse to remove a secret in use.
pub(crate) async fn clean_up(platform: &Platform) -> Outcome {
    let made = platform.made().await;
    let limit = LONGEST.min(platform.options.timeout);
    for secrets in [false, true] {
        let batch = made.iter().filter(|made| made.is_secret() == secrets);
        let batch: Vec<_> = batch.collect();
        for made in &batch {
            // The next step looks whether it is gone, which says more than this answer does.
            let _ = remove(platform, made).await;
        }
        eventually(limit, async || all_gone(platform, &batch).await).await?;
    }
    Ok(())
}

async fn all_gone(platform: &Platform, batch: &[&Made]) -> Outcome {
    let mut left = None;
    for made in batch {
        if let Err(failure) = gone(platform, made).await {
            // Asked again: the first try may have met a deployment still under way.
            let _ = remove(platform, made).await;
            left.get_or_insert(failure);
        }
    }
    left.map_or(Ok(()), Err)
}

async fn remove(platform: &Platform, made: &Made) -> Outcome<Answer> {
    let (path, body) = match made {
        Made::Function { name, namespace } => (
            format!("/system/functions?namespace={namespace}"),
            json!({"functionName": name}),
        ),
        Made::Secret { name, namespace } => (
            "/system/secrets".to_owned(),
            json!({"name": name, "namespace": namespace}),
        ),
    };
    let request = Request::system(Method::DELETE, path).json(&body);
    platform.client.send(&request).await
}

/// A list is asked rather than a status: there is none for secrets.
async fn gone(platform: &Platform, made: &Made) -> Outcome {
    let (path, name) = match made {
        Made::Function { name, namespace } => ("/system/functions", (name, namespace)),
        Made::Secret { name, namespace } => ("/system/secrets", (name, namespace)),
    };
    let (name, namespace) = name;
    let request = Request::system(Method::GET, format!("{path}?namespace={namespace}"));
    let answer = platform.client.send(&request).await?;
    if answer.status == 404 {
        return Ok(());
    }
    let answer = answer.with_success()?;
    let there = answer
        .array()?
        .iter()
        .any(|item| item["name"] == name.as_str());
    match there {
        false => Ok(()),
        true => Err(Failure {
            expected: format!("{name} to be gone from {path} in {namespace}"),
            ..answer.fault("", "it is still listed; please remove it by hand")
        }),
    }
}

impl Made {
    fn is_secret(&self) -> bool {
        matches!(self, Self::Secret { .. })
    }
}
