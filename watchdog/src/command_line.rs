//! The program behind `main`, so that a provider can be the watchdog as well: it starts itself again and calls this.

use std::ffi::OsString;
use std::future::pending;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Limit};
use crate::flags::{self, Flags};
use crate::health::LOCK_FILE;
use crate::watchdog::{Error, Watchdog};
use crate::workers;

/// Runs the watchdog as `fwatchdog` would with these arguments (without the program's name) and this environment.
///
/// Returns when it has been told to stop by SIGTERM, or cannot start. To be called once per process, before anything
/// else listens for signals.
pub fn command_line(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let flags = match Flags::parse(arguments) {
        Ok(flags) => flags,
        Err(error) => {
            say(&format!("{error}\n{}", flags::usage()));
            return ExitCode::from(2);
        }
    };
    let environment: Vec<_> = environment.into_iter().collect();
    if flags.help {
        say(&flags::usage());
        return ExitCode::SUCCESS;
    }
    if flags.run_healthcheck {
        return health_check(&environment);
    }
    log!("Version: {}\tSHA: {}", version(), commit());
    if flags.version {
        return ExitCode::SUCCESS;
    }
    serve(&flags, environment)
}

fn serve(flags: &Flags, environment: Vec<(OsString, OsString)>) -> ExitCode {
    let mut config = match Config::read(environment) {
        Ok(config) => config,
        Err(error) => {
            say(&format!("{error}\n"));
            return ExitCode::from(error.exit_status());
        }
    };
    config.metrics_port = flags.metrics_port.unwrap_or(config.metrics_port);
    if let Some(interval) = flags.healthcheck_interval {
        config.healthcheck_interval = Limit::new(interval);
    }
    let runtime = match workers::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("no runtime: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(serve_until_told(config, flags.inherit_listener));
    // A process that cannot be reaped, or a disk that hangs, must not hold up the end.
    runtime.shutdown_background();
    served.unwrap_or_else(|error| {
        say(&format!("{error}\n"));
        ExitCode::from(error.exit_status())
    })
}

async fn serve_until_told(config: Config, inherit: bool) -> Result<ExitCode, Error> {
    let mut told = pin!(signalled(SignalKind::terminate()));
    let mut interrupted = pin!(signalled(SignalKind::interrupt()));
    let bound = async {
        if inherit {
            let listener = inherited_listener().map_err(Error::Listener)?;
            Watchdog::on_listener(config, listener).await
        } else {
            Watchdog::bind(config).await
        }
    };
    // Binding may take a while where an authority has to be asked.
    let watchdog = tokio::select! {
        bound = bound => bound?,
        () = &mut told => return Ok(ExitCode::SUCCESS),
        () = &mut interrupted => return Ok(ExitCode::from(130)),
    };
    tokio::select! {
        served = watchdog.run(told) => served.map(|()| ExitCode::SUCCESS),
        // At once, and the lock file stays, as it always was. The runtime drops the calls, which kills their functions.
        () = interrupted => Ok(ExitCode::from(130)),
    }
}

/// Listens from now on, ends at the signal.
fn signalled(kind: SignalKind) -> impl Future<Output = ()> {
    let listening = signal(kind);
    async move {
        match listening {
            Ok(mut listening) => drop(listening.recv().await),
            Err(_) => pending().await,
        }
    }
}

/// The listener at descriptor 0, which then becomes an empty pipe: the port must be closed when the listener is.
fn inherited_listener() -> io::Result<TcpListener> {
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    listener.local_addr()?;
    let (nothing, _) = io::pipe()?;
    nix::unistd::dup2_stdin(nothing)?;
    Ok(listener)
}

/// For the HEALTHCHECK of images without a shell: needs no configuration, prints nothing when all is well.
fn health_check(environment: &[(OsString, OsString)]) -> ExitCode {
    let directory = environment
        .iter()
        .find(|(name, value)| name == "TMPDIR" && !value.is_empty())
        .map_or(Path::new("/tmp").to_owned(), |(_, value)| {
            PathBuf::from(value)
        });
    if directory.join(LOCK_FILE).exists() {
        return ExitCode::SUCCESS;
    }
    say("unable to find lock file.\n");
    ExitCode::FAILURE
}

fn version() -> &'static str {
    option_env!("FAAS_VERSION").unwrap_or(env!("CARGO_PKG_VERSION"))
}

fn commit() -> &'static str {
    option_env!("FAAS_COMMIT").unwrap_or("unknown")
}

fn say(words: &str) {
    let _ = io::stderr().lock().write_all(words.as_bytes());
}
