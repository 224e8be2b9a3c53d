//! Bodies of calls and of answers: to the byte, and with their length.

use hyper::Method;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::seen::{Seen, seen_of};
use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::Answer;
use crate::rule::{Group, Level};
use crate::target::{Sample, Target};

const FROM: Family = Family::new(
    Group::Bodies,
    Level::Standard,
    "provider SDK, proxy: bodies are streamed both ways",
);

const GZIP: &str = "RFC 9110, section 12.5.3: what to accept is for the caller to say";

const COPY: Sample = Sample {
    name: "copy",
    process: "cat",
    more: || json!({}),
};

/// Longer than the buffers on the way are likely to be, and no round number.
const LENGTH: usize = 200_003;

const LONG: usize = 100 << 20;

/// `certified` and a newline, as any gzip begins.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

pub(super) fn checks() -> Vec<Check> {
    let probed = calls().into_iter().chain(answers());
    let probed = probed.map(|check| check.needs(&[Capability::Probe]));
    probed.chain([both_ways()]).collect()
}

fn both_ways() -> Check {
    FROM.check(
        "bodies.both-ways",
        "A body of 200 KB passes through a program that copies its input, both ways whole.",
        copies_a_long_one,
    )
    .case("H13")
}

fn calls() -> Vec<Check> {
    vec![
        FROM.check(
            "bodies.length",
            "A body with a Content-Length reaches the function exactly, and with its length.",
            keeps_the_length,
        )
        .source(
            "functions that read by length: CGI, and the classic watchdog's Http_Content_Length",
        )
        .case("H12"),
        FROM.check(
            "bodies.empty",
            "A POST without a body reaches the function as one without a body.",
            passes_nothing,
        )
        .level(Level::Full)
        .case("H12"),
        FROM.check(
            "bodies.hundred-mebibytes-up",
            "A body of 100 MiB reaches the function exactly.",
            uploads,
        )
        .level(Level::Full)
        .case("H13")
        .long(),
    ]
}

fn answers() -> Vec<Check> {
    vec![
        FROM.check(
            "bodies.answer-length",
            "An answer with a Content-Length reaches the caller exactly, and with its length.",
            keeps_the_answer_s_length,
        )
        .case("H14"),
        FROM.check(
            "bodies.answer-chunked",
            "An answer without a Content-Length reaches the caller exactly.",
            passes_chunks,
        )
        .level(Level::Full)
        .case("H14"),
        FROM.check(
            "bodies.gzip",
            "An answer in gzip reaches a caller who accepts it as it is.",
            |target| is_packed(target, Some("gzip")),
        )
        .source(GZIP)
        .case("H18"),
        FROM.check(
            "bodies.gzip-unasked",
            "An answer in gzip reaches a caller who did not say what it accepts as it is, and the function is not \
             told that the caller does.",
            |target| is_packed(target, None),
        )
        .source(GZIP)
        .case("H18"),
        FROM.check(
            "bodies.hundred-mebibytes-down",
            "An answer of 100 MiB reaches the caller exactly.",
            downloads,
        )
        .level(Level::Full)
        .case("H14")
        .long(),
    ]
}

/// So many bytes in which no block is like the next.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The function got these bytes, no more and no others.
pub(super) fn got(seen: &Seen, bytes: &[u8]) -> Outcome {
    seen.is("length", bytes.len())?;
    seen.is("sha256", digest(bytes))
}

/// The answer is so much of the alphabet, over and over.
fn is_alphabet(answer: &Answer, length: usize) -> Outcome {
    let alphabet = (b'a'..=b'z').cycle().take(length);
    match alphabet.eq(answer.body.iter().copied()) {
        true => Ok(()),
        false => {
            let expected = format!("{length} bytes, the alphabet over and over");
            Err(answer.fault(expected, format!("{} bytes that differ", answer.body.len())))
        }
    }
}

