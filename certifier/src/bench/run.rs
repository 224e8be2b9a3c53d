//! One measurement: find or deploy the function, warm up, take turns, clean up.

use std::pin::pin;
use std::sync::{Arc, Mutex};

use super::load::Load;
use super::measured::{Measured, Side};
use super::side::{Ready, deploy, echoing, exists, reach};
use super::tally::Tally;
use super::turn::Count;
use crate::clean_up::clean_up;
use crate::failure::{Failure, Outcome};
use crate::options::Options;
use crate::platform::Platform;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The gateway, or the provider. Of its options those count that say how it is reached and what can be deployed.
    pub first: Options,
    /// What it is compared with.
    pub second: Option<Options>,
    /// A function that both have, `name` or `name.namespace`. `None`: one is deployed for the run, and removed.
    pub function: Option<String>,
    /// The load on each.
    pub load: Load,
}

/// How far a measurement is.
#[derive(Debug)]
pub enum Stage<'a> {
    /// This gateway is called, uncounted.
    WarmUp(&'a str),
    /// This gateway is called, for the turn of this number out of so many.
    Turn(&'a str, u32, u32),
}

/// Measures. When `stop` completes, what was measured until then is the result. What was deployed is removed in any case.
///
/// # Errors
/// When the load makes no sense, when a gateway or the function cannot be had, or when what was deployed cannot be removed.
pub async fn run(
    bench: Bench,
    mut observe: impl FnMut(Stage<'_>) + Send,
    stop: impl Future<Output = ()> + Send,
) -> Result<Measured, Failure> {
    bench.load.check()?;
    let mut stop = pin!(stop);
    let interrupted = || Failure::new("a measurement", "it was interrupted before it began");
    let platforms = tokio::select! {
        reached = platforms(&bench) => reached?,
        () = &mut stop => return Err(interrupted()),
    };
    let mut measured = Measured::begin(&bench.load);
    let ended = tokio::select! {
        ended = measure(&bench, &platforms, &mut measured, &mut observe) => ended,
        () = &mut stop => match measured.sides.is_empty() {
            true => Err(interrupted()),
            false => { measured.interrupted = true; Ok(()) }
        },
    };
    measured.end();
    let cleaned = all_clean(&platforms).await;
    ended.and(cleaned).map(|()| measured)
}

/// Removes what was made everywhere, also where something cannot be removed.
async fn all_clean(platforms: &[Arc<Platform>]) -> Outcome {
    let mut outcome = Ok(());
    for platform in platforms {
        outcome = outcome.and(clean_up(platform).await);
    }
    outcome
}

async fn platforms(bench: &Bench) -> Outcome<Vec<Arc<Platform>>> {
    let mut platforms = Vec::new();
    for options in [Some(&bench.first), bench.second.as_ref()]
        .into_iter()
        .flatten()
    {
        let platform = match &bench.function {
            // It need not be a platform: a proxy that knows the function's path will do.
            Some(_) => Arc::new(Platform::new(options.clone())?),
            None => reach(options.clone()).await?,
        };
        platforms.push(platform);
    }
    Ok(platforms)
}

async fn measure(
    bench: &Bench,
    platforms: &[Arc<Platform>],
    measured: &mut Measured,
    observe: &mut impl FnMut(Stage<'_>),
) -> Outcome {
    let mut ready = Vec::new();
    for platform in platforms {
        let (options, mut load) = (&platform.options, bench.load.clone());
        let function = match &bench.function {
            Some(function) => {
                exists(platform, function, &load).await?;
                function.clone()
            }
            None => {
                load = echoing(options, &load);
                deploy(platform).await?
            }
        };
        ready.push(Ready::new(options, &function, &load)?);
        measured
            .sides
            .push(Side::new(options.entry.url(), &function));
    }
    for (ready, side) in ready.iter_mut().zip(&measured.sides) {
        observe(Stage::WarmUp(&side.url));
        ready.warm_up(&bench.load, bench.load.warm_up_calls()).await;
    }
    turns(bench, &mut ready, measured, observe).await;
    Ok(())
}

/// Turns about, and who begins a round ended the one before: what disturbs the machine, or wears off, meets both alike.
async fn turns(
    bench: &Bench,
    ready: &mut [Ready],
    measured: &mut Measured,
    observe: &mut impl FnMut(Stage<'_>),
) {
    let load = &bench.load;
    let shares = match ready.len() {
        1 => load.shares(1),
        _ => load.shares(load.turns),
    };
    let rounds = u32::try_from(shares.len()).unwrap_or(u32::MAX);
    for (round, calls) in (1..).zip(shares) {
        let mut order: Vec<_> = (0..ready.len()).collect();
        if round % 2 == 0 {
            order.reverse();
        }
        for number in order {
            let side = &mut measured.sides[number];
            observe(Stage::Turn(&side.url, round, rounds));
            let count: Count = Arc::new(Mutex::new(Tally::new(calls)));
            side.turns.push(count.clone());
            ready[number].turn(load, &count).await;
        }
    }
}
