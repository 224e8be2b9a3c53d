//! What is measured.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use reqwest::Method;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::engine::{created, running, stats, updated};
use super::platform::Platform;
use crate::local::println_line;
use crate::process::spread;

const DEPLOYS: usize = 11;
const COLD_STARTS: usize = 25;
const SCALINGS: usize = 3;
const REPLICAS: usize = 10;
const CALLERS: usize = 4;
const FUNCTIONS: usize = 200;
const AWAKE: usize = 20;
const LISTS: usize = 21;
/// How often an idle platform is looked at, for a second each.
const SAMPLES: u32 = 20;
/// Longest wait for what Swarm does.
const PATIENCE: Duration = Duration::from_secs(120);

/// From a deployment's request to the first call's answer, and what of it was not between the engine's taking the service
/// and the engine's saying that its task runs: the rest of the way, and the function's own start, are in that.
pub(super) async fn deploys(platform: &Platform) -> anyhow::Result<()> {
    let (mut whole, mut ours) = (Vec::new(), Vec::new());
    for number in 0..DEPLOYS {
        let name = format!("deployed-{number}");
        let began = Instant::now();
        platform.deploy(&name, "cat").await?;
        platform.call(&name).await?;
        let took = began.elapsed();
        let since = running(&name)?.first().map(|task| task.since);
        let engine = since.unwrap_or(OffsetDateTime::UNIX_EPOCH) - created(&name)?;
        let engine = Duration::try_from(engine)?;
        whole.push(took);
        ours.push(took.saturating_sub(engine));
        platform.delete(&name).await?;
    }
    println_line(&spread("deployment to the first call's 200", whole));
    println_line(&spread("of that, outside of the engine", ours));
    Ok(())
}

/// From a call of a function at zero to its answer, and what of it was not between the engine's taking the change and the
/// engine's saying that the task runs.
pub(super) async fn cold(platform: &Platform) -> anyhow::Result<()> {
    platform.deploy("cold", "cat").await?;
    platform.call("cold").await?;
    let (mut whole, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..COLD_STARTS {
        platform.scale("cold", 0).await?;
        until(async || matches!(running("cold"), Ok(tasks) if tasks.is_empty())).await?;
        let began = Instant::now();
        platform.call("cold").await?;
        let took = began.elapsed();
        let since = running("cold")?.first().map(|task| task.since);
        let engine = since.unwrap_or(OffsetDateTime::UNIX_EPOCH) - updated("cold")?;
        whole.push(took);
        ours.push(took.saturating_sub(Duration::try_from(engine)?));
    }
    println_line(&spread("cold start, image present", whole));
    println_line(&spread("of that, outside of the engine", ours));
    platform.delete("cold").await
}

type FirstSeen = Arc<Mutex<HashMap<String, OffsetDateTime>>>;

/// Calls without a pause, and notes when a replica answers for the first time.
async fn meet(platform: Platform, seen: FirstSeen) -> anyhow::Result<()> {
    loop {
        let host = platform.call("scaled").await?;
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(host).or_insert_with(OffsetDateTime::now_utc);
    }
}

/// From a task's running to the first call that its replica answers.
pub(super) async fn scaling(platform: &Platform) -> anyhow::Result<()> {
    platform.deploy("scaled", "hostname").await?;
    let mut delays = Vec::new();
    for _ in 0..SCALINGS {
        let seen = FirstSeen::default();
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(meet(platform.clone(), Arc::clone(&seen)));
        }
        until(async || known(&seen).len() == 1).await?;
        let before = known(&seen);
        platform.scale("scaled", REPLICAS as u64).await?;
        until(async || known(&seen).len() == REPLICAS).await?;
        ensure!(callers.try_join_next().is_none(), "a call failed");
        drop(callers);
        let seen = known(&seen);
        for task in running("scaled")? {
            if let (false, Some(first)) = (before.contains_key(&task.host), seen.get(&task.host)) {
                delays.push(Duration::try_from(*first - task.since).unwrap_or_default());
            }
        }
        platform.scale("scaled", 1).await?;
        until(async || matches!(running("scaled"), Ok(tasks) if tasks.len() == 1)).await?;
    }
    println_line(&spread(
        "scaled from 1 to 10: from running to a new replica's first call",
        delays,
    ));
    platform.delete("scaled").await
}

fn known(seen: &FirstSeen) -> HashMap<String, OffsetDateTime> {
    seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

async fn until(mut holds: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        ensure!(Instant::now() < deadline, "waited in vain");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Many functions, most of them at zero: listed, and idle.
pub(super) async fn many(platform: &Platform) -> anyhow::Result<()> {
    for number in 0..FUNCTIONS {
        let name = format!("one-of-many-{number}");
        platform.deploy(&name, "cat").await?;
        if number >= AWAKE {
            platform.scale(&name, 0).await?;
        }
    }
    until(async || matches!(list(platform).await, Ok((_, AWAKE)))).await?;
    let mut lists = Vec::new();
    for _ in 0..LISTS {
        lists.push(list(platform).await?.0);
    }
    println_line(&spread(
        "200 functions, 180 of them at zero: listed through the gateway",
        lists,
    ));
    idle("provider")?;
    idle("gateway")
}

/// How long a list took, and how many replicas are available in it.
async fn list(platform: &Platform) -> anyhow::Result<(Duration, usize)> {
    let began = Instant::now();
    let answer = platform
        .ask(Method::GET, "/system/functions", String::new())
        .await?;
    let text = answer.text().await?;
    let took = began.elapsed();
    let functions: Vec<Value> = serde_json::from_str(&text)?;
    ensure!(
        functions.len() == FUNCTIONS,
        "{} functions",
        functions.len()
    );
    let available = |function: &&Value| function["availableReplicas"].as_u64() > Some(0);
    Ok((took, functions.iter().filter(available).count()))
}

/// What a part costs while nobody calls, as Docker counts it: its memory, and the mean of its samples of a second.
fn idle(part: &str) -> anyhow::Result<()> {
    let mut share = 0.0;
    let mut megabytes = 0.0;
    for _ in 0..SAMPLES {
        let sample = stats(part)?;
        share += sample.percent / f64::from(SAMPLES);
        megabytes = sample.megabytes;
    }
    println_line(&format!(
        "idle with them: {part} {megabytes:.1} MB, {share:.2} % of a core ({SAMPLES} samples)"
    ));
    Ok(())
}
