//! Where the process listens, and whether it does yet.

use std::sync::Arc;
use std::time::Duration;

use ::http::Uri;
use ::http::uri::Authority;
use faas_http::forward::Upstream;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long calls are held for a process that does not listen yet; later ones fail at once.
const START: Duration = Duration::from_secs(60);
/// Pauses between attempts to connect: short at first, for a quick start.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(100)];
/// Longest attempt.
const ATTEMPT: Duration = Duration::from_secs(1);

/// The upstream, and the watch for its first connection.
pub(super) struct Listening {
    upstreams: [Arc<Upstream>; 1],
    there: watch::Receiver<bool>,
    held_until: Instant,
    knocking: AbortHandle,
}

impl Listening {
    /// Starts knocking at the URL's port. A path in the URL is put before all paths.
    pub(super) fn wait_for(url: &Uri) -> Option<Self> {
        let host = url.host()?;
        let port = url.port_u16().unwrap_or(80);
        let authority: Authority = format!("{host}:{port}").parse().ok()?;
        let prefix = url.path().trim_end_matches('/');
        let upstream = Upstream::below("function", authority, prefix);
        let (found, there) = watch::channel(false);
        let host = host.trim_matches(['[', ']']).to_owned();
        let knocking = tokio::spawn(async move {
            knock(&host, port).await;
            found.send_replace(true);
        });
        Some(Self {
            upstreams: [upstream],
            there,
            held_until: Instant::now() + START,
            knocking: knocking.abort_handle(),
        })
    }

    pub(super) fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }

    pub(super) fn is_there(&self) -> bool {
        *self.there.borrow()
    }

    /// Waits for the first connection, or until waiting makes no sense any more.
    pub(super) async fn reached(&self) {
        if self.is_there() {
            return;
        }
        let mut there = self.there.clone();
        tokio::select! {
            _ = there.wait_for(|there| *there) => {}
            () = sleep_until(self.held_until) => {}
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.knocking.abort();
    }
}

async fn knock(host: &str, port: u16) {
    let [mut pause, longest] = PAUSES;
    while !matches!(
        timeout(ATTEMPT, TcpStream::connect((host, port))).await,
        Ok(Ok(_))
    ) {
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}
