//! The watchdog as a value: bind it, run it, drain it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::access_log::AccessLog;
use crate::config::Config;
use crate::go_text;
use crate::health::Health;
use crate::jwt::Gate;
use crate::metrics::Metrics;
use crate::modes::Function;
use crate::places::Places;
use crate::process::{Children, Program, reap_orphans};
use crate::routes::route;
use crate::server::Server;
use crate::workers::{self, Workers};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// The metrics page is small; whoever takes longer than this is not reading it.
const METRICS_TIMEOUT: Duration = Duration::from_millis(500);
/// How long tunnels may take to pass on what the function said before it ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What every call needs.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) function: Function,
    pub(crate) program: Program,
    pub(crate) health: Health,
    pub(crate) places: Places,
    /// Who may call; everybody without it.
    pub(crate) gate: Option<Gate>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access_log: Arc<AccessLog>,
    pub(crate) children: Children,
}

/// A bound watchdog: `bind`, then `run`.
pub struct Watchdog {
    app: Arc<App>,
    listener: TcpListener,
    metrics: Option<TcpListener>,
}

/// Why a watchdog cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port cannot be had.
    // Compat: operators search for these words.
    #[error("Error ListenAndServe: listen tcp :{}: bind: {}", .0, go_text::error(.1))]
    Port(u16, #[source] io::Error),
    /// The listener that was handed over is none.
    #[error("the listener at descriptor 0 cannot be used: {0}")]
    Listener(#[source] io::Error),
    /// The lock file cannot be written.
    #[error("Cannot write {}. To disable lock-file set env suppress_lock=true. ({})", .0.display(), go_text::error(.1))]
    LockFile(PathBuf, #[source] io::Error),
    /// The process of mode http has ended, or never began, in these words.
    #[error("Forked function has terminated: {0}")]
    FunctionEnded(String),
    /// Nothing can be forwarded to this address.
    #[error("upstream_url={0} is no address of a server")]
    Upstream(http::Uri),
    /// The authority whose tokens callers need is not there, or says nothing of use.
    #[error("jwt_auth cannot be set up: {0}")]
    Jwt(String),
    /// The registry of the metrics cannot be set up.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl Error {
    /// The exit status for it.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::LockFile(..) => 2,
            _ => 1,
        }
    }
}

impl Watchdog {
    /// Asks the authority for its keys, where callers need a token, and takes the ports. A metrics port that cannot be had is told in the log; the function runs without it.
    ///
    /// # Errors
    /// When the function's port cannot be had, or there is no authority.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        let gate = gate(&config).await?;
        let listener = listen(config.port).map_err(|error| Error::Port(config.port, error))?;
        Self::on(config, listener, gate)
    }

    /// Serves on a listener that somebody else bound, in place of `port`.
    ///
    /// # Errors
    /// When the listener cannot be used, or there is no authority.
    pub async fn on_listener(
        config: Config,
        listener: std::net::TcpListener,
    ) -> Result<Self, Error> {
        let gate = gate(&config).await?;
        listener.set_nonblocking(true).map_err(Error::Listener)?;
        let listener = TcpListener::from_std(listener).map_err(Error::Listener)?;
        Self::on(config, listener, gate)
    }

    fn on(config: Config, listener: TcpListener, gate: Option<Gate>) -> Result<Self, Error> {
        let metrics = match config.metrics_port {
            0 => None,
            port => listen_for_metrics(port),
        };
        let children = Children::default();
        let app = App {
            function: Function::start(&config, &children)?,
            program: Program::split(&config.fprocess),
            health: Health::new(&config),
            places: Places::new(config.max_inflight),
            gate,
            metrics: Arc::new(Metrics::new()?),
            access_log: Arc::default(),
            children,
            config,
        };
        Ok(Self {
            app: Arc::new(app),
            listener,
            metrics,
        })
    }

    /// The address of the function.
    ///
    /// # Errors
    /// When the listener is no usable socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` ends; then is unhealthy for `healthcheck_interval`, closes the port, and gives the calls
    /// in flight `write_timeout` to end. Processes of calls that are cut off are killed.
    ///
    /// # Errors
    /// When the lock file cannot be written, or the function is gone for good.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self {
            app,
            listener,
            metrics,
        } = self;
        announce(&app, &listener, metrics.as_ref());
        app.health
            .lock()
            .map_err(|(path, error)| Error::LockFile(path, error))?;
        let mut beside = JoinSet::new();
        let access_log = Arc::clone(&app.access_log);
        beside.spawn(async move { access_log.run().await });
        if let Some(listener) = metrics {
            beside.spawn(serve_metrics(listener, Arc::clone(&app.metrics)));
        }
        if std::process::id() == 1 {
            beside.spawn(reap_orphans(app.children.clone()));
        }
        let (open, tunnels) = watch::channel(());
        let mut workers = Workers::up_to(workers::processors());
        let served = serve(Arc::clone(&app), listener, &mut workers, tunnels, shutdown);
        let ended = tokio::select! {
            () = served => Ok(()),
            error = app.function.ended(&app) => Err(error),
        };
        app.function.stop().await;
        // What it said to its WebSockets when it was told to stop is on its way; then they end.
        let _ = timeout(LAST_WORDS, open.closed()).await;
        ended
    }
}

