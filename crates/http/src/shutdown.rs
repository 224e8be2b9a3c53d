//! When to stop: SIGTERM and SIGINT. Only a `main` listens for them.

use tokio::signal::unix::{SignalKind, signal as listen};

/// Ends at the first SIGTERM or SIGINT. A process that may not install handlers never ends by itself.
pub async fn signal() {
    let (Ok(mut term), Ok(mut int)) = (
        listen(SignalKind::terminate()),
        listen(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    let name = tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    };
    tracing::info!(signal = name, "draining, then stopping");
}
