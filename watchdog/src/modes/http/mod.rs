//! Http: one process that is an HTTP server itself, started once; calls are forwarded to it.

mod body;
mod call;
mod fault;
mod upstream;

use std::array;
use std::time::Duration;

use ::http::header::{CONTENT_LENGTH, HOST};
use ::http::request::Parts;
use ::http::{HeaderName, HeaderValue, Request, StatusCode};
use faas_http::PeerAddr;
use faas_http::forward::{Body, Forwarder, Manner};

use crate::answer::Response;
use crate::config::Config;
use crate::lines::{LineLog, Stream};
use crate::process::{Children, Lasting, Launch, Program};
use crate::request;
use crate::server::Ends;
use crate::watchdog::{App, Error};
use crate::workers;
use body::{Stall, Upload};
use call::Call;
use fault::Fault;
use upstream::Listening;

/// How long an idle connection to the process is kept: less than any server keeps its side.
const IDLE: Duration = Duration::from_millis(500);

const DURATION: HeaderName = HeaderName::from_static("x-duration-seconds");

/// The process, and the way to it.
pub(crate) struct Http {
    process: Lasting,
    listening: Listening,
    /// One for each worker: a connection to the process is used by the thread that opened it.
    forwarders: [Forwarder; workers::MOST],
}

impl Http {
    /// Starts the process. It need not listen yet.
    pub(crate) fn start(config: &Config, children: &Children) -> Result<Self, Error> {
        let url = config.upstream_url.clone().unwrap_or_default();
        let listening = Listening::wait_for(&url).ok_or(Error::Upstream(url))?;
        let manner = Manner {
            keep_host: true,
            idle: IDLE,
            protocol: config.upstream_protocol,
        };
        Ok(Self {
            process: start(config, children)?,
            listening,
            forwarders: array::from_fn(|_| Forwarder::in_manner(None, manner)),
        })
    }

    /// Whether the process has been reached once.
    pub(crate) fn is_ready(&self) -> bool {
        self.listening.is_there()
    }

    /// Ends with the process, whatever its exit status: without it there is nothing to do.
    pub(crate) async fn ended(&self) -> Error {
        Error::FunctionEnded(self.process.ended().await)
    }

    /// Ends the process.
    pub(crate) async fn stop(&self) {
        self.process.stop().await;
    }

    /// Forwards one request. Dropped when the caller hangs up, which hangs up on the process.
    pub(crate) async fn call(&self, app: &App, request: Request<request::Body>) -> Response {
        let mut call = Call::of(app, &request);
        let answered = self.answer(app, &mut call, request).await;
        let mut response = answered.unwrap_or_else(|fault| call.fails(&app.config, fault));
        // Compat: streams are without it.
        if !call.is_stream() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let seconds = format!("{:.6}", call.seconds());
            if let Ok(seconds) = HeaderValue::from_str(&seconds) {
                response.headers_mut().insert(DURATION, seconds);
            }
        }
        response
    }

    async fn answer(
        &self,
        app: &App,
        call: &mut Call,
        request: Request<request::Body>,
    ) -> Result<Response, Fault> {
        let (mut head, body) = request.into_parts();
        let stall = Stall::default();
        let limit = app.config.read_timeout.get();
        let upload = Upload::new(&head, body, limit, stall.clone());
        call.in_time(self.listening.reached()).await?;
        let mut body = Body::new(upload);
        if app.config.http_buffer_req_body {
            let kept = body::keep(body, &app.config.temporary_directory);
            let (length, whole) = call.in_time(kept).await?.map_err(|fault| stall.or(fault))?;
            head.headers.insert(CONTENT_LENGTH, length.into());
            body = whole;
        }
        write_host(&mut head);
        let mut worker = 0;
        if let Some(ends) = head.extensions.get::<Ends>().copied() {
            head.extensions.insert(PeerAddr(ends.remote));
            worker = ends.worker;
        }
        call.lower_remaining(&mut head.headers);
        let method = head.method.clone();
        let target = head.uri.path_and_query();
        let target = target.map_or("/", |target| target.as_str()).to_owned();
        let forwarded = self.forwarders[worker].forward(
            Request::from_parts(head, body),
            self.listening.upstreams(),
            &target,
            call.left(),
        );
        let response = forwarded
            .await
            .map_err(|failure| stall.or(call.fault(failure)))?;
        call.answers(&method, response).await
    }
}

/// The host that is asked is the one in the target, where there is one (RFC 9112, section 3.2.2).
fn write_host(head: &mut Parts) {
    let Some(authority) = head.uri.authority() else {
        return;
    };
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    if let Ok(host) = HeaderValue::from_str(host) {
        head.headers.insert(HOST, host);
    }
}

fn start(config: &Config, children: &Children) -> Result<Lasting, Error> {
    let program = Program::split(&config.fprocess);
    let (name, arguments) = (program.name.display(), &program.arguments);
    log!("Forking: {name}, arguments: {arguments:?}");
    let launch = Launch {
        program: &program,
        search_path: config.environment.get("PATH"),
        inherited: config.environment.ready(),
        variables: Vec::new(),
        combine_output: false,
    };
    let logs = [Stream::Stdout, Stream::Stderr].map(|stream| LineLog::new(config, stream));
    let started = Lasting::start(launch, children, logs);
    started.map_err(|error| Error::FunctionEnded(error.to_string()))
}
