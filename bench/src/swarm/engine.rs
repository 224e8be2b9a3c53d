//! The engine that `.ci/engine` started, asked by its client.

use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A task that runs.
pub(super) struct Running {
    /// What the container calls itself.
    pub(super) host: String,
    /// Since when Swarm says so.
    pub(super) since: OffsetDateTime,
}

/// A variable that `.ci/engine` sets.
pub(super) fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set: run bench/run swarm"))
}

/// What `docker` with these arguments, apart from each other by blanks, prints.
pub(super) fn docker(arguments: &str) -> anyhow::Result<String> {
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", variable("TEST_DOCKER_HOST")?);
    let output = command.args(arguments.split_whitespace()).output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "docker {arguments}: {words}");
    Ok(String::from_utf8(output.stdout)?)
}

fn inspect(what: &str) -> anyhow::Result<Vec<Value>> {
    Ok(serde_json::from_str(&docker(&format!("inspect {what}"))?)?)
}

fn time(value: &Value) -> anyhow::Result<OffsetDateTime> {
    let text = value.as_str().context("a time is missing")?;
    Ok(OffsetDateTime::parse(text, &Rfc3339)?)
}

/// When the engine took a service.
pub(super) fn created(service: &str) -> anyhow::Result<OffsetDateTime> {
    service_time(service, "CreatedAt")
}

/// When the engine took its last change.
pub(super) fn updated(service: &str) -> anyhow::Result<OffsetDateTime> {
    service_time(service, "UpdatedAt")
}

fn service_time(service: &str, which: &str) -> anyhow::Result<OffsetDateTime> {
    let found = inspect(&format!("--type service {service}"))?;
    time(&found.first().context("no such service")?[which])
}

/// The tasks of a service that run.
pub(super) fn running(service: &str) -> anyhow::Result<Vec<Running>> {
    let ids = docker(&format!(
        "service ps -q --no-trunc --filter desired-state=running {service}"
    ))?;
    let mut running = Vec::new();
    // Asked about nobody, the client complains.
    if ids.trim().is_empty() {
        return Ok(running);
    }
    for task in inspect(&ids)? {
        let status = &task["Status"];
        if status["State"] != "running" {
            continue;
        }
        let id = status["ContainerStatus"]["ContainerID"].as_str();
        running.push(Running {
            host: id.context("a task without a container")?[..12].to_owned(),
            since: time(&status["Timestamp"])?,
        });
    }
    Ok(running)
}

/// What a container uses.
pub(super) struct Sample {
    pub(super) megabytes: f64,
    /// Of a core, during the second before.
    pub(super) percent: f64,
}

/// What a container uses now, as `docker stats` counts it.
pub(super) fn stats(container: &str) -> anyhow::Result<Sample> {
    let text = docker(&format!(
        "stats --no-stream --format {{{{.MemUsage}}}}|{{{{.CPUPerc}}}} {container}"
    ))?;
    let (memory, share) = text.trim().split_once('|').context("no stats")?;
    let used = memory.split('/').next().unwrap_or_default().trim();
    let mebibytes = used.strip_suffix("MiB").context("not counted in MiB")?;
    Ok(Sample {
        megabytes: mebibytes.parse::<f64>()? * 1.048_576,
        percent: share.trim_end_matches('%').parse()?,
    })
}
