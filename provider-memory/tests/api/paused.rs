//! Replicas that are kept, stopped, while their function has none.

use std::time::Duration;

use faas_provider_memory::Config;
use faas_provider_memory::sandbox::Allowed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::binary::Binary;
use crate::processes::{alive, marked, sandboxes, states};
use crate::support::{
    Api, Home, Provider, accepted, answer, function, mark, ok, soon, until, with,
};

/// A server that counts its calls; the path says how many seconds a call takes. It is never quite idle.
const COUNTER: &str = r#"
import http.server, sys, threading, time
calls = 0
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        global calls
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(float(self.path.strip("/") or 0))
        calls += 1
        text = str(calls).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_):
        pass
def tick():
    while True:
        time.sleep(0.001)
threading.Thread(target=tick, daemon=True).start()
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

fn counter(name: &str, mark: &str) -> Value {
    let variables = json!({"mode": "http", "upstream_url": "http://127.0.0.1:$PORT", "mark": mark});
    with(
        function(name, "/usr/bin/python3 counter.py $PORT"),
        json!({"envVars": variables, "labels": {"com.openfaas.scale.zero-pause": "true"}}),
    )
}

async fn provider(change: impl FnOnce(&mut Config)) -> Provider {
    let provider = Provider::with(Home::new(), change, Allowed::default()).await;
    provider.home.script("counter.py", COUNTER);
    provider
}

/// Waits until all processes with this mark are stopped.
async fn stopped(mark: &str) {
    until("everything to stop", async || {
        let states = states(mark);
        !states.is_empty() && states.iter().all(|state| *state == 'T')
    })
    .await;
}

/// Waits until no process with this mark is left.
async fn gone(mark: &str) {
    until("everything to end", async || marked(mark).is_empty()).await;
}

/// Takes a function to zero, and waits until its replica is paused.
async fn pause(api: &Api, name: &str, mark: &str) {
    assert_eq!(api.scale(name, 0).await, accepted());
    stopped(mark).await;
}

async fn wake(api: &Api, name: &str) {
    assert_eq!(api.scale(name, 1).await, accepted());
    api.available(name, 1).await;
}

async fn is_kept(provider: &Provider) {
    let mark = mark();
    provider.have(&counter("count", &mark)).await;
    assert_eq!(provider.call("count", "").await, ok("1"));
    let before = marked(&mark);
    assert!(before.len() >= 2, "{before:?}");
    pause(provider, "count", &mark).await;
    let status = provider.status("count").await;
    assert_eq!(
        (&status["replicas"], &status["availableReplicas"]),
        (&json!(0), &json!(0))
    );
    let refused = provider.call("count", "").await.0;
    assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE);
    for calls in ["2", "3"] {
        wake(provider, "count").await;
        assert_eq!(provider.call("count", "").await, ok(calls));
        assert_eq!(marked(&mark), before);
        assert!(!states(&mark).contains(&'T'));
        pause(provider, "count", &mark).await;
    }
    // Further replicas begin beside it.
    assert_eq!(provider.scale("count", 2).await, accepted());
    provider.available("count", 2).await;
    assert!(before.iter().all(|pid| marked(&mark).contains(pid)));
    provider.delete("count").await;
    gone(&mark).await;
}

#[tokio::test]
async fn a_replica_is_stopped_at_zero_with_all_that_it_knows_and_continued() {
    is_kept(&provider(|_| ()).await).await;
}

#[tokio::test]
async fn so_it_is_where_the_machine_gives_nothing() {
    let provider = Provider::allowed(Allowed::nothing()).await;
    provider.home.script("counter.py", COUNTER);
    is_kept(&provider).await;
}

#[tokio::test]
async fn calls_in_flight_end_before_it_stops() {
    let provider = provider(|_| ()).await;
    let mark = mark();
    provider.have(&counter("count", &mark)).await;
    let long = tokio::spawn(answer(
        provider.request(Method::POST, "/function/count/1.5"),
    ));
    sleep(Duration::from_millis(300)).await;
    pause(&provider, "count", &mark).await;
    assert!(long.is_finished());
    assert_eq!(long.await.unwrap(), ok("1"));
}

#[tokio::test]
async fn one_that_is_wanted_again_before_it_has_stopped_serves_on() {
    let provider = provider(|_| ()).await;
    let mark = mark();
    provider.have(&counter("count", &mark)).await;
    let before = marked(&mark);
    for calls in 1..20 {
        assert_eq!(provider.scale("count", 0).await, accepted());
        sleep(Duration::from_millis(calls * 37 % 400)).await;
        wake(&provider, "count").await;
        assert_eq!(provider.call("count", "").await, ok(&calls.to_string()));
    }
    assert_eq!(marked(&mark), before);
}

