//! The ways to run a function. One room each.

mod body;
mod classic;
mod files;
mod forked;
mod serializing;
mod streaming;

use std::future::pending;

use http::Request;

use classic::Spares;

use crate::answer::Response;
use crate::config::{Config, Mode};
use crate::request::Body;
use crate::watchdog::{App, Error};

/// The function in its mode, ready to be called.
pub(crate) enum Function {
    Classic(Spares),
    Streaming,
    Serializing,
    Static,
}

impl Function {
    /// Makes ready what is to be there before the first call.
    pub(crate) fn start(config: &Config) -> Result<Self, Error> {
        match config.mode {
            Mode::Classic => Ok(Self::Classic(Spares::new(config.prefork))),
            Mode::Streaming => Ok(Self::Streaming),
            Mode::Serializing => Ok(Self::Serializing),
            Mode::Static => Ok(Self::Static),
            mode => Err(Error::ModeNotBuiltIn(mode)),
        }
    }

    /// Answers one request. Dropped when the caller hangs up, which ends all that was done for it.
    pub(crate) async fn call(&self, app: &App, request: Request<Body>) -> Response {
        match self {
            Self::Classic(spares) => classic::call(app, spares, request).await,
            Self::Streaming => streaming::call(app, request).await,
            Self::Serializing => serializing::call(app, request).await,
            Self::Static => files::call(app, request).await,
        }
    }

    /// Looks after the function between calls. Ends when it is gone for good, and the watchdog with it.
    pub(crate) async fn ended(&self, app: &App) -> Error {
        match self {
            Self::Classic(spares) => match spares.keep(app).await {},
            Self::Streaming | Self::Serializing | Self::Static => pending().await,
        }
    }

    /// Ends the function after the last call.
    pub(crate) async fn stop(&self) {
        match self {
            Self::Classic(spares) => spares.stop(),
            Self::Streaming | Self::Serializing | Self::Static => {}
        }
    }
}
