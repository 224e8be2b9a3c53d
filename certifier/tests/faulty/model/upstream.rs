//! Forwarding a call to a server behind the platform, both ways as it comes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue,
    SET_COOKIE, UPGRADE,
};
use hyper::{HeaderMap, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Model;
use super::answer::{Answer, Body, pieces, whole};
use super::call::{Call, own};
use super::forward::of_one_connection;
use crate::switch::Switch;

/// Calls the server, and gives what it answers.
pub(crate) async fn forward(
    model: &Model,
    call: &mut Call,
    address: SocketAddr,
    body: Body,
) -> Answer {
    let upgrade = wanted_upgrade(model, call);
    let request = request(model, call, upgrade.clone(), body);
    let limit = limit(call).unwrap_or(Duration::from_secs(3600));
    let sent = tokio::time::timeout(limit, send(model, address, request));
    match sent.await {
        Ok(Ok(response)) if upgrade.is_some() => switched(call, response),
        Ok(Ok(response)) => relay(model, response).await,
        Ok(Err(_)) => {
            let status = match model.switch {
                Some(Switch::BrokenIs500) => 500,
                Some(Switch::BrokenIs200) => return Response::new(whole("")),
                _ => 502,
            };
            own(model, status, format!("no answer from {}", call.key.1))
        }
        Err(_) => {
            let status = if model.wrong(Switch::SlowIs502) {
                502
            } else {
                504
            };
            own(
                model,
                status,
                format!("no answer from {} in {limit:?}", call.key.1),
            )
        }
    }
}

/// The function's own limit, from its annotation.
fn limit(call: &Call) -> Option<Duration> {
    let text = call.function.entry("annotations", "com.openfaas.timeout")?;
    match text.strip_suffix("ms") {
        Some(number) => number.parse().ok().map(Duration::from_millis),
        None => {
            let number = text.trim_end_matches('s').parse().ok()?;
            Some(Duration::from_secs_f64(number))
        }
    }
}

fn wanted_upgrade(model: &Model, call: &Call) -> Option<HeaderValue> {
    let wanted = call.upgrade.clone();
    wanted.filter(|_| !model.wrong(Switch::UpgradeStripped))
}

fn request(
    model: &Model,
    call: &Call,
    upgrade: Option<HeaderValue>,
    body: Body,
) -> hyper::Request<Body> {
    let query = match call.query.as_str() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    // What a lie has decoded would be no request at all.
    let target = format!("{}{query}", call.path).replace(' ', "%20");
    let mut request = hyper::Request::new(body);
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = target.parse().unwrap_or_default();
    *request.headers_mut() = call.headers.clone();
    let headers = request.headers_mut();
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
    if model.wrong(Switch::GzipAskedFor) {
        headers
            .entry(ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("gzip"));
    }
    if model.wrong(Switch::LengthLost) {
        headers.remove(CONTENT_LENGTH);
        let (head, body) = request.into_parts();
        return hyper::Request::from_parts(head, unmeasured(body));
    }
    request
}

/// The same body, of which nobody knows the length.
fn unmeasured(body: Body) -> Body {
    use futures_util::TryStreamExt;
    let data = body.into_data_stream();
    pieces(data.map_err(io::Error::other))
}

/// Sends on a connection of its own, so that its end is the call's end and the other way round.
async fn send(
    model: &Model,
    address: SocketAddr,
    request: hyper::Request<Body>,
) -> Result<Response<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    if model.wrong(Switch::HangUpIgnored) {
        let task = tokio::spawn(async move { sender.send_request(request).await });
        return Ok(task.await??);
    }
    Ok(sender.send_request(request).await?)
}

/// Both sides speak another protocol from here on.
fn switched(call: &mut Call, mut response: Response<Incoming>) -> Answer {
    let caller = call.connection.take();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let function = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (Some(caller), Ok(function)) = (caller, function.await) else {
                return;
            };
            if let Ok(caller) = caller.await {
                let (mut caller, mut function) = (TokioIo::new(caller), TokioIo::new(function));
                let _ = tokio::io::copy_bidirectional(&mut caller, &mut function).await;
            }
        });
    }
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.map_err(io::Error::other).boxed_unsync())
}

/// The answer as it comes, but for what concerned the connection to the function.
async fn relay(model: &Model, response: Response<Incoming>) -> Answer {
    let (mut head, body) = response.into_parts();
    for name in of_one_connection(model, &head.headers) {
        head.headers.remove(&name);
    }
    status(model, &mut head.status);
    headers(model, &mut head.headers);
    let body = body.map_err(io::Error::other).boxed_unsync();
    let body = match model.switch {
        Some(Switch::StreamBuffered) => match body.collect().await {
            Ok(collected) => whole(collected.to_bytes()),
            Err(error) => pieces(futures_util::stream::iter([Err(error)])),
        },
        Some(Switch::GzipUnpacked) if head.headers.contains_key(CONTENT_ENCODING) => {
            head.headers.remove(CONTENT_ENCODING);
            head.headers.remove(CONTENT_LENGTH);
            whole("certified\n")
        }
        Some(Switch::TruncationHidden) => {
            head.headers.remove(CONTENT_LENGTH);
            up_to_the_break(body)
        }
        Some(Switch::AnswerLengthLost) => {
            head.headers.remove(CONTENT_LENGTH);
            unmeasured(body)
        }
        Some(Switch::TrailersLost) => body.map_frame(without_trailers).boxed_unsync(),
        _ => body,
    };
    Response::from_parts(head, body)
}

fn status(model: &Model, status: &mut StatusCode) {
    let number = status.as_u16();
    let other = match model.switch {
        Some(Switch::StatusesCollapsed) if ![200, 302, 404, 500].contains(&number) => 200,
        Some(Switch::FunctionErrorsAre502) if number >= 500 => 502,
        _ => return,
    };
    *status = StatusCode::from_u16(other).unwrap();
}

fn headers(model: &Model, headers: &mut HeaderMap) {
    match model.switch {
        Some(Switch::CookiesFolded) => {
            let cookies = headers.get_all(SET_COOKIE).into_iter();
            let cookies: Vec<_> = cookies.filter_map(|value| value.to_str().ok()).collect();
            if let Ok(one) = HeaderValue::from_str(&cookies.join(", "))
                && cookies.len() > 1
            {
                headers.insert(SET_COOKIE, one);
            }
        }
        Some(Switch::TypeInvented) => {
            headers
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("text/html"));
        }
        Some(Switch::AnswerHeadersLost) => {
            let names: Vec<_> = headers
                .keys()
                .filter(|name| name.as_str().starts_with("x-"))
                .cloned()
                .collect();
            for name in names {
                headers.remove(name);
            }
        }
        _ => {}
    }
}

fn up_to_the_break(body: Body) -> Body {
    use futures_util::StreamExt;
    let data = body.into_data_stream();
    pieces(data.take_while(|piece| std::future::ready(piece.is_ok())))
}

fn without_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_data() {
        Ok(data) => Frame::data(data),
        Err(_) => Frame::data(Bytes::new()),
    }
}
