//! Connections that go on as WebSockets, and what comes after a body.

use std::time::Duration;

use hyper::Method;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::rule::{Group, Level};
use crate::target::Target;
use crate::wire::Wire;

const FROM: Family = Family::new(
    Group::Upgrades,
    Level::Standard,
    "RFC 6455; provider SDK since v0.25.6, proxy: upgraded connections are passed on",
);

const TRAILERS: Family = Family::new(
    Group::Streaming,
    Level::Full,
    "RFC 9110, section 6.5: fields after the body; gRPC needs them",
);

/// The key and the answer to it that RFC 6455, section 1.3, has as its example.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const LONG: usize = 1 << 20;

/// Longer than the usual limits of reading and writing.
const QUIET: Duration = Duration::from_secs(300);

/// The first byte of a frame that is a whole message.
const BINARY: u8 = 0x82;

pub(super) fn checks() -> Vec<Check> {
    let sockets = sockets().into_iter();
    let sockets = sockets.map(|check| check.case("H25").needs(&[Capability::Probe]));
    let trailers = trailers().into_iter();
    let trailers = trailers.map(|check| {
        check
            .case("H27")
            .needs(&[Capability::Probe, Capability::Trailers])
    });
    sockets.chain(trailers).collect()
}

fn sockets() -> Vec<Check> {
    vec![
        FROM.check(
            "upgrades.websocket",
            "A call that asks for a WebSocket is answered 101 by the function, and messages go both ways.",
            |target| echoes(target, &[1, 20, 200]),
        ),
        FROM.check(
            "upgrades.long-message",
            "A message of 1 MiB passes a WebSocket both ways, whole.",
            |target| echoes(target, &[LONG]),
        )
        .level(Level::Full),
        FROM.check(
            "upgrades.quiet",
            "A WebSocket on which nothing was said for five minutes still carries messages.",
            outlasts_silence,
        )
        .level(Level::Full)
        .long(),
    ]
}

fn trailers() -> Vec<Check> {
    vec![
        TRAILERS.check(
            "streaming.answer-trailers",
            "A trailer of an answer reaches a caller who said that it takes trailers.",
            passes_trailers_on,
        ),
        TRAILERS.check(
            "streaming.call-trailers",
            "A trailer of a call reaches the function.",
            passes_trailers_in,
        ),
    ]
}

/// A connection to the function on which WebSocket is spoken from here on.
async fn open(target: &Target) -> Outcome<Wire> {
    // Deployed, and known to answer.
    let _ = target.probe(Method::GET, "", &[]).await?;
    let name = format!("{}.{}", target.name("probe"), target.namespace);
    let fields = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    let head = target
        .client()
        .head("GET", &format!("/function/{name}/socket"), &fields);
    let mut wire = target.wire().await?;
    wire.write(head.as_bytes()).await?;
    let whole = |got: &[u8]| got.windows(4).any(|end| end == b"\r\n\r\n");
    let got = wire.read_until(target.limit(), whole).await?;
    let head = String::from_utf8_lossy(&got);
    let accepted = format!("sec-websocket-accept: {}", ACCEPT.to_ascii_lowercase());
    match head.starts_with("HTTP/1.1 101") && head.to_ascii_lowercase().contains(&accepted) {
        true => Ok(wire),
        false => {
            let expected = format!("101 with Sec-WebSocket-Accept: {ACCEPT}");
            Err(wire.fault(&expected, &got))
        }
    }
}

/// A message in one frame. A caller's are masked (RFC 6455, section 5.3).
fn frame(payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![BINARY];
    match payload.len() {
        short @ 0..126 => frame.push(masked | short as u8),
        middle @ 126..65_536 => {
            frame.push(masked | 126);
            frame.extend((middle as u16).to_be_bytes());
        }
        long => {
            frame.push(masked | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(mask.into_iter().flatten());
    match mask.filter(|key| *key != [0; 4]) {
        None => frame.extend_from_slice(payload),
        Some(key) => {
            let bytes = payload.iter().zip(key.iter().cycle());
            frame.extend(bytes.map(|(byte, key)| byte ^ key));
        }
    }
    frame
}

async fn says_it_back(target: &Target, wire: &mut Wire, length: usize) -> Outcome {
    let every_byte: Vec<u8> = (0..=255).collect();
    let payload = &every_byte.repeat(length.div_ceil(256))[..length];
    let wanted = frame(payload, None);
    // A key of zeros is one as well, and leaves a long message as it is.
    let key = if length < LONG { [7, 1, 9, 3] } else { [0; 4] };
    wire.write(&frame(payload, Some(key))).await?;
    let enough = |got: &[u8]| got.len() >= wanted.len();
    let got = wire.read_until(target.limit(), enough).await?;
    match got == wanted {
        true => Ok(()),
        false => {
            let expected = format!("the {length} bytes of the message, in a frame");
            Err(wire.fault(&expected, &got[..got.len().min(200)]))
        }
    }
}

async fn echoes(target: Target, lengths: &[usize]) -> Outcome {
    let mut wire = open(&target).await?;
    for &length in lengths {
        says_it_back(&target, &mut wire, length).await?;
    }
    Ok(())
}

async fn outlasts_silence(target: Target) -> Outcome {
    let mut wire = open(&target).await?;
    says_it_back(&target, &mut wire, 20).await?;
    tokio::time::sleep(QUIET).await;
    says_it_back(&target, &mut wire, 20).await
}

async fn passes_trailers_on(target: Target) -> Outcome {
    let wish = [("pieces", "2"), ("trailer", "X-Certified: to the end")];
    let request = target.shared_probe(Method::GET, "", &wish).await?;
    let request = request.header("TE", "trailers").header("Connection", "TE");
    let mut stream = target.open(&request).await?;
    while stream.next(target.limit()).await?.is_some() {}
    let got = stream.trailers.get("x-certified");
    match got.is_some_and(|value| value == "to the end") {
        true => Ok(()),
        false => Err(stream.fault("the trailer X-Certified: to the end", &format!("{got:?}"))),
    }
}

async fn passes_trailers_in(target: Target) -> Outcome {
    let _ = target.probe(Method::GET, "", &[]).await?;
    let name = format!("{}.{}", target.name("probe"), target.namespace);
    let fields = [
        ("Transfer-Encoding", "chunked"),
        ("Trailer", "X-Certified"),
        ("Connection", "close"),
    ];
    let head = target
        .client()
        .head("POST", &format!("/function/{name}"), &fields);
    let mut wire = target.wire().await?;
    let body = "5\r\nhello\r\n0\r\nX-Certified: to the end\r\n\r\n";
    wire.write(format!("{head}{body}").as_bytes()).await?;
    let got = wire.read_until(target.limit(), |_| false).await?;
    match String::from_utf8_lossy(&got).contains(r#"["x-certified","to the end"]"#) {
        true => Ok(()),
        false => Err(wire.fault("the trailer X-Certified at the function", &got)),
    }
}