/// What callers need to get through. Tells what was odd about the variables first: this may take a while, or fail.
async fn gate(config: &Config) -> Result<Option<Gate>, Error> {
    for warning in &config.warnings {
        log!("{warning}");
    }
    match &config.jwt_auth {
        Some(jwt) => Gate::set_up(jwt).await.map(Some).map_err(Error::Jwt),
        None => Ok(None),
    }
}

/// Serves calls until the shutdown is through.
async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    workers: &mut Workers,
    tunnels: watch::Receiver<()>,
    shutdown: impl Future<Output = ()>,
) {
    let server = Server {
        workers,
        read_timeout: app.config.read_timeout.get(),
        write_timeout: app.config.write_timeout.get(),
        tunnels,
    };
    let handler = {
        let app = Arc::clone(&app);
        move |request| route(Arc::clone(&app), request)
    };
    let stop = async {
        shutdown.await;
        retire(&app).await;
    };
    let left = server
        .run(listener, handler, stop, app.config.write_timeout.get())
        .await;
    app.access_log.flush();
    if left > 0 {
        log!("Error in Shutdown: context deadline exceeded");
    }
    log!("Exiting. Active connections: {left}");
}

/// Tells the world that this replica is going, and gives it time to notice.
async fn retire(app: &App) {
    let interval = app.config.healthcheck_interval;
    log!("SIGTERM: no new connections in {interval}");
    app.health.stop_accepting();
    if let Some(interval) = interval.get() {
        sleep(interval).await;
    }
    let in_flight = app.metrics.in_flight();
    log!("No new connections allowed, draining: {in_flight} requests");
}

async fn serve_metrics(listener: TcpListener, metrics: Arc<Metrics>) {
    let server = Server {
        workers: &mut Workers::up_to(1),
        read_timeout: Some(METRICS_TIMEOUT),
        write_timeout: Some(METRICS_TIMEOUT),
        tunnels: watch::channel(()).1,
    };
    let handler = move |request| std::future::ready(metrics.page(&request));
    server
        .run(listener, handler, std::future::pending(), None)
        .await;
}

fn announce(app: &App, listener: &TcpListener, metrics: Option<&TcpListener>) {
    let config = &app.config;
    // Compat: the full stop is the classic watchdog's.
    let stop = if config.mode.is_classic() {
        "."
    } else {
        log!(
            "Watchdog mode: {}\tfprocess: \"{}\"",
            config.mode,
            config.fprocess.display()
        );
        ""
    };
    log!(
        "Timeouts: read: {} write: {} hard: {} health: {}{stop}",
        config.read_timeout,
        config.write_timeout,
        config.exec_timeout,
        config.healthcheck_interval
    );
    if let Ok(address) = listener.local_addr() {
        log!("Listening on port: {}", address.port());
    }
    if let Some(Ok(address)) = metrics.map(TcpListener::local_addr) {
        log!("Metrics listening on port: {}", address.port());
    }
}

fn listen_for_metrics(port: u16) -> Option<TcpListener> {
    listen(port)
        .inspect_err(|error| {
            let error = go_text::error(error);
            log!("Warning: no metrics: listen tcp :{port}: bind: {error}");
        })
        .ok()
}

/// All interfaces, IPv6 and IPv4; the latter alone where there is no IPv6.
fn listen(port: u16) -> io::Result<TcpListener> {
    let bind = |socket: TcpSocket, address: SocketAddr| {
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let both =
        TcpSocket::new_v6().and_then(|socket| bind(socket, (Ipv6Addr::UNSPECIFIED, port).into()));
    match both {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            bind(TcpSocket::new_v4()?, (Ipv4Addr::UNSPECIFIED, port).into())
        }
        both => both,
    }
}
