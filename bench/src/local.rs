//! faas-local: how soon it listens, what it weighs, how soon a function answers.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::process::{Process, free_port, load, spread, until_ok};

const STARTS: usize = 11;
const DEPLOYS: usize = 21;

pub(crate) async fn measure(programs: &Path) -> anyhow::Result<()> {
    println_line(&format!("load average before: {}", load()));
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let stack = Stack::start(programs)?;
        until_ok(&format!("{}/healthz", stack.url)).await?;
        starts.push(began.elapsed());
    }
    println_line(&spread("faas-local, start to first answer", starts));

    let stack = Stack::start(programs)?;
    until_ok(&format!("{}/healthz", stack.url)).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let resident = stack.process.kilobytes("VmRSS")?;
    println_line(&format!(
        "faas-local, resident memory idle: {:.1} MB",
        megabytes(resident)
    ));

    println_line(&spread(
        "deploy's 202 to the first call's 200",
        deploys(&stack).await?,
    ));
    println_line(&format!("load average after: {}", load()));
    Ok(())
}

pub(crate) struct Stack {
    pub(crate) process: Process,
    pub(crate) url: String,
    _data: tempfile::TempDir,
}

impl Stack {
    fn start(programs: &Path) -> anyhow::Result<Self> {
        Self::with(programs, &[])
    }

    /// With further settings.
    pub(crate) fn with(programs: &Path, further: &[(&str, String)]) -> anyhow::Result<Self> {
        let (port, metrics_port) = (free_port()?, free_port()?);
        let data = tempfile::tempdir()?;
        let variables = [
            ("port", port.to_string()),
            ("metrics_port", metrics_port.to_string()),
            ("data_dir", data.path().display().to_string()),
        ];
        let variables = [&variables, further].concat();
        let process = Process::start(&programs.join("faas-local"), &[], &variables)?;
        Ok(Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
            _data: data,
        })
    }
}

/// The first call is sent as soon as the 202 is there; the gateway holds it until a replica is ready.
async fn deploys(stack: &Stack) -> anyhow::Result<Vec<Duration>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut times = Vec::new();
    for number in 0..DEPLOYS {
        let name = format!("f{number}");
        let body = serde_json::json!({ "service": name, "image": "bench", "envProcess": "cat" });
        let deployed = client
            .post(format!("{}/system/functions", stack.url))
            .json(&body)
            .send()
            .await?;
        ensure!(
            deployed.status() == 202,
            "deploy answered {}",
            deployed.status()
        );
        let began = Instant::now();
        let called = client
            .post(format!("{}/function/{name}", stack.url))
            .body("x")
            .send()
            .await?;
        ensure!(
            called.status() == 200,
            "the call answered {}",
            called.status()
        );
        times.push(began.elapsed());
    }
    Ok(times)
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 * 1024.0 / 1e6
}

/// The figures are the program's output.
#[allow(clippy::print_stdout)]
pub(crate) fn println_line(line: &str) {
    println!("{line}");
}