/// A gateway that has not heard yet may send a call to a replica that is paused.
#[tokio::test]
async fn a_call_that_comes_all_the_same_is_answered() {
    let provider = provider(|_| ()).await;
    let mark = mark();
    provider.have(&counter("count", &mark)).await;
    let table = provider.request(Method::GET, "/system/endpoints").send();
    let mut table = soon("the table", table).await.unwrap();
    let piece = soon("the table", table.chunk()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&piece).into_owned();
    let (_, rest) = text.split_once("127.0.0.1:").unwrap();
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    // The connection is kept, and used again while the replica is stopped; so is a new one.
    let late = Api::at(format!("http://127.0.0.1:{port}"));
    assert_eq!(late.post("/", &json!({})).await, ok("1"));
    pause(&provider, "count", &mark).await;
    assert_eq!(late.post("/", &json!({})).await, ok("2"));
    stopped(&mark).await;
    let other = Api::at(late.url.clone());
    assert_eq!(other.post("/", &json!({})).await, ok("3"));
    stopped(&mark).await;
    wake(&provider, "count").await;
    assert_eq!(provider.call("count", "").await, ok("4"));
}

#[tokio::test]
async fn an_update_and_a_new_secret_take_effect() {
    let provider = provider(|_| ()).await;
    let secret = |value: &str| json!({"name": "key", "value": value});
    provider.create_secret(&secret("one")).await;
    let (first, second) = (mark(), mark());
    let counter = |mark: &str| with(counter("count", mark), json!({"secrets": ["key"]}));
    provider.have(&counter(&first)).await;
    pause(&provider, "count", &first).await;
    let (path, two) = ("/system/secrets", secret("two"));
    let changed = provider.send(Method::PUT, path, &two).await;
    assert_eq!(changed.0, StatusCode::OK);
    let before = marked(&first);
    wake(&provider, "count").await;
    until("another process", async || {
        marked(&first).iter().all(|pid| !before.contains(pid))
    })
    .await;
    pause(&provider, "count", &first).await;
    assert_eq!(provider.update(&counter(&second)).await, accepted());
    gone(&first).await;
    wake(&provider, "count").await;
    assert_eq!(provider.call("count", "").await, ok("1"));
}

#[tokio::test]
async fn one_that_is_killed_while_it_is_paused_is_replaced_when_it_is_wanted() {
    let provider = provider(|_| ()).await;
    let mark = mark();
    provider.have(&counter("count", &mark)).await;
    let everything = sandboxes(&mark, i32::try_from(std::process::id()).unwrap());
    pause(&provider, "count", &mark).await;
    for pid in marked(&mark) {
        // The first one may take the others along.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    until("nothing to be left", async || {
        alive(&everything).is_empty() && marked(&mark).is_empty()
    })
    .await;
    wake(&provider, "count").await;
    assert_eq!(provider.call("count", "").await, ok("1"));
}

#[tokio::test]
async fn of_too_many_the_one_that_was_used_longest_ago_ends() {
    let provider = provider(|config| config.paused_replicas = 2).await;
    let marks = [(); 3].map(|()| mark());
    for (name, mark) in ["a", "b", "c"].iter().zip(&marks) {
        provider.have(&counter(name, mark)).await;
    }
    pause(&provider, "a", &marks[0]).await;
    pause(&provider, "b", &marks[1]).await;
    wake(&provider, "a").await;
    pause(&provider, "a", &marks[0]).await;
    pause(&provider, "c", &marks[2]).await;
    gone(&marks[1]).await;
    stopped(&marks[0]).await;
    stopped(&marks[2]).await;
}

#[tokio::test]
async fn it_is_kept_for_a_while_and_only_where_it_is_asked_for() {
    let provider = provider(|config| config.paused_time = Duration::from_secs(1)).await;
    let [asked, silent] = [mark(), mark()];
    provider.have(&counter("asked", &asked)).await;
    let without = with(counter("silent", &silent), json!({"labels": {}}));
    provider.have(&without).await;
    assert_eq!(provider.scale("silent", 0).await, accepted());
    gone(&silent).await;
    let since = Instant::now();
    pause(&provider, "asked", &asked).await;
    gone(&asked).await;
    assert!(since.elapsed() >= Duration::from_secs(1));
    wake(&provider, "asked").await;
}

#[tokio::test]
async fn nothing_stays_behind_a_provider_that_stops_or_is_killed() {
    let provider = provider(|_| ()).await;
    let mark = mark();
    provider.have(&counter("count", &mark)).await;
    let home = provider.home.clone();
    let everything = sandboxes(&mark, i32::try_from(std::process::id()).unwrap());
    pause(&provider, "count", &mark).await;
    provider.stop().await;
    assert!(alive(&everything).is_empty() && marked(&mark).is_empty());

    let mut binary = Binary::start(&home).await;
    wake(&binary, "count").await;
    let everything = sandboxes(&mark, binary.pid());
    pause(&binary, "count", &mark).await;
    binary.signal(Signal::SIGKILL);
    binary.ended().await;
    until("everything to end", async || {
        alive(&everything).is_empty() && marked(&mark).is_empty()
    })
    .await;
}
