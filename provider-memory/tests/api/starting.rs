//! What can be set, and why a start is refused.

use nix::sys::signal::Signal;

use crate::binary::{Binary, command, refused};
use crate::support::{Home, answer, ok, soon};

#[tokio::test]
async fn help_lists_every_variable() {
    let output = soon("the help", command(&[]).arg("--help").output())
        .await
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for name in [
        "port",
        "data_dir",
        "functions_dir",
        "image_map",
        "function_namespace",
        "replica_address",
        "max_replicas",
        "paused_replicas",
        "paused_time",
        "read_timeout",
        "write_timeout",
        "basic_auth",
        "secret_mount_path",
        "log_format",
        "log_level",
    ] {
        assert!(
            help.lines().any(|line| line.trim_start().starts_with(name)),
            "{name}: {help}"
        );
    }
}

#[tokio::test]
async fn every_bad_setting_is_reported_at_once_with_its_name() {
    let bad = [
        ("port", "x"),
        ("max_replicas", "-1"),
        ("read_timeout", "soon"),
        ("log_format", "xml"),
    ];
    let (code, words) = refused(&Home::new(), &bad).await;
    assert_eq!(code, Some(1));
    for (name, value) in bad {
        assert!(words.contains(&format!("{name}: `{value}`")), "{words}");
    }
    assert_eq!(words.lines().count(), 1, "{words}");
}

#[tokio::test]
async fn what_cannot_be_used_is_one_line_with_its_setting() {
    let home = Home::new();
    let missing = home.path("missing");
    let missing = missing.to_str().unwrap();
    std::fs::write(home.path("bad.toml"), "[[[").unwrap();
    let bad = home.path("bad.toml");
    for (variable, value, expected) in [
        ("functions_dir", missing, "functions_dir: "),
        ("image_map", missing, "image_map: "),
        ("image_map", bad.to_str().unwrap(), "image_map: "),
        (
            "replica_address",
            "nowhere.invalid",
            "replica_address: `nowhere.invalid` is no IP address and no known name",
        ),
        ("data_dir", "/dev/null/x", "data_dir: /dev/null/x: "),
    ] {
        let (code, words) = refused(&home, &[(variable, value), ("RUST_BACKTRACE", "1")]).await;
        assert_eq!(code, Some(1), "{words}");
        assert!(
            words.starts_with(&format!("provider-memory: {expected}")),
            "{words}"
        );
        assert_eq!(words.lines().count(), 1, "{words}");
    }
}

#[tokio::test]
async fn state_that_is_newer_or_broken_is_refused_and_left_as_it_is() {
    let home = Home::new();
    let mut first = Binary::start(&home).await;
    first.signal(Signal::SIGTERM);
    assert!(first.ended().await);
    let file = home.path("data/provider-memory.json");
    for (text, reason) in [
        (
            "{\"version\": 99}",
            "it is of version 99, this program knows version 1",
        ),
        ("{\"version\": 1, \"functions\": 7}", "expected a map"),
        ("\u{0}\u{0}", "expected value"),
    ] {
        std::fs::write(&file, text).unwrap();
        let (code, words) = refused(&home, &[]).await;
        assert_eq!(code, Some(1));
        assert!(
            words.contains(reason) && words.contains("provider-memory.json"),
            "{words}"
        );
        assert_eq!(words.lines().count(), 1, "{words}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}

#[tokio::test]
async fn a_directory_in_use_is_refused_and_its_user_goes_on() {
    let home = Home::new();
    let first = Binary::start(&home).await;
    let (code, words) = refused(&home, &[]).await;
    assert_eq!(code, Some(1));
    assert!(words.contains("is in use by another provider"), "{words}");
    assert_eq!(words.lines().count(), 1, "{words}");
    assert_eq!(first.get("/system/functions").await, ok("[]"));
}

#[tokio::test]
async fn the_log_says_once_what_this_machine_gives() {
    let provider = Binary::start(&Home::new()).await;
    let log = provider.log();
    assert_eq!(
        log.matches("what this machine gives to functions").count(),
        1,
        "{log}"
    );
}

#[tokio::test]
async fn with_basic_auth_the_system_wants_the_credentials_and_functions_stay_open() {
    let home = Home::new();
    std::fs::write(home.path("basic-auth-user"), "admin").unwrap();
    std::fs::write(home.path("basic-auth-password"), "pass word\n").unwrap();
    let path = home.path("");
    let variables = [
        ("basic_auth", "true"),
        ("secret_mount_path", path.to_str().unwrap()),
    ];
    let provider = Binary::with(&home, &variables).await;
    for path in [
        "/system/functions",
        "/system/function/f",
        "/system/info",
        "/system/secrets",
        "/system/namespaces",
        "/system/namespace/dev",
        "/system/logs?name=f",
        "/system/endpoints",
    ] {
        let (status, words) = provider.get(path).await;
        assert_eq!(status, 401, "{path}: {words}");
    }
    let list = provider.request(reqwest::Method::GET, "/system/functions");
    let list = list.basic_auth("admin", Some("pass word"));
    assert_eq!(answer(list).await, ok("[]"));
    assert_eq!(provider.get("/healthz").await.0, 200);
    assert_eq!(provider.call("f", "").await.0, 404);
}
