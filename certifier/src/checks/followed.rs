//! Logs that are followed: while replicas come and go, and when those who follow do.

use std::collections::BTreeSet;

use hyper::Method;
use serde_json::Value;
use tokio::time::Instant;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::Request;
use crate::rule::{Group, Level};
use crate::target::Target;
use crate::wire::Stream;

const FROM: Family = Family::new(
    Group::Logs,
    Level::Full,
    "provider SDK: GET /system/logs with follow=true",
);

/// More than a platform that lets go of none can have at a time, if it bounds them at all.
const FOLLOWERS: usize = 40;

pub(super) fn checks() -> Vec<Check> {
    let checks = vec![
        FROM.check(
            "logs.follow-new-replica",
            "A log that is followed has the lines of a replica that was added meanwhile.",
            follows_a_new_replica,
        )
        .case("G14")
        .needs(&[
            Capability::Logs,
            Capability::LogsFollow,
            Capability::Probe,
            Capability::ScaleMany,
        ]),
        FROM.check(
            "logs.follow-through-zero",
            "A log that is followed goes on when its function was at zero in between.",
            follows_through_zero,
        )
        .case("G17")
        .needs(&[
            Capability::Logs,
            Capability::LogsFollow,
            Capability::Probe,
            Capability::ScaleZero,
        ]),
        FROM.check(
            "logs.followers-leave",
            "After forty callers have followed a log and hung up, it can be followed as before.",
            survives_followers,
        )
        .case("G6")
        .needs(&[Capability::Logs, Capability::LogsFollow, Capability::Probe]),
    ];
    checks
}

/// A log that is being followed, and what came of it so far.
struct Followed {
    stream: Stream,
    text: String,
}

impl Followed {
    async fn begin(target: &Target, short: &str) -> Outcome<Self> {
        let (name, namespace) = (target.name(short), &target.namespace);
        let path = format!(
            "/system/logs?name={name}&namespace={namespace}&follow=true&since=2001-01-01T00:00:00Z"
        );
        let stream = target.open(&Request::system(Method::GET, path)).await?;
        let text = String::new();
        Ok(Self { stream, text })
    }

    /// Reads on until a line with `word` is there.
    async fn until(&mut self, target: &Target, word: &str) -> Outcome {
        while !self.text.contains(word) {
            self.read(target, word).await?;
        }
        Ok(())
    }

    async fn read(&mut self, target: &Target, wanted: &str) -> Outcome {
        match self.stream.next(target.limit()).await? {
            Some(piece) => self.text.push_str(&String::from_utf8_lossy(&piece)),
            None => {
                let expected = format!("the log to go on until {wanted:?}");
                return Err(self.stream.fault(&expected, "the end"));
            }
        }
        Ok(())
    }

    /// The replicas whose lines have come.
    fn instances(&self) -> BTreeSet<String> {
        let lines = self.text.lines();
        let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter_map(|line| line["instance"].as_str().map(str::to_owned))
            .collect()
    }
}

/// A call of the function that makes it write so many lines.
async fn log(target: &Target, short: &str, lines: &str) -> Outcome {
    let call = target.wish(Method::GET, short, "", &[("log", lines)]);
    target.call_until(&call, 200).await?;
    Ok(())
}

/// Which replica a call comes to is chance, so there are many.
async fn follows_a_new_replica(target: Target) -> Outcome {
    target.have_probe("follow-two").await?;
    log(&target, "follow-two", "1").await?;
    let mut followed = Followed::begin(&target, "follow-two").await?;
    followed.until(&target, "line 1 ").await?;
    target.scale("follow-two", 2).await?.with_success()?;
    target.available_many("follow-two", 2).await?;
    let deadline = Instant::now() + target.limit();
    while followed.instances().len() < 2 {
        if Instant::now() > deadline {
            let got = format!("{:?}", followed.instances());
            return Err(followed.stream.fault("lines of two instances", &got));
        }
        log(&target, "follow-two", "1").await?;
        followed.read(&target, "a second instance").await?;
    }
    Ok(())
}

async fn follows_through_zero(target: Target) -> Outcome {
    target.have_probe("follow-zero").await?;
    log(&target, "follow-zero", "1").await?;
    let mut followed = Followed::begin(&target, "follow-zero").await?;
    followed.until(&target, "line 1 ").await?;
    target.scale("follow-zero", 0).await?.with_success()?;
    target.scale("follow-zero", 1).await?.with_success()?;
    log(&target, "follow-zero", "2").await?;
    followed.until(&target, "line 2 ").await
}

async fn survives_followers(target: Target) -> Outcome {
    target.have_probe("follow-many").await?;
    log(&target, "follow-many", "1").await?;
    for _ in 0..FOLLOWERS {
        let mut followed = Followed::begin(&target, "follow-many").await?;
        followed.until(&target, "line 1 ").await?;
    }
    let mut followed = Followed::begin(&target, "follow-many").await?;
    log(&target, "follow-many", "2").await?;
    followed.until(&target, "line 2 ").await
}
