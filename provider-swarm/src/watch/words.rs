//! Why replicas are missing, in words.

use time::{Duration, OffsetDateTime};

use super::snapshot::{Failure, Seen};

/// How long a task's end explains why replicas are missing.
const RECENT: Duration = Duration::seconds(60);

/// What there is to say of a function; nothing while all is well, or while replicas are only starting.
///
/// `silent` is what a replica says that runs and does not answer.
pub(crate) fn problem(
    seen: &Seen,
    ready: usize,
    silent: Option<String>,
    now: OffsetDateTime,
) -> Option<String> {
    if let Some(message) = &seen.undone {
        let other = seen.failures.iter().rev().find(|failure| !failure.current);
        let reason = other.map_or(message, |failure| &failure.text);
        return Some(format!("the last update was undone: {reason}"));
    }
    let replicas = seen.replicas;
    if ready as u64 >= replicas {
        return None;
    }
    let recent = |failure: &&Failure| failure.waiting || now - failure.when < RECENT;
    let mut current = seen.failures.iter().rev().filter(|failure| failure.current);
    let reason = current
        .find(recent)
        .map(|failure| failure.text.clone())
        .or(silent)?;
    Some(match (ready, replicas) {
        (0, _) => format!("no replica is ready: {reason}"),
        _ => format!("{ready} of {replicas} replicas are ready: {reason}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str, seconds_ago: i64, current: bool, waiting: bool) -> Failure {
        Failure {
            task: text.into(),
            when: OffsetDateTime::UNIX_EPOCH - Duration::seconds(seconds_ago),
            text: text.into(),
            current,
            waiting,
        }
    }

    fn said(
        replicas: u64,
        ready: usize,
        failures: Vec<Failure>,
        undone: Option<&str>,
    ) -> Option<String> {
        let seen = Seen {
            replicas,
            labels: Default::default(),
            annotations: Default::default(),
            undone: undone.map(str::to_owned),
            running: Vec::new(),
            wanted: 0,
            failures,
        };
        problem(&seen, ready, None, OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn the_newest_reason_of_the_specification_that_holds() {
        let failures = || {
            vec![
                failure("old", 20, true, false),
                failure("new", 1, true, false),
                failure("before", 0, false, false),
            ]
        };
        assert_eq!(
            said(1, 0, failures(), None).unwrap(),
            "no replica is ready: new"
        );
        assert_eq!(
            said(3, 2, failures(), None).unwrap(),
            "2 of 3 replicas are ready: new"
        );
        assert_eq!(said(1, 1, failures(), None), None);
        assert_eq!(said(0, 0, failures(), None), None);
    }

    #[test]
    fn what_is_long_over_explains_nothing_and_what_still_waits_does() {
        assert_eq!(
            said(1, 0, vec![failure("over", 90, true, false)], None),
            None
        );
        let waits = said(
            1,
            0,
            vec![failure("no suitable node", 9000, true, true)],
            None,
        );
        assert_eq!(waits.unwrap(), "no replica is ready: no suitable node");
    }

    #[test]
    fn an_update_that_was_undone_is_told_with_its_reason() {
        let failures = vec![failure("No such image: x", 5, false, false)];
        let words = said(1, 1, failures, Some("rollback completed")).unwrap();
        assert_eq!(words, "the last update was undone: No such image: x");
        let words = said(1, 1, Vec::new(), Some("rollback completed")).unwrap();
        assert_eq!(words, "the last update was undone: rollback completed");
    }
}
