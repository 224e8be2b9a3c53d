use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn answered(status: u16, internal: bool) -> Outcome {
    let retry_after = None;
    Outcome::Answered {
        status,
        internal,
        retry_after,
    }
}

fn again(seconds: u64) -> Verdict {
    let after = Duration::from_secs(seconds);
    Verdict::Retry {
        after,
        counts: Counts::Failure,
    }
}

/// The matrix by another road: a table of ranges, first match wins.
fn expected(status: u16, internal: bool, exhausted: bool) -> Verdict {
    let retried = match (status, internal) {
        (400 | 401 | 404 | 413, _) => false,
        (408 | 429 | 500 | 502 | 503 | 504, _) => true,
        (500.., true) => true,
        _ => false,
    };
    match (status, internal, retried, exhausted) {
        (..400, ..) => Verdict::Succeeded,
        (_, _, true, false) => again(10),
        (_, _, true, true) => Verdict::Dead(Reason::RetriesExhausted),
        (404, true, ..) => Verdict::Dead(Reason::FunctionNotFound),
        (status, ..) => Verdict::Dead(Reason::Http(status)),
    }
}

#[test]
fn every_status_with_and_without_the_platforms_mark_and_retries() {
    let policy = RetryPolicy::default();
    for status in 100..600 {
        for internal in [false, true] {
            for failures in [0, policy.max_retries] {
                let situation = Situation {
                    failures,
                    ..Situation::default()
                };
                assert_eq!(
                    settle(answered(status, internal), &situation, &policy),
                    expected(status, internal, failures > 0),
                    "{status} internal={internal} failures={failures}"
                );
            }
        }
    }
}

#[test]
fn what_is_never_retried_is_not_whatever_the_settings_say() {
    let policy = RetryPolicy {
        codes: NEVER_RETRIED.into(),
        ..RetryPolicy::default()
    };
    for status in NEVER_RETRIED {
        for internal in [false, true] {
            let verdict = settle(answered(status, internal), &Situation::default(), &policy);
            assert!(matches!(verdict, Verdict::Dead(_)), "{status} {verdict:?}");
        }
    }
}

#[test]
fn a_refusal_is_a_mere_failure_where_nobody_wants_dead_letters() {
    let policy = RetryPolicy {
        dead_on_permanent: false,
        ..RetryPolicy::default()
    };
    let verdict =
        |status, internal| settle(answered(status, internal), &Situation::default(), &policy);
    assert_eq!(verdict(400, false), Verdict::Failed);
    assert_eq!(verdict(404, true), Verdict::Dead(Reason::FunctionNotFound));
}

#[test]
fn ends_without_an_answer() {
    let policy = RetryPolicy {
        max_retries: 2,
        ..RetryPolicy::default()
    };
    for outcome in [Outcome::TimedOut, Outcome::Broken] {
        for (failures, verdict) in [
            (0, again(10)),
            (1, again(20)),
            (2, Verdict::Dead(Reason::RetriesExhausted)),
        ] {
            let situation = Situation {
                failures,
                ..Situation::default()
            };
            assert_eq!(
                settle(outcome, &situation, &policy),
                verdict,
                "{outcome:?} {failures}"
            );
        }
    }
    assert_eq!(
        settle(Outcome::Cancelled, &Situation::default(), &policy),
        Verdict::Cancelled
    );
}

#[test]
fn a_gateway_that_is_away_uses_up_no_retry() {
    let policy = RetryPolicy {
        max_retries: 0,
        ..RetryPolicy::default()
    };
    for (unreachable, seconds) in [(0, 1), (1, 2), (2, 4), (4, 16), (5, 30), (1000, 30)] {
        let situation = Situation {
            unreachable,
            ..Situation::default()
        };
        let verdict = settle(Outcome::Unreachable, &situation, &policy);
        let after = Duration::from_secs(seconds);
        assert_eq!(
            verdict,
            Verdict::Retry {
                after,
                counts: Counts::Unreachable
            }
        );
    }
}

#[test]
fn retry_after_replaces_the_wait_where_it_means_something() {
    let policy = RetryPolicy {
        min_wait: SECOND,
        ..RetryPolicy::default()
    };
    for (status, asked, wait) in [(429, 7, 7), (503, 7, 7), (429, 0, 1), (500, 7, 1)] {
        let retry_after = Some(Duration::from_secs(asked));
        let outcome = Outcome::Answered {
            status,
            internal: false,
            retry_after,
        };
        let verdict = settle(outcome, &Situation::default(), &policy);
        assert_eq!(verdict, again(wait), "{status} {asked}");
    }
}

#[test]
fn no_room_is_no_failure_where_the_rate_follows_it() {
    let policy = RetryPolicy {
        max_retries: 0,
        min_wait: SECOND,
        ..RetryPolicy::default()
    };
    let situation = Situation {
        adaptive: true,
        ..Situation::default()
    };
    for (retry_after, after) in [
        (None, NO_ROOM),
        (Some(SECOND * 7), SECOND * 7),
        (Some(SECOND / 10), SECOND),
    ] {
        let outcome = Outcome::Answered {
            status: 429,
            internal: true,
            retry_after,
        };
        let verdict = settle(outcome, &situation, &policy);
        assert_eq!(
            verdict,
            Verdict::Retry {
                after,
                counts: Counts::Nothing
            }
        );
    }
}

#[test]
fn a_call_that_would_be_too_old_at_its_next_attempt_is_given_up_now() {
    let policy = RetryPolicy {
        max_age: SECOND * 60,
        ..RetryPolicy::default()
    };
    for outcome in [
        answered(500, false),
        Outcome::TimedOut,
        Outcome::Unreachable,
    ] {
        for (age, dead) in [(50, false), (60, true)] {
            let situation = Situation {
                age: SECOND * age,
                ..Situation::default()
            };
            let verdict = settle(outcome, &situation, &policy);
            assert_eq!(
                verdict == Verdict::Dead(Reason::Expired),
                dead,
                "{outcome:?} {age}"
            );
        }
    }
    let old = Situation {
        age: SECOND * 600,
        ..Situation::default()
    };
    assert_eq!(
        settle(answered(200, false), &old, &policy),
        Verdict::Succeeded
    );
}

#[test]
fn a_call_that_nobody_tells_the_end_of_is_taken_six_times() {
    assert!(!is_lost_too_often(6, 0));
    assert!(is_lost_too_often(7, 0));
    assert!(!is_lost_too_often(100, 99));
    assert!(!is_lost_too_often(0, 7));
}
