//! What a function uses: its replicas' processes, all of which are on this machine.

use std::sync::Arc;
use std::time::Duration;

use faas_provider::FunctionUsage;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::function::{Running, Tools};
use crate::sandbox::Used;

/// Time between two readings, from which a share of the processors is told.
const WINDOW: Duration = Duration::from_millis(300);

/// Measures now; `None` where nothing runs.
pub(crate) async fn measure(tools: Arc<Tools>, running: Running) -> Option<FunctionUsage> {
    let pids = running.all();
    if pids.is_empty() {
        return None;
    }
    let began = Instant::now();
    let before = read(&tools, pids.clone()).await?;
    sleep(WINDOW).await;
    let after = read(&tools, pids).await?;
    let elapsed = began.elapsed().as_secs_f64();
    let both = before.iter().zip(&after);
    let cpu: f64 = both
        .map(|(before, after)| after.cpu.saturating_sub(before.cpu).as_secs_f64())
        .sum();
    let memory: u64 = after.iter().map(|used| used.memory_bytes).sum();
    Some(FunctionUsage {
        cpu: (cpu / elapsed * 1000.0).round(),
        total_memory_bytes: bytes(memory),
    })
}

/// Reads /proc, which blocks.
async fn read(tools: &Arc<Tools>, pids: Vec<u32>) -> Option<Vec<Used>> {
    let tools = Arc::clone(tools);
    let read = move || pids.iter().map(|pid| tools.sandbox.used(*pid)).collect();
    spawn_blocking(read).await.ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "exact below eight million gigabytes"
)]
fn bytes(count: u64) -> f64 {
    count as f64
}