async fn copies_a_long_one(target: Target) -> Outcome {
    let body = noise(LENGTH);
    let call = target.call(Method::POST, COPY.name, "").body(body.clone());
    let answer = target.call_sample(&COPY, call).await?;
    match answer.body == body {
        true => Ok(()),
        false => {
            let got = format!("{} bytes that differ", answer.body.len());
            Err(answer.fault(format!("the {LENGTH} bytes that were sent"), got))
        }
    }
}

async fn sends(target: &Target, body: &[u8]) -> Outcome<Seen> {
    let request = target.shared_probe(Method::POST, "", &[]).await?;
    seen_of(target, request.body(body)).await
}

async fn keeps_the_length(target: Target) -> Outcome {
    let body = noise(LENGTH);
    let seen = sends(&target, &body).await?;
    got(&seen, &body)?;
    seen.header_is("content-length", &[&LENGTH.to_string()])
}

async fn passes_nothing(target: Target) -> Outcome {
    let seen = sends(&target, b"").await?;
    seen.is("length", 0)?;
    match seen.header("content-length").concat().as_str() {
        "" | "0" => Ok(()),
        other => Err(seen.fault("Content-Length: 0, or none", other)),
    }
}

async fn uploads(target: Target) -> Outcome {
    let body = noise(LONG);
    got(&sends(&target, &body).await?, &body)
}

async fn alphabet(target: &Target, more: &[(&str, &str)]) -> Outcome<Answer> {
    let length = LENGTH.to_string();
    let wish: Vec<_> = [("bytes", length.as_str())]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    let answer = target.probe(Method::GET, "", &wish).await?;
    let answer = answer.with_status(&[200])?;
    is_alphabet(&answer, LENGTH)?;
    Ok(answer)
}

async fn keeps_the_answer_s_length(target: Target) -> Outcome {
    let answer = alphabet(&target, &[]).await?;
    match answer.header("content-length") {
        length if length == LENGTH.to_string() => Ok(()),
        other => {
            let got = format!("Content-Length: {other}");
            Err(answer.fault(format!("Content-Length: {LENGTH}"), got))
        }
    }
}

async fn passes_chunks(target: Target) -> Outcome {
    alphabet(&target, &[("chunked", "")]).await?;
    Ok(())
}

async fn is_packed(target: Target, accepts: Option<&str>) -> Outcome {
    let with = |request: crate::http::Request| match accepts {
        Some(accepts) => request.header("Accept-Encoding", accepts),
        None => request,
    };
    let seen = target.shared_probe(Method::GET, "", &[]).await?;
    let seen = seen_of(&target, with(seen)).await?;
    seen.header_is("accept-encoding", accepts.as_slice())?;

    let packed = target
        .shared_probe(Method::GET, "", &[("gzip", "")])
        .await?;
    let answer = target.send(with(packed)).await?.with_status(&[200])?;
    let encoding = answer.header("content-encoding");
    match encoding == "gzip" && answer.body.starts_with(&MAGIC) {
        true => Ok(()),
        false => Err(answer.fault("Content-Encoding: gzip, and a body that is", encoding)),
    }
}

/// Read piece by piece: the whole is more than anybody should hold.
async fn downloads(target: Target) -> Outcome {
    let length = LONG.to_string();
    let wish = [("bytes", length.as_str())];
    let request = target.shared_probe(Method::GET, "", &wish).await?;
    let mut stream = target.open(&request).await?;
    let (mut count, mut hash) = (0, Sha256::new());
    while let Some(piece) = stream.next(target.limit()).await? {
        count += piece.len();
        hash.update(&piece);
    }
    let alphabet: Vec<_> = (b'a'..=b'z').cycle().take(LONG).collect();
    match count == LONG && hash.finalize() == Sha256::digest(&alphabet) {
        true => Ok(()),
        false => {
            let expected = format!("{LONG} bytes, the alphabet over and over");
            Err(stream.fault(&expected, &format!("{count} bytes that differ")))
        }
    }
}
