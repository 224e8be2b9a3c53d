//! Functions that break, that take too much, and that are removed while they work.

use futures_util::future::join_all;
use hyper::Method;
use serde_json::json;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::{Failure, Outcome};
use crate::http::Answer;
use crate::rule::{Group, Level};
use crate::target::Target;
use crate::wait::eventually;

const FROM: Family = Family::new(
    Group::Shutdown,
    Level::Standard,
    "any caller's expectation: a function that broke is started again",
);

const LIMITS: Family = Family::new(
    Group::Limits,
    Level::Standard,
    "provider SDK: readOnlyRootFilesystem and limits of a deployment",
);

/// One more than Docker Swarm's usual policy starts again.
const CRASHES: usize = 6;

/// Calls at work when their function is deleted.
const WORKING: u64 = 20;

/// What a function may take, and what it asks for, in MiB.
const MEMORY: &str = "64Mi";
const TOO_MUCH: &str = "512";

pub(super) fn checks() -> Vec<Check> {
    restarted().into_iter().chain(confined()).collect()
}

fn restarted() -> Vec<Check> {
    vec![
        FROM.check(
            "shutdown.crashes",
            "A function whose process ends by itself is started again, also for the sixth time.",
            comes_back,
        )
        .case("J4")
        .needs(&[Capability::Probe]),
        FROM.check(
            "shutdown.crash-under-load",
            "When one of two replicas breaks, callers get an answer of the function's or a status of 500, 502 or 503, \
             and soon only the function's.",
            breaks_under_load,
        )
        .level(Level::Full)
        .case("H22")
        .needs(&[Capability::Probe, Capability::ScaleMany]),
        FROM.check(
            "delete.in-flight",
            "Calls at work when their function is deleted succeed, or are answered with 500, 502 or 503; none hangs.",
            lets_none_hang,
        )
        .group(Group::Delete)
        .level(Level::Full)
        .source("callers wait for an answer, whatever an operator does")
        .case("C8")
        .needs(&[Capability::Probe]),
    ]
}

fn confined() -> Vec<Check> {
    vec![
        LIMITS
            .check(
                "limits.memory-enforced",
                "A function that takes more memory than its limit is stopped, and started again.",
                is_stopped,
            )
            .case("J7")
            .needs(&[Capability::Probe, Capability::MemoryLimits]),
        LIMITS
            .check(
                "limits.read-only-root",
                "With readOnlyRootFilesystem, a function cannot write to its root.",
                cannot_write_to_its_root,
            )
            .case("J6")
            .needs(&[Capability::Probe, Capability::ReadOnly]),
        LIMITS
            .check(
                "limits.writable-tmp",
                "With readOnlyRootFilesystem, a function can write to /tmp, and read that again.",
                can_write_to_tmp,
            )
            .case("J6")
            .needs(&[Capability::Probe, Capability::ReadOnly]),
    ]
}

async fn comes_back(target: Target) -> Outcome {
    target.have_probe("crash").await?;
    let crash = target.wish(Method::GET, "crash", "", &[("exit", "1")]);
    let call = target.wish(Method::GET, "crash", "", &[]);
    for _ in 0..CRASHES {
        // Whoever answers this: it is not the function.
        let _ = target.send(crash.clone()).await;
        target.call_until(&call, 200).await?;
    }
    Ok(())
}

async fn breaks_under_load(target: Target) -> Outcome {
    target.have_probe("crash-two").await?;
    target.scale("crash-two", 2).await?.with_success()?;
    target.available_many("crash-two", 2).await?;
    let call = target.wish(Method::GET, "crash-two", "", &[]);
    let crash = target.wish(Method::GET, "crash-two", "", &[("exit", "1")]);
    let callers = (0..4).map(|_| async {
        for _ in 0..5 {
            survives(target.send(call.clone()).await)?;
        }
        Ok(())
    });
    let (calls, _) = tokio::join!(join_all(callers), target.send(crash));
    calls.into_iter().collect::<Outcome<()>>()?;
    target.available_many("crash-two", 2).await?;
    for _ in 0..10 {
        target.call_until(&call, 200).await?;
    }
    Ok(())
}

