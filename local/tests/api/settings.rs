//! What can be set, and what is said when it is set wrong.

use reqwest::{Method, StatusCode};

use crate::support::{Local, answer, refusal};

#[tokio::test]
async fn help_lists_every_variable_with_its_default() {
    let help = refusal(&[], &["--help"]).await;
    assert!(help.status.success());
    for words in [
        "port",
        "metrics_port",
        "data_dir",
        "functions_dir",
        "image_map",
        "function_namespace",
        "max_replicas",
        "paused_replicas",
        "paused_time",
        "read_timeout",
        "write_timeout",
        "upstream_timeout",
        "scale_from_zero",
        "scale_from_zero_timeout",
        "max_inflight",
        "max_retry_attempts",
        "initial_retry_wait",
        "max_retry_wait",
        "retry_http_codes",
        "max_message_age",
        "async_max_body_bytes",
        "async_result_ttl",
        "callback_retry_waits",
        "prometheus_host",
        "prometheus_port",
        "inactivity_duration",
        "reconcile_interval",
        "write_debug",
        "dry_run",
        "basic_auth",
        "secret_mount_path",
        "log_format",
        "log_level",
        "8080",
        "openfaas-fn",
        "/run/secrets",
    ] {
        assert!(help.stdout.contains(words), "{words}: {}", help.stdout);
    }
}

#[tokio::test]
async fn every_bad_setting_is_reported_at_once_with_its_name() {
    let bad = [
        ("port", "seventy"),
        ("basic_auth", "perhaps"),
        ("upstream_timeout", "1 fortnight"),
        ("log_format", "xml"),
    ];
    let refused = refusal(&bad, &[]).await;
    assert_eq!(refused.status.code(), Some(1));
    for (name, value) in bad {
        assert!(
            refused.stderr.contains(&format!("{name}: `{value}`")),
            "{refused:?}"
        );
    }
    assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_one_line() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let home = tempfile::tempdir().unwrap();
    let data_dir = home.path().to_str().unwrap();
    let settings = [
        ("port", &*port),
        ("data_dir", data_dir),
        ("log_level", "off"),
        ("RUST_BACKTRACE", "1"),
    ];
    let refused = refusal(&settings, &[]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(refused.stdout, "");
    let expected = format!(
        "faas-local: cannot listen on 127.0.0.1:{port}: Address already in use (os error 98)\n"
    );
    assert_eq!(refused.stderr, expected);
}

#[tokio::test]
async fn a_second_one_on_the_same_data_is_refused_in_one_line() {
    let local = Local::start().await;
    let data_dir = local.home.path().join("data");
    let data_dir = data_dir.to_str().unwrap();
    let settings = [
        ("port", "0"),
        ("metrics_port", "0"),
        ("data_dir", data_dir),
        ("log_level", "off"),
    ];
    let refused = refusal(&settings, &[]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stderr.contains(&format!("{data_dir} is in use")),
        "{refused:?}"
    );
    assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
    assert_eq!(local.get("/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn basic_auth_wants_the_credentials_from_the_files() {
    let secrets = tempfile::tempdir().unwrap();
    std::fs::write(secrets.path().join("basic-auth-user"), "admin\n").unwrap();
    std::fs::write(secrets.path().join("basic-auth-password"), "pass word").unwrap();
    let path = secrets.path().to_str().unwrap();
    let local = Local::with(&[("basic_auth", "true"), ("secret_mount_path", path)]).await;

    let list = || local.request(Method::GET, "/system/functions");
    let wrong = list().basic_auth("admin", Some("guess"));
    let right = list().basic_auth("admin", Some("pass word"));
    assert_eq!(answer(list()).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(answer(wrong).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(answer(right).await, (StatusCode::OK, "[]".to_owned()));
    assert_eq!(local.get("/healthz").await.0, StatusCode::OK);
    // Calls are open: this one is 404, not 401.
    assert_eq!(local.call("nothing", "").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn basic_auth_without_its_files_does_not_start() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().to_str().unwrap();
    let settings = [
        ("basic_auth", "true"),
        ("secret_mount_path", path),
        ("data_dir", path),
        ("log_level", "off"),
    ];
    let refused = refusal(&settings, &[]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stderr.contains("basic-auth-user cannot be read"),
        "{refused:?}"
    );
    assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
}
