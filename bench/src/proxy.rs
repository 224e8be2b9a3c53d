//! The watchdog's mode http beside nginx as a bare proxy before the same process, in turns.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::load::{CONNECTIONS, calls, rate};
use crate::local::println_line;
use crate::paced::latencies;
use crate::process::{Process, free_port, load, until_ok};

/// Turns, of which the median counts.
const TURNS: usize = 5;
const PERIOD: Duration = Duration::from_secs(3);
/// Calls before the memory is looked at for the first time.
const WARM_UP: u64 = 20_000;

pub(crate) async fn measure(watchdog: &Path, count: u64) -> anyhow::Result<()> {
    println_line(&format!("load average before: {}", load()));
    let directory = tempfile::tempdir()?;
    let (watchdog, ports) = watchdog_and_function(watchdog, directory.path()).await?;
    let _nginx = nginx(directory.path(), ports).await?;
    println_line(&format!(
        "mode http, idle: {} kB resident",
        watchdog.kilobytes("VmRSS")?
    ));
    let ours = rates(ports)?;
    println_line(&format!("load average: {}", load()));
    delays(ports, ours / 2.0)?;
    memory(&watchdog, ports, count)?;
    println_line(&format!("load average after: {}", load()));
    Ok(())
}

/// Where to call the function past everything, through nginx, and through the watchdog.
#[derive(Clone, Copy)]
struct Ports {
    function: u16,
    nginx: u16,
    watchdog: u16,
}

impl Ports {
    fn each(self) -> [u16; 3] {
        [self.function, self.nginx, self.watchdog]
    }
}

/// The function is a process of the watchdog's, as it is in an image.
async fn watchdog_and_function(
    program: &Path,
    directory: &Path,
) -> anyhow::Result<(Process, Ports)> {
    let ports = Ports {
        function: free_port()?,
        nginx: free_port()?,
        watchdog: free_port()?,
    };
    let this = std::env::current_exe()?;
    let variables = [
        ("mode", "http".to_owned()),
        ("port", ports.watchdog.to_string()),
        ("metrics_port", "0".to_owned()),
        (
            "fprocess",
            format!("{} upstream {}", this.display(), ports.function),
        ),
        (
            "upstream_url",
            format!("http://127.0.0.1:{}", ports.function),
        ),
        ("healthcheck_interval", "0".to_owned()),
        ("TMPDIR", directory.display().to_string()),
    ];
    let watchdog = Process::start(program, &[], &variables)?.gently();
    until_ok(&format!("http://127.0.0.1:{}/", ports.watchdog)).await?;
    Ok((watchdog, ports))
}

async fn nginx(directory: &Path, ports: Ports) -> anyhow::Result<Process> {
    let settings = include_str!("../nginx.conf")
        .replace("UPSTREAM", &ports.function.to_string())
        .replace("PORT", &ports.nginx.to_string());
    let file = directory.join("nginx.conf");
    fs::write(&file, settings)?;
    let [prefix, file] = [directory, &file].map(|path| path.display().to_string());
    let nginx = Process::start(Path::new("nginx"), &["-p", &prefix, "-c", &file], &[])?.gently();
    until_ok(&format!("http://127.0.0.1:{}/", ports.nginx)).await?;
    Ok(nginx)
}

/// Requests a second of each; ours for further use.
fn rates(ports: Ports) -> anyhow::Result<f64> {
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let mut turn = [0.0; 3];
        for (found, port) in turn.iter_mut().zip(ports.each()) {
            *found = rate(port, PERIOD)?;
        }
        turns.push(turn);
    }
    let [function, nginx, watchdog] =
        [0, 1, 2].map(|which| median(turns.iter().map(|turn| turn[which])));
    let ratio = median(turns.iter().map(|[_, nginx, watchdog]| watchdog / nginx));
    println_line(&format!(
        "{CONNECTIONS} connections: {watchdog:.0} requests/s, nginx {nginx:.0} ({:.0} %), the function itself {function:.0}",
        ratio * 100.0
    ));
    Ok(watchdog)
}

/// What the proxies add to the time of an answer at a fixed rate.
fn delays(ports: Ports, rate: f64) -> anyhow::Result<()> {
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let mut turn = [[0.0; 2]; 3];
        for (found, port) in turn.iter_mut().zip(ports.each()) {
            let times = latencies(port, rate, PERIOD)?;
            *found = [0.5, 0.99].map(|share| {
                let at = (times.len() as f64 * share) as usize;
                times
                    .get(at)
                    .map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
            });
        }
        turns.push(turn);
    }
    for (at, name) in ["median", "99 %"].into_iter().enumerate() {
        let [function, nginx, watchdog] =
            [0, 1, 2].map(|which| median(turns.iter().map(|turn| turn[which][at])));
        let added = |which: usize| median(turns.iter().map(|turn| turn[which][at] - turn[0][at]));
        println_line(&format!(
            "{rate:.0} requests/s, {name}: {watchdog:.2} ms, nginx {nginx:.2}, the function itself {function:.2}; added {:.2} ms, nginx {:.2}",
            added(2),
            added(1)
        ));
    }
    Ok(())
}

fn memory(watchdog: &Process, ports: Ports, count: u64) -> anyhow::Result<()> {
    calls(ports.watchdog, WARM_UP)?;
    let before = watchdog.kilobytes("VmRSS")?;
    calls(ports.watchdog, count)?;
    println_line(&format!(
        "resident after the load: {before} kB, after {count} more calls: {} kB; highest: {} kB",
        watchdog.kilobytes("VmRSS")?,
        watchdog.kilobytes("VmHWM")?
    ));
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
