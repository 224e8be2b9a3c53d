//! `jwt_auth`: keys that come and go while the function runs.

use serde_json::json;

use crate::authority::{Authority, Key, claims};
use crate::support::Watchdog;

fn guarded(authority: &Authority) -> Watchdog {
    let url = authority.url();
    let variables = [
        ("jwt_auth", "true"),
        ("jwt_authority", url.as_str()),
        ("OPENFAAS_NAME", "env"),
        ("OPENFAAS_NAMESPACE", ""),
    ];
    Watchdog::with("env", &variables)
}

fn status(watchdog: &Watchdog, key: &Key) -> u16 {
    let header = format!("Authorization: Bearer {}", key.sign(&claims()));
    watchdog.call("GET", "/", &[&header], b"").status
}

/// Differs on purpose: keys were read once, and a new one needed a new start of every function.
#[test]
fn a_new_key_is_learned_when_it_is_used() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let authority = Authority::with(&[&old]);
    let watchdog = guarded(&authority);
    assert_eq!(status(&watchdog, &old), 200);
    assert_eq!(authority.reads(), 1);
    authority.publish(&[new.public()]);
    assert_eq!(status(&watchdog, &new), 200);
    // The old one is withdrawn with it.
    assert_eq!(status(&watchdog, &old), 401);
    assert_eq!(authority.reads(), 2);
}

#[test]
fn made_up_names_do_not_make_questions() {
    let key = Key::new("key");
    let authority = Authority::with(&[&key]);
    let watchdog = guarded(&authority);
    for number in 0..30 {
        assert_eq!(
            status(&watchdog, &Key::new(&format!("made-up-{number}"))),
            401
        );
    }
    // One at the start; one in 10 s, of which a slow machine may need some for these.
    assert!(authority.reads() <= 4, "{}", authority.reads());
    assert_eq!(status(&watchdog, &key), 200);
}

#[test]
fn an_authority_that_is_gone_takes_no_keys_with_it() {
    for broken in [500, 0] {
        let key = Key::new("key");
        let authority = Authority::with(&[&key]);
        let watchdog = guarded(&authority);
        authority.answer_next(&[broken]);
        assert_eq!(status(&watchdog, &Key::new("other")), 401);
        watchdog.wait_for_log("Warning: jwt_auth: the keys stay as they are: http://");
        assert_eq!(status(&watchdog, &key), 200);
    }
}

#[test]
fn a_set_without_bounds_is_not_taken_in() {
    let key = Key::new("key");
    let authority = Authority::with(&[&key]);
    let watchdog = guarded(&authority);
    let new = Key::new("new");
    authority.publish(&[new.public(), json!("x".repeat(1_100_000))]);
    assert_eq!(status(&watchdog, &new), 401);
    watchdog.wait_for_log("length limit exceeded");
    assert_eq!(status(&watchdog, &key), 200);
}

#[test]
fn odd_keys_do_no_harm_to_the_others() {
    let key = Key::new("key");
    let authority = Authority::with(&[]);
    let shared = json!({"kty": "oct", "kid": "shared", "k": "c2hhcmVk"});
    authority.publish(&[
        json!({"kty": "of tomorrow"}),
        json!(7),
        shared,
        key.public(),
    ]);
    assert_eq!(status(&guarded(&authority), &key), 200);
}