/// The function's answer, a failure that says so, or a connection that breaks: that tells a caller, too.
fn survives(outcome: Outcome<Answer>) -> Outcome {
    match outcome {
        Ok(answer) => answer.with_status(&[200, 500, 502, 503]).map(drop),
        Err(failure) if failure.got.starts_with("no complete answer") => Err(failure),
        Err(_) => Ok(()),
    }
}

/// All calls are at work, or have been, before the deletion is asked for: later they would find nobody.
async fn lets_none_hang(target: Target) -> Outcome {
    target.have_probe("in-flight").await?;
    let pause = target.pause();
    let calls = (0..WORKING).map(|_| {
        let wish = [("sleep", pause.as_str()), ("mark", "work")];
        target.send(target.wish(Method::GET, "in-flight", "", &wish))
    });
    let deletion = async {
        eventually(target.limit(), async || {
            let counts = target.wish(Method::GET, "in-flight", "", &[("counts", "work")]);
            let counts = target.send(counts).await?.with_status(&[200])?;
            match counts.json()?["began"] == WORKING {
                true => Ok(()),
                false => Err(counts.fault("all calls at work", counts.text())),
            }
        })
        .await?;
        target.delete("in-flight").await?.with_success()
    };
    let (answers, deleted) = tokio::join!(join_all(calls), deletion);
    deleted?;
    answers.into_iter().try_for_each(survives)
}

async fn have(target: &Target, short: &str, more: serde_json::Value) -> Outcome<Answer> {
    let Some(probe) = target.options().probe.clone() else {
        return Err(Failure::new("a probe", "none was given"));
    };
    target.have_function_with(short, &probe, more).await?;
    let call = target.wish(Method::GET, short, "", &[]);
    target.call_until(&call, 200).await
}

/// Whoever looks at the memory now and then notices after the call was answered: what counts is that the process was
/// stopped. A new one does not know of the call.
async fn is_stopped(target: Target) -> Outcome {
    have(&target, "memory", json!({"limits": {"memory": MEMORY}})).await?;
    let wish = [("mark", "greedy"), ("allocate", TOO_MUCH)];
    // A connection that breaks is as good an end as any.
    let _ = target
        .send(target.wish(Method::GET, "memory", "", &wish))
        .await;
    let counts = target.wish(Method::GET, "memory", "", &[("counts", "greedy")]);
    eventually(target.limit(), async || {
        let counts = target.send(counts.clone()).await?.with_status(&[200])?;
        match counts.json()?["began"] == 0 {
            true => Ok(()),
            false => {
                let expected = format!(
                    "a new process in place of one that took {TOO_MUCH} MiB with a limit of {MEMORY}"
                );
                Err(counts.fault(expected, "the same process"))
            }
        }
    })
    .await
}

async fn write(target: &Target, short: &str, path: &str) -> Outcome<Answer> {
    have(target, short, json!({"readOnlyRootFilesystem": true})).await?;
    let call = target.wish(Method::POST, short, "", &[("write", path)]);
    target.send(call.body("certified")).await
}

async fn cannot_write_to_its_root(target: Target) -> Outcome {
    let answer = write(&target, "locked", "/certified").await?;
    match answer.status {
        200 => Err(answer.fault("the function's 500: it cannot write", "status 200")),
        _ => answer.with_status(&[500]).map(drop),
    }
}

async fn can_write_to_tmp(target: Target) -> Outcome {
    let path = "/tmp/certified";
    write(&target, "locked-tmp", path)
        .await?
        .with_status(&[200])?;
    let call = target.wish(Method::GET, "locked-tmp", "", &[("read", path)]);
    let answer = target.send(call).await?.with_status(&[200])?;
    match answer.text() == "certified" {
        true => Ok(()),
        false => Err(answer.fault("what was written", answer.text())),
    }
}
