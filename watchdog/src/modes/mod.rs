//! The ways to run a function. One room each.

mod body;
mod classic;
mod files;
mod forked;
mod http;
mod serializing;
mod streaming;

use std::future::pending;
use std::pin::Pin;

use ::http::Request;

use classic::Spares;

use crate::answer::Response;
use crate::config::{Config, Mode};
use crate::process::Children;
use crate::request::Body;
use crate::watchdog::{App, Error};

/// The function in its mode, ready to be called.
pub(crate) enum Function {
    Classic(Spares),
    Streaming,
    Serializing,
    Http(Box<http::Http>),
    Static,
}

impl Function {
    /// Makes ready what is to be there before the first call.
    pub(crate) fn start(config: &Config, children: &Children) -> Result<Self, Error> {
        match config.mode {
            Mode::Classic => Ok(Self::Classic(Spares::new(config.prefork))),
            Mode::Streaming => Ok(Self::Streaming),
            Mode::Serializing => Ok(Self::Serializing),
            Mode::Static => Ok(Self::Static),
            Mode::Http => Ok(Self::Http(Box::new(http::Http::start(config, children)?))),
        }
    }

    /// Answers one request. Dropped when the caller hangs up, which ends all that was done for it.
    pub(crate) fn call<'a>(
        &'a self,
        app: &'a App,
        request: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Response> + Send + 'a>> {
        // Boxed, because the server moves the future around it several times, and each is some kilobytes.
        match self {
            Self::Classic(spares) => Box::pin(classic::call(app, spares, request)),
            Self::Streaming => Box::pin(streaming::call(app, request)),
            Self::Serializing => Box::pin(serializing::call(app, request)),
            Self::Http(http) => Box::pin(http.call(app, request)),
            Self::Static => Box::pin(files::call(app, request)),
        }
    }

    /// Whether it can be called: a process that is a server needs a moment to become one.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Http(http) => http.is_ready(),
            _ => true,
        }
    }

    /// Looks after the function between calls. Ends when it is gone for good, and the watchdog with it.
    pub(crate) async fn ended(&self, app: &App) -> Error {
        match self {
            Self::Classic(spares) => match spares.keep(app).await {},
            Self::Http(http) => http.ended().await,
            Self::Streaming | Self::Serializing | Self::Static => pending().await,
        }
    }

    /// Ends the function after the last call.
    pub(crate) async fn stop(&self) {
        match self {
            Self::Http(http) => http.stop().await,
            Self::Classic(spares) => spares.stop(),
            Self::Streaming | Self::Serializing | Self::Static => {}
        }
    }
}
