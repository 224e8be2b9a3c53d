//! Who gets the free places: a pure function.

/// A function that has calls waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) function: String,
    /// Calls of it that wait.
    pub(crate) waiting: usize,
    /// Calls of it that run.
    pub(crate) running: usize,
    /// Further calls of it that may run.
    pub(crate) room: usize,
}

/// Gives each place to the function with the fewest calls running, those first whose calls have waited for longest, which
/// is the order they come in. The last `reserve` places are for functions of which nothing runs: a slow one must not make
/// a newcomer wait.
pub(crate) fn share(free: usize, reserve: usize, candidates: &[Candidate]) -> Vec<(String, usize)> {
    let mut given = vec![0; candidates.len()];
    for left in (1..=free).rev() {
        let runs = |at: &usize| candidates[*at].running + given[*at];
        let wants = |at: &usize| given[*at] < candidates[*at].room.min(candidates[*at].waiting);
        let next = (0..candidates.len()).filter(wants).min_by_key(runs);
        match next {
            Some(at) if left > reserve || runs(&at) == 0 => given[at] += 1,
            _ => break,
        }
    }
    let functions = candidates
        .iter()
        .map(|candidate| candidate.function.clone());
    functions
        .zip(given)
        .filter(|(_, given)| *given > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(function: &str, waiting: usize, running: usize, room: usize) -> Candidate {
        Candidate {
            function: function.to_owned(),
            waiting,
            running,
            room,
        }
    }

    #[test]
    fn places_are_shared_evenly_within_what_each_may_have() {
        type Case<'a> = (usize, usize, &'a [Candidate], &'a [(&'a str, usize)]);
        let cases: &[Case<'_>] = &[
            (0, 0, &[candidate("f", 9, 0, 9)], &[]),
            (4, 0, &[candidate("f", 9, 0, 9)], &[("f", 4)]),
            (4, 0, &[candidate("f", 2, 0, 9)], &[("f", 2)]),
            (4, 0, &[candidate("f", 9, 0, 1)], &[("f", 1)]),
            (
                4,
                0,
                &[candidate("f", 9, 0, 9), candidate("g", 9, 0, 9)],
                &[("f", 2), ("g", 2)],
            ),
            (
                4,
                0,
                &[candidate("f", 9, 3, 9), candidate("g", 9, 0, 9)],
                &[("f", 1), ("g", 3)],
            ),
            (
                1,
                0,
                &[candidate("f", 9, 0, 9), candidate("g", 9, 0, 9)],
                &[("f", 1)],
            ),
            // The reserve is for those of which nothing runs.
            (4, 2, &[candidate("f", 9, 4, 9)], &[("f", 2)]),
            (2, 2, &[candidate("f", 9, 6, 9)], &[]),
            (
                2,
                2,
                &[candidate("f", 9, 6, 9), candidate("g", 9, 0, 9)],
                &[("g", 1)],
            ),
            (
                2,
                2,
                &[candidate("g", 9, 0, 9), candidate("h", 9, 0, 9)],
                &[("g", 1), ("h", 1)],
            ),
        ];
        for (free, reserve, candidates, expected) in cases {
            let given = share(*free, *reserve, candidates);
            let given: Vec<_> = given
                .iter()
                .map(|(name, given)| (name.as_str(), *given))
                .collect();
            assert_eq!(&given, expected, "{free} {reserve} {candidates:?}");
        }
    }
}
