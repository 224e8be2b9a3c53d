//! A call of a function: find its replicas, wake it if need be, forward, count.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use faas_http::forward::{Failure, REMAINING_MS};
use faas_http::{duration, env};
use faas_provider::{
    CALL_METHODS, FunctionEndpoints, FunctionName, FunctionPath, TIMEOUT_ANNOTATION, timeout,
};
use http::StatusCode;
use http::header::{ALLOW, HeaderMap, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::call_id::CallId;
use crate::error::Error;
use crate::gateway::App;
use crate::metrics::{CALLER_GONE, FunctionCounts, Metrics};
use crate::scaling::{Arrived, NoSlot, Slot, slots};
use crate::{endpoints, name};

/// Longest wait for the table to show a function that the provider says it has.
const TABLE_LAG: Duration = Duration::from_secs(5);

/// Answers a call, or says in one line why it cannot be answered. Both ways stream; a caller who hangs up cancels the
/// call all the way down to the function's process.
pub(crate) async fn call(State(app): State<App>, mut request: Request) -> Response {
    let id = CallId::of(request.headers());
    id.write(request.headers_mut());
    let mut response = answer(&app, request, &id).await.unwrap_or_else(refuse);
    id.write(response.headers_mut());
    response
}

async fn answer(app: &App, mut request: Request, id: &CallId) -> Result<Response, Error> {
    if !CALL_METHODS.contains(request.method()) {
        return Err(Error::Method);
    }
    let uri = request.uri().clone();
    let path = FunctionPath::parse(uri.path(), "/function/").ok_or(Error::NoFunction)?;
    let name = name::parse(path.function, &app.config.function_namespace);
    let name = name.ok_or(Error::NoFunction)?;
    if app.config.write_request_uri {
        tracing::info!(call_id = id.as_str(), method = %request.method(), path = uri.path(), "forwarding");
    }
    let found = find(app, &name).await;
    let mut function = found.inspect_err(|error| app.metrics.unknown_function(error.code()))?;
    let mut watch = Watch::new(app, &name);
    if watch.counts.meter.is_falling() {
        app.scaler.tell_of_calls(&name).await;
        watch.counts.meter.fallen().await;
        function = watch.refused_by(find(app, &name).await)?;
    }
    let waited = ready(app, &name, &function, &watch.counts, request.headers_mut()).await;
    if let Some((slot, awake)) = watch.refused_by(waited)? {
        (watch.slot, function) = (slot, awake);
    }
    let target = match uri.query() {
        Some(query) => format!("{}?{query}", path.rest),
        None => path.rest.to_owned(),
    };
    let limit = timeout(&function.annotations, app.upstream_timeout);
    watch.forwarding();
    let forwarded = app
        .forwarder
        .forward(request, &function.endpoints, &target, limit)
        .await;
    let forwarded = forwarded.map_err(|failure| failed(&name, &function, failure, id));
    let response = watch.refused_by(forwarded)?;
    watch.code = response.status().as_u16();
    Ok(response.map(|body| Body::new(Counted { body, watch })))
}

/// What a call has waited for.
type Waited = (Option<Slot>, Arc<FunctionEndpoints>);

/// Waits for a replica, and for a slot where the function limits its calls, though no longer than the caller gives; the wait
/// is taken off the time that is left. None where there is nothing to wait for: no slots, and a replica that is ready.
async fn ready(
    app: &App,
    name: &FunctionName,
    function: &Arc<FunctionEndpoints>,
    counts: &FunctionCounts,
    headers: &mut HeaderMap,
) -> Result<Option<Waited>, Error> {
    let total = slots(function);
    if let Some(total) = total {
        counts.slots.set(total);
    } else if !function.endpoints.is_empty() {
        return Ok(None);
    }
    let waited = wait(app, name, function, counts, total.is_some());
    let Some(left) = remaining(headers) else {
        return waited.await.map(Some);
    };
    let began = Instant::now();
    let late = |_| Error::Call {
        name: name.clone(),
        limit_name: "",
        failure: Failure::NoTimeLeft(left),
    };
    let waited = tokio::time::timeout(left, waited).await.map_err(late)??;
    let left = left.saturating_sub(began.elapsed()).as_millis();
    let left = u64::try_from(left).unwrap_or(u64::MAX);
    headers.insert(REMAINING_MS, HeaderValue::from(left));
    Ok(Some(waited))
}

/// How long the caller still gives, where it says so.
fn remaining(headers: &HeaderMap) -> Option<Duration> {
    let left = headers.get(REMAINING_MS)?.to_str().ok()?;
    left.trim().parse().ok().map(Duration::from_millis)
}

async fn wait(
    app: &App,
    name: &FunctionName,
    function: &FunctionEndpoints,
    counts: &FunctionCounts,
    is_limited: bool,
) -> Result<Waited, Error> {
    if !function.endpoints.is_empty() {
        let slot = slot(app, name, counts, app.overload_wait, "overload_wait").await?;
        return Ok((Some(slot), find(app, name).await?));
    }
    let (began, _waits) = (Instant::now(), counts.meter.waits());
    let awake = app.from_zero.ready(name);
    let waited = match is_limited {
        false => (None, awake.await?),
        // Both at once, so that whoever came first is first in both.
        true => {
            let limit = env::limit(app.config.scale_from_zero_timeout);
            let slot = slot(app, name, counts, limit, "scale_from_zero_timeout");
            let (slot, _) = tokio::try_join!(slot, awake)?;
            // There may be more replicas by now, and the slot is for one of all.
            (Some(slot), find(app, name).await?)
        }
    };
    app.scaler.cold_start(name, began.elapsed());
    Ok(waited)
}

async fn slot(
    app: &App,
    name: &FunctionName,
    counts: &FunctionCounts,
    limit: Option<Duration>,
    setting: &'static str,
) -> Result<Slot, Error> {
    let most = app.config.scale_from_zero_queue;
    let taken = counts.slots.take(most, limit).await;
    taken.map_err(|error| match error {
        NoSlot::Full => Error::QueueFull {
            name: name.clone(),
            limit: most,
        },
        NoSlot::Late => Error::Overloaded {
            name: name.clone(),
            setting,
            waited: duration::format(limit.unwrap_or_default()),
        },
    })
}

fn failed(
    name: &FunctionName,
    function: &FunctionEndpoints,
    failure: Failure,
    id: &CallId,
) -> Error {
    tracing::warn!(function = %name, call_id = id.as_str(), %failure, "a call got no answer");
    match failure {
        Failure::NoUpstream => Error::NotReady(name.clone()),
        Failure::Unreachable { .. } if endpoints::are_the_provider(function) => {
            Error::ProviderGone(name.clone())
        }
        failure => Error::Call {
            name: name.clone(),
            limit_name: match function.annotations.get(TIMEOUT_ANNOTATION) {
                Some(own) if duration::parse(own).is_ok() => TIMEOUT_ANNOTATION,
                _ => "upstream_timeout",
            },
            failure,
        },
    }
}

fn refuse(error: Error) -> Response {
    let is_method = matches!(error, Error::Method);
    let mut response = error.into_response();
    if is_method {
        let allowed = CALL_METHODS.map(|method| method.to_string()).join(", ");
        if let Ok(allowed) = HeaderValue::from_str(&allowed) {
            response.headers_mut().insert(ALLOW, allowed);
        }
    }
    response
}

/// The function's entry in the table; where it lacks, the provider is asked, so that a function deployed a moment ago is
/// found, and one that the provider cannot speak for is not called unknown.
pub(crate) async fn find(app: &App, name: &FunctionName) -> Result<Arc<FunctionEndpoints>, Error> {
    let table = app.table.borrow().clone();
    if let Some(function) = table.get(name.as_str()) {
        return Ok(Arc::clone(function));
    }
    let unknown = |reason: String| Error::ProviderUnknown {
        name: name.clone(),
        reason,
    };
    match app.endpoints.ask(name).await {
        Ok(true) => shown(app, name)
            .await
            .ok_or_else(|| unknown("its endpoints lag behind".to_owned())),
        Ok(false) if table.complete => Err(Error::NotFound(name.clone())),
        Ok(false) => Err(unknown("it has not listed its functions yet".to_owned())),
        Err(error) => Err(unknown(crate::error::in_words(&error))),
    }
}

/// The entry of a function that exists, once the table shows it; a moment after it was deployed, as a rule.
async fn shown(app: &App, name: &FunctionName) -> Option<Arc<FunctionEndpoints>> {
    let mut table = app.table.clone();
    let shown = table.wait_for(|table| table.get(name.as_str()).is_some());
    let table = tokio::time::timeout(TABLE_LAG, shown).await.ok()?.ok()?;
    table.get(name.as_str()).cloned()
}

/// Counts one call, however it ends.
struct Watch {
    metrics: Arc<Metrics>,
    counts: Arc<FunctionCounts>,
    arrived: Arrived,
    /// Where the function limits how many calls it takes at once.
    slot: Option<Slot>,
    since: Instant,
    /// The code that the caller sees; until an answer begins, that there is no caller.
    code: u16,
}

impl Watch {
    fn new(app: &App, name: &FunctionName) -> Self {
        let counts = app.metrics.function(name);
        Self {
            metrics: Arc::clone(&app.metrics),
            arrived: counts.meter.arrived(),
            slot: None,
            counts,
            since: Instant::now(),
            code: CALLER_GONE,
        }
    }

    /// The time counts from here: the wait for a cold start is not the function's.
    fn forwarding(&mut self) {
        self.since = Instant::now();
        self.counts.started();
    }

    /// Notes the code of an error on its way to the caller.
    fn refused_by<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            self.code = error.code();
        }
        result
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.arrived.succeeded = self.code == StatusCode::OK.as_u16();
        self.metrics
            .ended(&self.counts, self.code, self.since.elapsed());
    }
}

/// A response's body; the call ends with it.
struct Counted {
    body: Body,
    watch: Watch,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Err(_))) = frame {
            // The caller's connection is cut: no success, whatever its first line said.
            self.watch.code = StatusCode::BAD_GATEWAY.as_u16();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
