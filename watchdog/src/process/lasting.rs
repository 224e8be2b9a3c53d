//! A process that outlives calls: started once, logged, and ended after the last call.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::group::{Group, Pipes};
use super::pipes::{Patience, drain};
use super::{Children, Launch, Process, StartError};
use crate::go_text;
use crate::lines::LineLog;

/// How long the process may take to end after SIGTERM. There are no calls any more.
const GRACE: Duration = Duration::from_secs(5);
/// How long its last words are waited for once it has ended; its descendants may hold the pipes.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A handle to the running process. The runtime, when it ends, takes the process with it.
pub(crate) struct Lasting {
    ended: watch::Receiver<Option<String>>,
    stop: watch::Sender<bool>,
}

impl Lasting {
    /// Starts it and logs its stdout and stderr from then on.
    pub(crate) fn start(
        launch: Launch<'_>,
        children: &Children,
        logs: [LineLog; 2],
    ) -> Result<Self, StartError> {
        let process = launch.start(children)?;
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = watch::channel(None);
        tokio::spawn(async move {
            let status = supervise(process, logs, stopped).await;
            end.send_replace(Some(words(status)));
        });
        Ok(Self { ended, stop })
    }

    /// How it ended, once it has.
    pub(crate) async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(words) => words.clone().unwrap_or_default(),
            // The task that watched it is gone.
            Err(_) => "not watched any more".to_owned(),
        }
    }

    /// SIGTERM, a grace time, SIGKILL; returns when it has ended.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        self.ended().await;
    }
}

fn words(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| go_text::error(&error), go_text::end)
}

/// From start to end, with its stdin open and its output logged all the while.
async fn supervise(
    process: Process,
    [mut out, mut err]: [LineLog; 2],
    stopped: watch::Receiver<bool>,
) -> io::Result<ExitStatus> {
    let Process { group, pipes } = process;
    let Pipes {
        stdin,
        stdout,
        stderr,
    } = pipes;
    let (over, patience) = Patience::new();
    let life = async {
        let status = live(group, stopped).await;
        over.send_replace(Some(Instant::now() + LAST_WORDS));
        drop(stdin);
        status
    };
    let ((), (), status) = tokio::join!(
        log_stream("stdout", Some(stdout), patience.clone(), &mut out),
        log_stream("stderr", stderr, patience.clone(), &mut err),
        life,
    );
    status
}

async fn log_stream(name: &str, pipe: Option<Receiver>, patience: Patience, log: &mut LineLog) {
    let Some(pipe) = pipe else { return };
    log!("Started logging: {name} from function.");
    if let Err(error) = drain(pipe, patience, log).await {
        log!("Error reading {name}: {error}");
    }
}

/// Until it ends by itself, or is stopped.
async fn live(mut group: Group, mut stopped: watch::Receiver<bool>) -> io::Result<ExitStatus> {
    let stopped = async {
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            // Whoever could stop it is gone; the runtime is about to end, and the group with it.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        status = group.wait() => return status,
        () = stopped => group.signal(Signal::SIGTERM),
    }
    if let Ok(status) = timeout(GRACE, group.wait()).await {
        return status;
    }
    log!("Killing the function: it did not end within {GRACE:?} after SIGTERM");
    group.signal(Signal::SIGKILL);
    group.wait().await
}
