//! The watchdog within another program.

use std::ffi::OsString;

use faas_watchdog::{Config, Limit, Watchdog};

use crate::caller::Caller;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_bound_run_and_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let variables: [(OsString, OsString); 5] = [
        ("fprocess".into(), "cat".into()),
        ("port".into(), "0".into()),
        ("metrics_port".into(), "0".into()),
        ("TMPDIR".into(), directory.path().into()),
        ("PATH".into(), std::env::var_os("PATH").unwrap()),
    ];
    let mut config = Config::read(variables).unwrap();
    config.healthcheck_interval = Limit::new(std::time::Duration::ZERO);
    let watchdog = Watchdog::bind(config).await.unwrap();
    let port = watchdog.local_addr().unwrap().port();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(watchdog.run(async { drop(stopped.await) }));

    let called = tokio::task::spawn_blocking(move || {
        let mut caller = Caller::connect(port);
        caller.send("POST", "/", &[], b"hello");
        caller.answer().is(200, "hello");
    });
    called.await.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert!(!directory.path().join(".lock").exists());
}
