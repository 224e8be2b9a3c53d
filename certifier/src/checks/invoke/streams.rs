//! Answers that come piece by piece.

use hyper::Method;
use tokio::time::Instant;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::rule::{Group, Level};
use crate::target::Target;

const FROM: Family = Family::new(
    Group::Streaming,
    Level::Standard,
    "provider SDK since v0.25.8: streams are flushed as they come; here always, whatever the caller accepts",
);

pub(super) fn checks() -> Vec<Check> {
    let check = |id, says, word: &'static str, accept: &'static str| {
        FROM.check(id, says, move |target| {
            comes_piece_by_piece(target, word, accept)
        })
        .case("H24")
        .needs(&[Capability::Probe])
    };
    vec![
        check(
            "streaming.events",
            "An event reaches the caller before the function has sent the next.",
            "events",
            "text/event-stream",
        ),
        check(
            "streaming.lines",
            "A line of JSON reaches the caller before the function has sent the next.",
            "lines",
            "*/*",
        ),
        check(
            "streaming.pieces",
            "A piece of plain text reaches the caller before the function has sent the next.",
            "pieces",
            "*/*",
        ),
    ]
}

async fn comes_piece_by_piece(target: Target, word: &str, accept: &str) -> Outcome {
    let pause = target.pause();
    // Less than the pause by what a busy machine may lose.
    let least = target.options().pause / 3;
    let wish = [(word, "2"), ("every", &pause)];
    let request = target.shared_probe(Method::GET, "", &wish).await?;
    let mut stream = target.open(&request.header("Accept", accept)).await?;
    let mut arrived = Vec::new();
    let mut body = Vec::new();
    while let Some(piece) = stream.next(target.limit()).await? {
        arrived.push(Instant::now());
        body.extend(piece);
    }
    let (Some(first), Some(last)) = (arrived.first(), arrived.last()) else {
        return Err(stream.fault("two pieces", "an empty body"));
    };
    let text = String::from_utf8_lossy(&body);
    match (text.contains('1') && text.contains('2'), *last - *first) {
        (false, _) => Err(stream.fault("both pieces", &text)),
        (true, gap) if gap >= least => Ok(()),
        (true, gap) => {
            let expected = format!("the second piece about {pause} ms after the first");
            Err(stream.fault(&expected, &format!("{} ms", gap.as_millis())))
        }
    }
}
