//! What was measured.

use std::fs;

use super::load::Load;
use super::tally::Tally;
use super::turn::{Count, counted};

/// The result of a measurement.
#[derive(Debug)]
pub struct Measured {
    /// What was asked for.
    pub load: Load,
    /// One gateway, or two.
    pub sides: Vec<Side>,
    /// Whether it was ended before its time.
    pub interrupted: bool,
    /// The machine's load average before and after, where it tells one.
    pub load_average: (Option<String>, Option<String>),
}

/// What was measured of one gateway.
#[derive(Debug)]
pub struct Side {
    /// The gateway.
    pub url: String,
    /// The function, as it stands in the path.
    pub function: String,
    pub(super) turns: Vec<Count>,
}

/// How much larger a latency of the second is than the first's, over the turns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

impl Measured {
    pub(super) fn begin(load: &Load) -> Self {
        Self {
            load: load.clone(),
            sides: Vec::new(),
            interrupted: false,
            load_average: (load_average(), None),
        }
    }

    pub(super) fn end(&mut self) {
        self.load_average.1 = load_average();
    }

    /// Whether it came to its end, and every call was answered with a status below 400.
    pub fn success(&self) -> bool {
        let sides = self.sides.iter();
        !self.interrupted && sides.map(Side::total).all(|total| total.all_answered())
    }

    /// The second's latency at this part of the calls (0 to 1), the first's being 1; `None` without both.
    pub fn ratio(&self, part: f64) -> Option<f64> {
        let [first, second] = self.sides.as_slice() else {
            return None;
        };
        ratio(&first.total(), &second.total(), part)
    }

    /// The same for each round of turns: how far one can be trusted.
    pub(super) fn spread(&self, part: f64) -> Option<Spread> {
        let [first, second] = self.sides.as_slice() else {
            return None;
        };
        let rounds = first.turns.iter().zip(&second.turns);
        let ratios = rounds.filter_map(|(first, second)| {
            let (first, second) = (counted(first).clone(), counted(second).clone());
            ratio(&first, &second, part)
        });
        let mut ratios: Vec<_> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        Some(Spread {
            least: *ratios.first()?,
            median: *ratios.get(ratios.len() / 2)?,
            most: *ratios.last()?,
        })
    }
}

impl Side {
    pub(super) fn new(url: &str, function: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            function: function.to_owned(),
            turns: Vec::new(),
        }
    }

    /// All of its turns together.
    pub fn total(&self) -> Tally {
        let mut total = Tally::new(0);
        for turn in &self.turns {
            total.add(&counted(turn));
        }
        total
    }
}

fn ratio(first: &Tally, second: &Tally, part: f64) -> Option<f64> {
    let (first, second) = (first.latency(part)?, second.latency(part)?);
    (!first.is_zero()).then(|| second.as_secs_f64() / first.as_secs_f64())
}

/// The three numbers of Linux.
fn load_average() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let words: Vec<_> = text.split_whitespace().take(3).collect();
    Some(words.join(" "))
}
