//! Settings, read once at the start. Field names are the variable names.
//!
//! Tolerant on purpose: the watchdog ships in images that already exist, so an odd value takes the default (or what the
//! original made of it) and a warning in the log, where the other services would refuse to start.

mod error;
mod inherited;
mod jwt;
mod limit;
mod mode;
mod reader;
mod variables;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use faas_http::forward::Protocol;
use http::Uri;
use http::uri::PathAndQuery;

pub use error::ConfigError;
pub use inherited::Inherited;
pub use jwt::JwtAuth;
pub use limit::Limit;
pub use mode::Mode;
use reader::Reader;
pub use variables::{VARIABLES, Variable};

/// Settings of the watchdog. Field names are the variable names, which `--help` explains with their defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the function is run.
    pub mode: Mode,
    /// The function process, split at single spaces. Empty in mode static.
    pub fprocess: OsString,
    /// Port of the function, on all interfaces. 0 takes a free one.
    pub port: u16,
    /// Port of `/metrics`. 0 means none.
    pub metrics_port: u16,
    /// Longest wait for a request's headers, for its body, and between two requests.
    pub read_timeout: Limit,
    /// Longest time from the end of the headers to the last byte of the answer; also the longest drain.
    pub write_timeout: Limit,
    /// Longest run of one function process.
    pub exec_timeout: Limit,
    /// Wait between SIGTERM and the closing of the port.
    pub healthcheck_interval: Limit,
    /// Most calls at once; `None` is no limit.
    pub max_inflight: Option<usize>,
    /// Whether to do without the lock file.
    pub suppress_lock: bool,
    /// Content-Type of every successful answer; empty means the request's own, or a guess.
    pub content_type: String,
    /// Whether the request is described to the function in `Http_*` variables.
    pub cgi_headers: bool,
    /// Whether stderr belongs to the answer; otherwise to the log.
    pub combine_output: bool,
    /// Whether stdin gets the request as a JSON envelope.
    pub marshal_request: bool,
    /// Whether outputs and more details are logged.
    pub write_debug: bool,
    /// Whether the headers of requests and answers are printed.
    pub debug_headers: bool,
    /// Mode http: where the function listens. `http_upstream_url` or `upstream_url`; always set in that mode.
    pub upstream_url: Option<Uri>,
    /// Mode http: what the function speaks.
    pub upstream_protocol: Protocol,
    /// Mode http: whether a request body is read whole before it is sent on. Also `buffer_http`.
    pub http_buffer_req_body: bool,
    /// Mode static: the directory of the files.
    pub static_path: PathBuf,
    /// The path of the function that says whether it is ready.
    pub ready_path: Option<PathAndQuery>,
    /// Whether lines that the function logs get the time and the name of their stream.
    pub prefix_logs: bool,
    /// Longest line of a function's log, in bytes; longer ones are split.
    pub log_buffer_size: usize,
    /// Whether access lines end with the call's id.
    pub log_callid: bool,
    /// How many processes are started ahead, in mode classic.
    pub prefork: usize,
    /// Whose tokens callers need; `None`: the function is open.
    pub jwt_auth: Option<JwtAuth>,
    /// `TMPDIR`: where the lock file and large bodies are kept.
    pub temporary_directory: PathBuf,
    /// What every function process inherits.
    pub environment: Inherited,
    /// What was odd about the variables, for the log.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads the variables, usually `std::env::vars_os()`.
    ///
    /// # Errors
    /// When there is no function, or something is asked for that cannot be done.
    pub fn read(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let environment: Vec<_> = environment.into_iter().collect();
        let mut reader = Reader::new(&environment);
        let mode = Mode::read(&reader)?;
        let write_timeout = write_timeout(&mut reader, mode)?;
        Ok(Self {
            mode,
            fprocess: fprocess(&reader, mode)?,
            port: reader.port("port"),
            metrics_port: reader.port("metrics_port"),
            read_timeout: reader.limit("read_timeout"),
            write_timeout,
            exec_timeout: exec_timeout(&mut reader, mode),
            healthcheck_interval: reader.limit_or("healthcheck_interval", write_timeout),
            max_inflight: Some(reader.number("max_inflight")).filter(|most| *most > 0),
            suppress_lock: reader.switch_in(mode, "suppress_lock"),
            content_type: content_type(&reader, mode),
            cgi_headers: reader.switch("cgi_headers"),
            combine_output: reader.switch("combine_output"),
            marshal_request: reader.switch("marshal_request"),
            write_debug: reader.switch("write_debug"),
            debug_headers: reader.switch("debug_headers"),
            upstream_url: upstream_url(&reader, mode)?,
            upstream_protocol: upstream_protocol(&reader)?,
            http_buffer_req_body: buffers(&mut reader),
            static_path: static_path(&reader, mode)?,
            ready_path: ready_path(&reader)?,
            prefix_logs: reader.wide_switch("prefix_logs"),
            log_buffer_size: reader.line_limit("log_buffer_size", mode)?,
            log_callid: reader.wide_switch("log_callid"),
            prefork: prefork(&mut reader, mode)?,
            jwt_auth: JwtAuth::read(&reader)?,
            temporary_directory: reader.raw("TMPDIR").unwrap_or("/tmp".into()).into(),
            warnings: reader.into_warnings(),
            environment: Inherited::from(environment),
        })
    }
}

