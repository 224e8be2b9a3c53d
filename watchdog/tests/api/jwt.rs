//! `jwt_auth`: who gets through to the function.

use std::fs::write;

use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};

use crate::authority::{Authority, ISSUER, Key, claims, claims_with, now};
use crate::caller::Answer;
use crate::support::{TEXT, Watchdog, free_port, wait_until};
use crate::{caller, http_mode};

/// A function behind the check, and the key that opens it.
struct Guarded {
    watchdog: Watchdog,
    key: Key,
    _authority: Authority,
}

const NAMED: [(&str, &str); 3] = [
    ("jwt_auth", "true"),
    ("OPENFAAS_NAME", "env"),
    ("OPENFAAS_NAMESPACE", "openfaas-fn"),
];

impl Guarded {
    fn env() -> Self {
        Self::with("env", &[])
    }

    fn with(fprocess: &str, variables: &[(&str, &str)]) -> Self {
        Self::started(variables, |all| Watchdog::with(fprocess, all))
    }

    fn started(variables: &[(&str, &str)], start: impl Fn(&[(&str, &str)]) -> Watchdog) -> Self {
        let key = Key::new("key-1");
        let authority = Authority::with(&[&key]);
        let url = authority.url();
        let mut all = vec![("jwt_authority", url.as_str())];
        all.extend(NAMED.iter().chain(variables));
        Self {
            watchdog: start(&all),
            key,
            _authority: authority,
        }
    }

    fn call(&self, authorization: &str) -> Answer {
        let header = format!("Authorization: {authorization}");
        self.watchdog.call("GET", "/a/b?c=d", &[&header], b"")
    }

    /// A call with a token of these claims.
    fn claiming(&self, claims: &Value) -> Answer {
        self.call(&format!("Bearer {}", self.key.sign(claims)))
    }

    #[track_caller]
    fn refuses(&self, authorization: &str, reason: &str) {
        let answer = self.call(authorization);
        answer.is(401, &format!("failed to parse JWT token: {reason}\n"));
        is_from_the_check(&answer);
        let wanted = answer.header("Www-Authenticate");
        assert_eq!(wanted, Some("Bearer realm=IAM function invoke"));
    }

    #[track_caller]
    fn refuses_claims(&self, changes: Value, reason: &str) {
        let token = self.key.sign(&claims_with(changes));
        self.refuses(&format!("Bearer {token}"), reason);
    }

    #[track_caller]
    fn forbids(&self, function: Value) {
        let answer = self.claiming(&claims_with(json!({"function": function})));
        answer.is(403, "insufficient permissions\n");
        is_from_the_check(&answer);
        assert_eq!(answer.header("Www-Authenticate"), None);
    }
}

#[track_caller]
fn is_from_the_check(answer: &Answer) {
    for (name, value) in [
        ("Content-Type", TEXT),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Openfaas-Internal", "faas-middleware"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
}

#[test]
fn a_good_token_opens_the_function_row_229() {
    for mode in ["classic", "streaming", "serializing"] {
        let guarded = Guarded::with("env", &[("mode", mode)]);
        let token = guarded.key.sign(&claims());
        let answer = guarded.call(&format!("Bearer {token}"));
        assert_eq!(answer.status, 200, "{mode}");
        let lines = answer.lines();
        assert!(lines.contains(&format!("Http_Authorization=Bearer {token}")));
        let mut lines = lines.iter();
        let seconds = lines.find_map(|line| line.strip_prefix("Http_X_Auth_Seconds="));
        assert_eq!(seconds.unwrap().split_once('.').unwrap().1.len(), 6);
        guarded.watchdog.wait_for_log("JWT Auth: true");
    }
}

#[test]
fn a_server_sees_the_token_too_row_229() {
    let guarded = Guarded::started(&[], http_mode::http);
    let token = guarded.key.sign(&claims());
    let header = format!("Authorization: Bearer {token}");
    let seen = guarded.watchdog.call("GET", "/dump", &[&header], b"");
    let seen = seen.text();
    assert!(seen.contains(&format!("\r\n{header}\r\n")), "{seen}");
    assert!(seen.contains("\r\nX-Auth-Seconds: 0."), "{seen}");
    assert_eq!(guarded.watchdog.get("/dump").status, 401);
}

#[test]
fn files_are_guarded_as_well_row_229() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path().join("a"), "the file").unwrap();
    let path = directory.path().to_str().unwrap();
    let guarded = Guarded::with("", &[("mode", "static"), ("static_path", path)]);
    let header = format!("Authorization: Bearer {}", guarded.key.sign(&claims()));
    let file = guarded.watchdog.call("GET", "/a", &[&header], b"");
    file.is(200, "the file");
    assert_eq!(guarded.watchdog.get("/a").status, 401);
}

