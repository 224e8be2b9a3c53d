//! `jwt_auth`: what has to be there before the function opens.

use std::fs::write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread::spawn;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::authority::{Authority, Key, claims};
use crate::support::{Watchdog, program, run, wait_until};

const NAMED: [(&str, &str); 4] = [
    ("fprocess", "cat"),
    ("jwt_auth", "true"),
    ("OPENFAAS_NAME", "env"),
    ("OPENFAAS_NAMESPACE", "openfaas-fn"),
];

/// The program's last words, with some variables changed; an empty value takes one away.
#[track_caller]
fn refuses_to_start(changes: &[(&str, &str)]) -> String {
    let mut all: Vec<_> = NAMED
        .into_iter()
        .filter(|(name, _)| !changes.contains(&(name, "")))
        .collect();
    all.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let end = run(&[], &all);
    assert_eq!(end.status.code(), Some(1), "{}", end.stderr);
    end.stderr.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn no_authority_no_function_row_237() {
    for mode in ["classic", "streaming", "http"] {
        let url = [("upstream_url", "http://127.0.0.1:9"), ("mode", mode)];
        let nobody = [("jwt_authority", "http://127.0.0.1:1")];
        let words = refuses_to_start(&[url.as_slice(), &nobody].concat());
        let question = "http://127.0.0.1:1/.well-known/openid-configuration";
        let expected = format!("jwt_auth cannot be set up: {question}: Connection refused");
        assert!(words.starts_with(&expected), "{mode}: {words}");
    }
}

#[test]
fn no_name_no_function_row_237() {
    for mode in ["classic", "streaming"] {
        let words = refuses_to_start(&[("OPENFAAS_NAME", ""), ("mode", mode)]);
        assert!(words.contains("OPENFAAS_NAME"), "{words}");
        let words = refuses_to_start(&[("OPENFAAS_NAMESPACE", ""), ("mode", mode)]);
        assert!(words.contains("OPENFAAS_NAMESPACE"), "{words}");
    }
}

/// Differs on purpose: what was no `true` was off, and the function open.
#[test]
fn a_switch_that_cannot_be_read_does_not_open_the_function() {
    for name in ["jwt_auth", "jwt_auth_local", "jwt_auth_debug"] {
        let words = refuses_to_start(&[(name, "yes")]);
        assert!(words.contains(&format!("{name}=\"yes\"")), "{words}");
    }
    let off = [("jwt_auth", "false"), ("jwt_authority", "nonsense")];
    assert_eq!(Watchdog::with("cat", &off).post("open").status, 200);
}

#[test]
fn an_authority_of_no_use_is_named() {
    let authority = Authority::with(&[]);
    let url = authority.url();
    let said = |url: &str| refuses_to_start(&[("jwt_authority", url)]);
    let words = said(&url);
    assert!(words.contains("/keys: there is no key"), "{words}");
    authority.say_keys_are_at("https://127.0.0.1/keys");
    let words = said(&url);
    assert!(
        words.contains("https://127.0.0.1/keys: only http"),
        "{words}"
    );
    for odd in ["https://127.0.0.1", "127.0.0.1:80", "http://"] {
        let words = said(odd);
        assert!(words.contains("jwt_authority must be like"), "{words}");
    }
}

#[test]
fn an_authority_may_need_a_moment() {
    let key = Key::new("key");
    let authority = Authority::with(&[&key]);
    // Not ready, no answer at all, and then the keys are not ready.
    authority.answer_next(&[503, 0, 200, 503]);
    let url = authority.url();
    let mut variables = NAMED.to_vec();
    variables.push(("jwt_authority", &url));
    let watchdog = Watchdog::with("cat", &variables);
    let token = format!("Authorization: Bearer {}", key.sign(&claims()));
    watchdog.call("POST", "/", &[&token], b"x").is(200, "x");
    let log = watchdog.log();
    for reason in ["the answer is 503; asking again", "no answer within 5s"] {
        assert!(log.contains(reason), "{log}");
    }
    let head = authority.asked().remove(0).to_lowercase();
    assert!(head.contains("\r\nuser-agent: openfaas-watchdog\r\n"));
    assert!(head.contains(&format!("\r\nhost: {}\r\n", authority.address)));
}

#[test]
fn waiting_for_an_authority_ends_with_sigterm() {
    let authority = Authority::with(&[]);
    authority.answer_next(&[0]);
    let mut child = program()
        .envs(NAMED)
        .env("jwt_authority", authority.url())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("it asks", || !authority.asked().is_empty());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    let mut status = None;
    wait_until("it has ended", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(0));
}

/// Runs in a network of its own, where every port is free.
fn apart(test: impl FnOnce() + Send + 'static) {
    let apart = spawn(move || {
        // Of this thread only, and of what it starts.
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let lo = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(lo.unwrap().success());
        test();
    });
    if let Err(panic) = apart.join() {
        std::panic::resume_unwind(panic);
    }
}

fn opens_with(address: &str, variables: &[(&str, &str)]) {
    let key = Key::new("key");
    let _authority = Authority::on(TcpListener::bind(address).unwrap(), &[&key]);
    let mut all = NAMED.to_vec();
    // Proxies are not asked.
    all.push(("http_proxy", "http://127.0.0.1:1"));
    all.push(("HTTP_PROXY", "http://127.0.0.1:1"));
    all.extend(variables);
    let watchdog = Watchdog::with("cat", &all);
    let token = format!("Authorization: Bearer {}", key.sign(&claims()));
    watchdog.call("POST", "/", &[&token], b"x").is(200, "x");
    assert_eq!(watchdog.post("x").status, 401);
}

#[test]
fn the_local_authority_is_at_port_8000() {
    apart(|| opens_with("127.0.0.1:8000", &[("jwt_auth_local", "true")]));
}

#[test]
fn the_authority_is_the_gateway_at_port_8080() {
    apart(|| {
        let directory = tempfile::tempdir().unwrap();
        let hosts = directory.path().join("hosts");
        write(&hosts, "127.0.0.1 gateway.openfaas\n").unwrap();
        let none: Option<&str> = None;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(none, "/", none, private, none).unwrap();
        mount(Some(&hosts), "/etc/hosts", none, MsFlags::MS_BIND, none).unwrap();
        // The function's own port is another one here.
        opens_with("127.0.0.1:8080", &[]);
    });
}
