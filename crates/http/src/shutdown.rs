//! When to stop: SIGTERM and SIGINT. Only a `main` listens for them.

use tokio::signal::unix::{SignalKind, signal as listen};

/// Ends at the first SIGTERM or SIGINT; a second one ends the process at once, with 130, and whatever was in flight is cut.
/// A process that may not install handlers never ends by itself.
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
    tracing::info!(
        signal = name,
        "draining, then stopping; a second signal stops at once"
    );
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::warn!("stopped at once; calls in flight are cut");
        std::process::exit(130);
    });
}