#[test]
fn every_algorithm_of_signatures_is_known() {
    let keys = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ]
    .map(|algorithm| Key::of(&format!("{algorithm:?}"), algorithm));
    let authority = Authority::with(&keys.each_ref());
    let url = authority.url();
    let mut variables = vec![("jwt_authority", url.as_str())];
    variables.extend(NAMED);
    let watchdog = Watchdog::with("env", &variables);
    for key in &keys {
        let header = format!("Authorization: Bearer {}", key.sign(&claims()));
        let answer = watchdog.call("GET", "/", &[&header], b"");
        assert_eq!(answer.status, 200, "{}: {}", key.kid, answer.text());
    }
    // A key is for one algorithm only where the authority says so.
    let mut header = Header::new(Algorithm::RS512);
    header.kid = Some("RS256".to_owned());
    let header = format!(
        "Authorization: Bearer {}",
        keys[0].sign_under(&header, &claims())
    );
    assert_eq!(watchdog.call("GET", "/", &[&header], b"").status, 401);
}

#[test]
fn no_token_row_230() {
    let guarded = Guarded::env();
    for header in ["X: y", "Authorization:", "Authorization: Basic dTpw"] {
        let answer = guarded.watchdog.call("POST", "/", &[header], b"x");
        answer.is(401, "Bearer must be present in Authorization header\n");
        is_from_the_check(&answer);
        assert!(answer.header("Www-Authenticate").is_some());
    }
    let line = guarded.watchdog.wait_for_log("POST / - 401 ACCESS DENIED");
    assert_eq!(line, " - (0s)");
    assert!(!guarded.watchdog.log().contains("Forking"));
}

#[test]
fn a_token_that_proves_nothing_row_230() {
    let guarded = Guarded::env();
    let other = "it is of another issuer";
    guarded.refuses_claims(json!({"exp": now() - 60}), "it has expired");
    guarded.refuses_claims(json!({"nbf": now() + 60}), "it is not valid yet");
    guarded.refuses_claims(json!({"iat": now() + 60}), "it was issued in the future");
    guarded.refuses_claims(json!({"iss": "https://other.example"}), other);
    guarded.refuses_claims(json!({"iss": null}), "it has no usable iss");
    let audience = "it is for another audience";
    guarded.refuses_claims(json!({"aud": ["https://other.example"]}), audience);
    guarded.refuses_claims(json!({"aud": null}), "it has no usable aud");
    guarded.refuses_claims(json!({"exp": "soon"}), "it has no usable exp");
}

#[test]
fn a_signature_that_is_none_row_230() {
    let guarded = Guarded::env();
    // Another key under the name of the right one.
    let forged = Key::new("key-1").sign(&claims());
    guarded.refuses(&format!("Bearer {forged}"), "the signature is wrong");

    let token = guarded.key.sign(&claims());
    let (signed, _) = token.rsplit_once('.').unwrap();
    guarded.refuses(&format!("Bearer {signed}."), "the signature is wrong");
    let (_, claims_part) = signed.split_once('.').unwrap();
    // {"alg":"none","typ":"JWT","kid":"key-1"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoia2V5LTEifQ";
    let odd = "its algorithm or its claims are not as they should be";
    guarded.refuses(&format!("Bearer {none}.{claims_part}."), odd);
    let shared = Key::of("key-1", Algorithm::HS256).sign(&claims());
    let misfit = "the algorithm does not fit the key";
    guarded.refuses(&format!("Bearer {shared}"), misfit);

    let unknown = Key::new("key-2").sign(&claims());
    let no_key = "the authority has no key of this kid";
    guarded.refuses(&format!("Bearer {unknown}"), no_key);
    let mut header = Header::new(Algorithm::ES256);
    let nameless = guarded.key.sign_under(&header, &claims());
    guarded.refuses(&format!("Bearer {nameless}"), "it names no kid");
    header.kid = Some("key-1".to_owned());
    header.crit = Some(vec!["b64".to_owned()]);
    let critical = guarded.key.sign_under(&header, &claims());
    let demands = "it demands an extension that is not known here";
    guarded.refuses(&format!("Bearer {critical}"), demands);
    for garbage in ["a.b.c", "....", "\u{e4}", "x"] {
        let answer = guarded.call(&format!("Bearer {garbage}"));
        assert_eq!(answer.status, 401, "{garbage}");
    }
}

/// Differs on purpose: a token without an end was good for ever, and the word Bearer could be left out.
#[test]
fn borders_of_good_tokens_row_231() {
    let guarded = Guarded::env();
    guarded.refuses_claims(json!({"exp": null}), "it has no usable exp");
    let soon = claims_with(json!({"nbf": now() + 1}));
    assert_eq!(guarded.claiming(&soon).status, 200);
    let bare = guarded.call(&guarded.key.sign(&claims()));
    bare.is(401, "Bearer must be present in Authorization header\n");
}

#[test]
fn tokens_for_other_functions_row_232() {
    let guarded = Guarded::env();
    guarded.forbids(json!({"permissions": ["openfaas-fn:other"]}));
    guarded.forbids(json!({"permissions": []}));
    guarded.forbids(json!({"permissions": ["*"], "audience": ["openfaas-fn:other"]}));
    guarded.forbids(json!({}));
    let nothing_said = guarded.claiming(&claims_with(json!({"function": null})));
    nothing_said.is(403, "insufficient permissions\n");
    guarded
        .watchdog
        .wait_for_log("GET /a/b - 403 ACCESS DENIED - (0s)");
}