/// The program. Not needed for files.
fn fprocess(reader: &Reader<'_>, mode: Mode) -> Result<OsString, ConfigError> {
    if mode.is_classic() {
        return reader.raw("fprocess").ok_or(ConfigError::NoProcess);
    }
    // Compat: `function_process` counts even when it is empty.
    let set = reader.present("function_process");
    let program = set.or_else(|| reader.present("fprocess"));
    match program.filter(|program| !program.is_empty()) {
        Some(program) => Ok(program),
        None if mode == Mode::Static => Ok(OsString::new()),
        None => Err(ConfigError::NoFunctionProcess),
    }
}

fn content_type(reader: &Reader<'_>, mode: Mode) -> String {
    let octets = || "application/octet-stream".into();
    let set = reader.raw("content_type");
    set.or_else(|| (!mode.is_classic()).then(octets))
        .map_or_else(String::new, |set| set.to_string_lossy().into_owned())
}

/// Where the function listens, in mode http.
fn upstream_url(reader: &Reader<'_>, mode: Mode) -> Result<Option<Uri>, ConfigError> {
    if mode != Mode::Http {
        return Ok(None);
    }
    let set = reader.present("http_upstream_url");
    let set = set.or_else(|| reader.present("upstream_url"));
    let text = set.unwrap_or_default().to_string_lossy().into_owned();
    let url = text.parse::<Uri>().ok();
    url.filter(|url| url.scheme().is_some() && url.host().is_some())
        .map(Some)
        .ok_or(ConfigError::UpstreamUrl(text))
}

fn upstream_protocol(reader: &Reader<'_>) -> Result<Protocol, ConfigError> {
    match reader.text("upstream_protocol").as_str() {
        "http1" => Ok(Protocol::Http1),
        "h2c" => Ok(Protocol::Http2),
        other => Err(ConfigError::UpstreamProtocol(other.to_owned())),
    }
}

fn static_path(reader: &Reader<'_>, mode: Mode) -> Result<PathBuf, ConfigError> {
    match reader.present("static_path") {
        Some(empty) if empty.is_empty() && mode == Mode::Static => Err(ConfigError::NoStaticPath),
        Some(set) => Ok(set.into()),
        None => Ok(reader.text("static_path").into()),
    }
}

fn ready_path(reader: &Reader<'_>) -> Result<Option<PathAndQuery>, ConfigError> {
    let Some(set) = reader.raw("ready_path") else {
        return Ok(None);
    };
    let text = set.to_string_lossy().into_owned();
    let path = if text.starts_with('/') {
        text.parse()
    } else {
        format!("/{text}").parse()
    };
    path.map(Some).map_err(|_| ConfigError::ReadyPath(text))
}

fn write_timeout(reader: &mut Reader<'_>, mode: Mode) -> Result<Limit, ConfigError> {
    let limit = reader.limit("write_timeout");
    if limit.is_zero() && !mode.is_classic() {
        return Err(ConfigError::NoWriteTimeout);
    }
    Ok(limit)
}

fn exec_timeout(reader: &mut Reader<'_>, mode: Mode) -> Limit {
    let seconds = if mode.is_classic() { 0 } else { 30 };
    reader.limit_or("exec_timeout", Limit::new(Duration::from_secs(seconds)))
}

/// Either name of the switch.
fn buffers(reader: &mut Reader<'_>) -> bool {
    let old = reader.switch_in(Mode::Http, "buffer_http");
    reader.switch_in(Mode::Http, "http_buffer_req_body") || old
}

/// A process that has been started already knows nothing of the call it will get.
fn prefork(reader: &mut Reader<'_>, mode: Mode) -> Result<usize, ConfigError> {
    let spares = reader.number("prefork");
    let cgi_headers = reader.text("cgi_headers") == "true";
    if spares > 0 && (cgi_headers || !mode.is_classic()) {
        return Err(ConfigError::Prefork(spares));
    }
    Ok(spares)
}

#[cfg(test)]
mod tests;
