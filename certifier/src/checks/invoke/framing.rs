//! Calls on a connection that is used in an unusual way.

use std::time::Duration;

use hyper::Method;
use tokio::time::Instant;
use url::Url;

use super::seen::seen;
use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::Request;
use crate::quote::quote;
use crate::rule::{Group, Level};
use crate::target::Target;
use crate::wire::Wire;

const FROM: Family = Family::new(Group::Invoke, Level::Full, "RFC 9112");

/// Twice the longest that servers usually wait for a head.
const ENDLESS: Duration = Duration::from_secs(120);

/// Between two lines of a head that does not end.
const DRIP: Duration = Duration::from_secs(2);

pub(super) fn checks() -> Vec<Check> {
    let checks = vec![
        FROM.check(
            "framing.chunked",
            "A body in chunks, with extensions, reaches the function exactly.",
            takes_chunks,
        )
        .group(Group::Bodies)
        .case("H12"),
        FROM.check(
            "framing.expect",
            "A caller that waits for 100 Continue gets it, or the answer.",
            continues,
        )
        .source("RFC 9110, section 10.1.1")
        .group(Group::Bodies)
        .case("H12"),
        FROM.check(
            "framing.http10",
            "A caller that speaks HTTP/1.0 gets its answer without chunks, and the end of the connection.",
            speaks_the_old_version,
        )
        .case("H28"),
        FROM.check(
            "framing.pipelined",
            "Two calls that are sent at once on a connection are both answered, in order.",
            answers_in_order,
        )
        .case("H28"),
        FROM.check(
            "framing.huge-header",
            "A call with a header of more than 1 MiB is refused with 431, or cut off, and the next caller is answered.",
            refuses_huge_headers,
        )
        .source("RFC 6585, section 5")
        .group(Group::Headers)
        .case("H32"),
        FROM.check(
            "framing.two-lengths",
            "A call with Content-Length and Transfer-Encoding, or with two lengths, does not reach the function as two.",
            smuggles_nothing,
        )
        .source("RFC 9112, section 6.3")
        .group(Group::Bodies),
        FROM.check(
            "framing.endless-head",
            "A caller who begins a request and never ends its head is cut off, or answered 408, within two minutes.",
            cuts_off_an_endless_head,
        )
        .source("slow callers must not hold all connections that there are")
        .group(Group::Timeouts)
        .level(Level::Full)
        .case("I13")
        .long(),
    ];
    let checks = checks.into_iter();
    checks
        .map(|check| check.needs(&[Capability::Probe]))
        .collect()
}

/// The first lines of a call of the shared probe, up to and with Host.
async fn head(target: &Target, method: &str, rest: &str, version: &str) -> Outcome<String> {
    // Deployed, and known to answer.
    let _ = seen(target, Method::GET, "").await?;
    let base = target.options().entry.url();
    let url = Url::parse(base)
        .map_err(|error| crate::failure::Failure::new("a URL", error.to_string()))?;
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let path = url.path().trim_end_matches('/');
    let name = format!("{}.{}", target.name("probe"), target.namespace);
    Ok(format!(
        "{method} {path}/function/{name}{rest} {version}\r\nHost: {host}:{port}\r\n"
    ))
}

/// Sends these bytes, and reads until `enough` says so.
async fn exchange(
    target: &Target,
    bytes: &str,
    enough: impl Fn(&str) -> bool,
) -> Outcome<(Wire, String)> {
    let mut wire = target.wire().await?;
    wire.write(bytes.as_bytes()).await?;
    let enough = |bytes: &[u8]| enough(&String::from_utf8_lossy(bytes));
    let got = wire.read_until(target.limit(), enough).await?;
    let got = String::from_utf8_lossy(&got).into_owned();
    Ok((wire, got))
}

fn has(wire: &Wire, got: &str, wanted: &str) -> Outcome {
    match got.contains(wanted) {
        true => Ok(()),
        false => Err(wire.fault(&format!("an answer with {wanted:?}"), got.as_bytes())),
    }
}