#[test]
fn tokens_for_this_function_row_233() {
    let guarded = Guarded::env();
    for function in [
        json!({"permissions": ["*"]}),
        json!({"permissions": ["no:thing", "openfaas-fn:*"]}),
        json!({"permissions": ["openfaas-fn:env"], "audience": []}),
        json!({"permissions": ["*"], "audience": ["openfaas-fn:e*"]}),
        json!({"permissions": ["*:env"], "audience": null}),
    ] {
        let answer = guarded.claiming(&claims_with(json!({"function": function})));
        assert_eq!(answer.status, 200, "{function}");
    }
}

/// Differs on purpose: a piece of a name opened every function that contains it, `fn:en` this one.
#[test]
fn a_piece_of_a_name_is_no_permission_row_234() {
    let guarded = Guarded::env();
    for pattern in ["fn:en", "openfaas-fn:en", "fn:env", "openfaas-fn:"] {
        guarded.forbids(json!({"permissions": [pattern]}));
        guarded.forbids(json!({"permissions": ["*"], "audience": [pattern]}));
    }
}

#[test]
fn probes_need_no_token_row_235() {
    let guarded = Guarded::env();
    guarded.watchdog.get("/_/health").is(200, "OK");
    guarded.watchdog.get("/_/ready").is(200, "");
    assert_eq!(guarded.watchdog.get("/_/ready/").status, 401);

    // What the function says of its readiness is asked without one, too.
    let ready = [("mode", "streaming"), ("ready_path", "/up")];
    let guarded = Guarded::with("printenv Http_Path", &ready);
    guarded.watchdog.get("/_/ready").is(200, "/up\n");
    assert_eq!(guarded.watchdog.get("/up").status, 401);
}

#[test]
fn a_call_over_the_limit_row_236() {
    let held = "echo x > $TMPDIR/started; until [ -e $TMPDIR/go ]; do sleep 0.02; done; echo done";
    for (mode, status) in [("classic", 401), ("streaming", 429), ("serializing", 429)] {
        let variables = [("mode", mode), ("max_inflight", "1")];
        let guarded = Guarded::started(&variables, |all| Watchdog::script_with(held, all));
        let header = format!("Authorization: Bearer {}", guarded.key.sign(&claims()));
        let mut first = guarded.watchdog.connect();
        first.send("GET", "/", &[&header], b"");
        wait_until("the first runs", || {
            guarded.watchdog.path("started").exists()
        });
        assert_eq!(guarded.watchdog.get("/").status, status, "{mode}");
        let second = guarded.watchdog.call("GET", "/", &[&header], b"");
        assert_eq!(second.status, 429, "{mode}");
        write(guarded.watchdog.path("go"), "").unwrap();
        first.answer().is(200, "done\n");
        // Who was refused has given its place back.
        assert_eq!(guarded.watchdog.get("/").status, 401, "{mode}");
        let third = guarded.watchdog.call("GET", "/", &[&header], b"");
        third.is(200, "done\n");
    }
}

#[test]
fn the_refused_are_counted() {
    let port = free_port();
    let guarded = Guarded::with("env", &[("metrics_port", &port.to_string())]);
    guarded.watchdog.get("/");
    guarded.forbids(json!({}));
    let mut metrics = caller::Caller::connect(port);
    metrics.send("GET", "/metrics", &["Connection: close"], b"");
    let page = metrics.answer().text();
    for code in ["401", "403"] {
        let line = format!("http_requests_total{{code=\"{code}\",method=\"get\"}} 1");
        assert!(page.contains(&line), "{page}");
    }
}

#[test]
fn the_refused_may_finish_what_they_send() {
    let guarded = Guarded::env();
    let body = vec![b'x'; 20_000_000];
    let mut caller = guarded.watchdog.connect();
    for _ in 0..2 {
        caller.send("POST", "/", &[], &body);
        assert_eq!(caller.answer().status, 401);
    }
}

#[test]
fn the_log_says_why_if_asked_but_never_a_token() {
    let guarded = Guarded::with("cat", &[("jwt_auth_debug", "true")]);
    let token = guarded.key.sign(&claims_with(json!({"exp": 1})));
    guarded.call(&format!("Bearer {token}"));
    let why = guarded.watchdog.wait_for_log("JWT: failed to parse");
    assert_eq!(why, " JWT token: it has expired");
    let good = guarded.key.sign(&claims());
    guarded.call(&format!("Bearer {good}")).is(200, "");
    let known = format!("JWT: function openfaas-fn:env, issuer {ISSUER}, keys [\"key-1\"]");
    let log = guarded.watchdog.log();
    assert!(log.contains(&known), "{log}");
    for piece in token.split('.').chain(good.split('.')) {
        assert!(!log.contains(piece), "{log}");
    }
}
