//! Why the watchdog cannot start with its variables.

/// A mistake in the variables that cannot be lived with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no function to run.
    // Compat: operators search for the beginning of this text.
    #[error("Provide a valid process via fprocess: the variable is unset or empty")]
    NoProcess,
    /// The same in a mode of the other program, where it has another status.
    #[error("Error loading config: no program is set by function_process or fprocess")]
    NoFunctionProcess,
    /// `mode` is no mode.
    #[error("unknown watchdog mode: {0}")]
    UnknownMode(String),
    /// `mode=inproc`: a program of its own is asked for.
    #[error(
        "watchdog mode inproc is for programs that contain the watchdog; this one has no function inside"
    )]
    InProcess,
    /// A switch that decides who may call is neither on nor off.
    #[error("Error loading config: {0}=\"{1}\" is neither true nor false")]
    Switch(&'static str, String),
    /// Tokens are for a function, and this one does not know which it is.
    #[error("Error loading config: jwt_auth needs OPENFAAS_NAME, the name of the function")]
    NoFunctionName,
    /// `jwt_authority` is nobody who could be asked.
    #[error(
        "Error loading config: jwt_authority must be like http://gateway.openfaas:8080, not \"{0}\""
    )]
    JwtAuthority(String),
    /// Every answer would be too late.
    #[error("Error loading config: HTTP write timeout must be over 0s")]
    NoWriteTimeout,
    /// `log_buffer_size` is no number.
    #[error("Error loading config: invalid log_buffer_size value: {0}")]
    LogBufferSize(String),
    /// Mode http does not know where the function listens.
    #[error(
        "Error loading config: http_upstream_url (or upstream_url) must be like http://127.0.0.1:3000, not \"{0}\""
    )]
    UpstreamUrl(String),
    /// Mode http does not know what the function speaks.
    #[error("Error loading config: upstream_protocol=\"{0}\" is neither http1 nor h2c")]
    UpstreamProtocol(String),
    /// Mode static has no directory.
    #[error("Error loading config: static_path is empty")]
    NoStaticPath,
    /// `ready_path` is no path.
    #[error("Error loading config: ready_path=\"{0}\" is no path")]
    ReadyPath(String),
    /// A process that has been started already cannot get variables of a call.
    #[error("prefork={0} needs mode=classic and cgi_headers=false")]
    Prefork(usize),
}

impl ConfigError {
    /// The exit status that the original gives.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::NoProcess | Self::UnknownMode(_) => 2,
            _ => 1,
        }
    }
}