async fn takes_chunks(target: Target) -> Outcome {
    let head = head(&target, "POST", "", "HTTP/1.1").await?;
    let body = "5;note=x\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n0\r\n\r\n";
    let call = format!("{head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let (wire, got) = exchange(&target, &call, |_| false).await?;
    has(&wire, &got, "\"length\":12")?;
    // printf 'hello, world' | sha256sum
    has(
        &wire,
        &got,
        "09ca7e4eaa6e8ae9c7d261167129184883644d07dfba7cbfbc4c8a2e08360d5b",
    )
}

async fn continues(target: Target) -> Outcome {
    let head = head(&target, "POST", "", "HTTP/1.1").await?;
    let call =
        format!("{head}Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
    let (mut wire, got) = exchange(&target, &call, |got| got.contains("\r\n\r\n")).await?;
    if !got.starts_with("HTTP/1.1 100") {
        return Err(wire.fault("100 Continue", got.as_bytes()));
    }
    wire.write(b"hello").await?;
    let rest = wire.read_until(target.limit(), |_| false).await?;
    has(&wire, &String::from_utf8_lossy(&rest), "\"length\":5")
}

async fn speaks_the_old_version(target: Target) -> Outcome {
    let head = head(&target, "GET", "/old", "HTTP/1.0").await?;
    // Only the end of the connection is enough.
    let (wire, got) = exchange(&target, &format!("{head}\r\n"), |_| false).await?;
    has(&wire, &got, " 200 ")?;
    has(&wire, &got, "\"path\":\"/old\"")?;
    match got.to_lowercase().contains("transfer-encoding") {
        false => Ok(()),
        true => Err(wire.fault("no chunks for HTTP/1.0", got.as_bytes())),
    }
}

async fn answers_in_order(target: Target) -> Outcome {
    let first = head(&target, "GET", "/first", "HTTP/1.1").await?;
    let second = head(&target, "GET", "/second", "HTTP/1.1").await?;
    let calls = format!("{first}\r\n{second}Connection: close\r\n\r\n");
    let (wire, got) = exchange(&target, &calls, |_| false).await?;
    let place = |path: &str| got.find(&format!("\"path\":\"{path}\""));
    match (place("/first"), place("/second")) {
        (Some(first), Some(second)) if first < second => Ok(()),
        _ => Err(wire.fault("the first answer, then the second", got.as_bytes())),
    }
}

/// The platform may hang up while the header is still being sent.
async fn refuses_huge_headers(target: Target) -> Outcome {
    let head = head(&target, "GET", "", "HTTP/1.1").await?;
    let mut wire = target.wire().await?;
    wire.write(format!("{head}X-Huge: ").as_bytes()).await?;
    let filling = [b'a'; 64 << 10];
    for _ in 0..20 {
        if wire.write(&filling).await.is_err() {
            break;
        }
    }
    let _ = wire.write(b"\r\nConnection: close\r\n\r\n").await;
    let got = wire.read_until(Duration::from_secs(5), |_| false).await?;
    if !got.is_empty() && !got.starts_with(b"HTTP/1.1 431") {
        return Err(wire.fault(
            "431, or the end of the connection",
            &got[..got.len().min(200)],
        ));
    }
    let _ = seen(&target, Method::GET, "").await?;
    Ok(())
}

/// What a platform and its function could take for one call and for two.
async fn smuggles_nothing(target: Target) -> Outcome {
    let head = head(&target, "POST", "", "HTTP/1.1").await?;
    let mark = target.name("smuggled");
    let inner =
        format!("GET / HTTP/1.1\r\nHost: x\r\nX-Probe: mark={mark}\r\nContent-Length: 0\r\n\r\n");
    let length = inner.len() + 5;
    let both = format!(
        "{head}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n{inner}"
    );
    let two = format!(
        "{head}Content-Length: 0\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{inner}"
    );
    for call in [both, two] {
        let (wire, got) = exchange(&target, &call, |_| false).await?;
        if got.matches("HTTP/1.1 ").count() > 1 {
            return Err(wire.fault("one answer at most", quote(got.as_bytes()).as_bytes()));
        }
        let counts: Request = target
            .shared_probe(Method::GET, "", &[("counts", &mark)])
            .await?;
        let counts = target.send(counts).await?.with_status(&[200])?;
        if counts.json()?["began"] != 0 {
            return Err(wire.fault("no call but the one", quote(got.as_bytes()).as_bytes()));
        }
    }
    Ok(())
}

/// A byte now and then, so that the connection is never idle.
async fn cuts_off_an_endless_head(target: Target) -> Outcome {
    let head = head(&target, "GET", "", "HTTP/1.1").await?;
    let mut wire = target.wire().await?;
    wire.write(head.as_bytes()).await?;
    let deadline = Instant::now() + ENDLESS;
    while Instant::now() < deadline {
        let answered = wire.read_until(DRIP, |got| !got.is_empty()).await;
        // An end or an answer; nothing within that time is an error.
        if let Ok(got) = answered {
            return match got.is_empty() || got.starts_with(b"HTTP/1.1 408") {
                true => Ok(()),
                false => Err(wire.fault("the end of the connection, or 408", &got)),
            };
        }
        if wire.write(b"X-Slow: 1\r\n").await.is_err() {
            return Ok(());
        }
    }
    Err(wire.fault("the end of the connection within two minutes", b"none"))
}
