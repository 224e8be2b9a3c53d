//! Calls: without the engine, and without a failure while replicas come and go.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use crate::fault_proxy::{Fault, FaultProxy};
use crate::support::{Api, Program, Provider, accepted, function, unique, until, with};
use crate::swarm::{PLAIN, engine, service};

/// What the watch asks of its own accord: of all functions, never of one.
fn is_of_the_watch(line: &str) -> bool {
    let all = "filters=%7B%22label%22%3A%5B%22ferrofaas.owner%3Dprovider-swarm%22%5D%7D ";
    let lists = ["/services?", "/tasks?"].iter();
    lists
        .clone()
        .any(|list| line.contains(&format!("{list}{all}")))
        || ["/events?", "/networks?", "/version ", "/secrets?"]
            .iter()
            .any(|path| line.contains(path))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_call_asks_the_engine_nothing() {
    let proxy = FaultProxy::start();
    let provider = Provider::behind(&proxy, &[]).await;
    let name = unique("warm");
    provider.have(&function(&name, "cat")).await;
    proxy.asked();
    for _ in 0..100 {
        assert_eq!(provider.call(&name, "x").await.1, "x");
    }
    let asked = proxy.asked();
    assert!(asked.iter().all(|line| is_of_the_watch(line)), "{asked:?}");
}

/// Calls without a pause until told to stop; what failed, in words.
struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    callers: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(api: &Api, method: &Method, path: &str, callers: usize) -> Self {
        let (stop, calls) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let caller = |_| {
            let (api, method, path) = (api.clone(), method.clone(), path.to_owned());
            let (stop, calls) = (stop.clone(), calls.clone());
            tokio::spawn(async move {
                let mut failed = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let (status, text) = api.send(method.clone(), &path, "x".to_owned()).await;
                    calls.fetch_add(1, Ordering::Relaxed);
                    if status != 200 {
                        failed.push(format!("{status}: {text}"));
                    }
                }
                failed
            })
        };
        Self {
            callers: (0..callers).map(caller).collect(),
            stop,
            calls,
        }
    }

    async fn stop(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failed = Vec::new();
        for caller in self.callers {
            failed.extend(caller.await.unwrap());
        }
        (self.calls.load(Ordering::Relaxed), failed)
    }
}

/// A gateway before a provider, on the functions' network as well.
fn gateway(provider: &Provider) -> Program {
    let address = engine().docker(&[
        "inspect",
        "-f",
        "{{(index .NetworkSettings.Networks \"provider-swarm-tests\").IPAddress}}",
        &provider.program.container,
    ]);
    let upstream = format!("http://{}:8080/", address.trim());
    let variables = [
        ("functions_provider_url", upstream.as_str()),
        ("function_namespace", provider.namespace.as_str()),
        ("basic_auth", "false"),
        // It has the replicas that the test asks for, however many calls there are.
        ("autoscaler", "off"),
    ];
    Program::start("gateway", &variables, &[])
}

/// Updates and scales a function that is called through a gateway all the while.
async fn rolls(function: Value, method: Method, path: &str) {
    let provider = Provider::start().await;
    let gateway = gateway(&provider);
    let api = Api::at(&gateway.url);
    let name = function["service"].as_str().unwrap();
    let path = format!("/function/{name}{path}");
    provider.have(&function).await;
    assert_eq!(provider.scale(name, 2).await, accepted());
    provider.available(name, 2).await;
    until("the gateway", async || {
        api.send(method.clone(), &path, String::new()).await.0 == 200
    })
    .await;

    let load = Load::start(&api, &method, &path, 4);
    let labels = json!({"labels": {"version": "2"}, "annotations": {"version": "2"}});
    assert_eq!(
        provider.update(&with(function.clone(), labels)).await,
        accepted()
    );
    until("the end of the update", async || {
        service(name)["UpdateStatus"]["State"] == "completed"
    })
    .await;
    assert_eq!(provider.scale(name, 1).await, accepted());
    provider.available(name, 1).await;
    assert_eq!(provider.scale(name, 3).await, accepted());
    provider.available(name, 3).await;
    let (calls, failed) = load.stop().await;
    assert!(calls > 100, "{calls}");
    assert_eq!(failed, Vec::<String>::new(), "of {calls} calls");
}

/// A function whose watchdog takes calls on for a while after SIGTERM, as by its own default.
fn draining(name: &str, process: &str, more: Value) -> Value {
    let mut function = function(&unique(name), process);
    let variables = function["envVars"].as_object_mut().unwrap();
    variables.insert("healthcheck_interval".into(), json!("5s"));
    variables.extend(more.as_object().unwrap().clone());
    function
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_and_a_scaling_fail_no_call_of_a_classic_function() {
    rolls(draining("classic", "cat", json!({})), Method::POST, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_and_a_scaling_fail_no_call_of_a_function_that_is_a_server() {
    let http = json!({"mode": "http", "upstream_url": "http://127.0.0.1:8082"});
    let function = draining("server", "/bin/handler", http);
    rolls(function, Method::POST, "/some/path").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_and_a_scaling_fail_no_call_of_an_image_without_a_watchdog() {
    let image = json!({"image": PLAIN});
    let function = with(draining("plain", "", json!({})), image);
    rolls(function, Method::GET, "/index.html").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_wakes_a_function_at_zero_through_the_gateway() {
    let provider = Provider::start().await;
    let gateway = gateway(&provider);
    let api = Api::at(&gateway.url);
    let name = unique("zero");
    provider.have(&function(&name, "cat")).await;
    assert_eq!(provider.scale(&name, 0).await, accepted());
    until("an answer", async || {
        api.call(&name, "awake").await == (reqwest::StatusCode::OK, "awake".to_owned())
    })
    .await;
    assert_eq!(provider.status(&name).await["replicas"], 1);
}

#[tokio::test]
async fn a_replica_that_swarm_stops_takes_no_more_calls_while_it_drains() {
    let provider = Provider::start().await;
    let name = unique("drains");
    // It goes on answering for a minute after SIGTERM.
    let slow = json!({"envVars": {"healthcheck_interval": "60s", "write_timeout": "60s"}});
    provider
        .have(&with(function(&name, "hostname"), slow))
        .await;
    assert_eq!(provider.scale(&name, 3).await, accepted());
    provider.available(&name, 3).await;
    assert_eq!(provider.scale(&name, 1).await, accepted());
    until("calls to be answered by one replica", async || {
        let mut hosts = HashSet::new();
        for _ in 0..20 {
            hosts.insert(provider.call(&name, "").await);
        }
        hosts.len() == 1 && hosts.iter().all(|(status, _)| *status == 200)
    })
    .await;
    let filter = format!("label=com.docker.swarm.service.name={name}");
    let running = engine().docker(&["ps", "-q", "--filter", &filter]);
    assert_eq!(running.lines().count(), 3, "{running}");
}

/// The replicas of a function that a gateway elsewhere would call now, by the table that it watches.
fn watched(api: &Api, name: &str) -> Arc<AtomicUsize> {
    let replicas = Arc::new(AtomicUsize::new(0));
    let (shown, request) = (
        replicas.clone(),
        api.http.get(format!("{}/system/endpoints", api.url)),
    );
    let name = name.to_owned();
    tokio::spawn(async move {
        let mut stream = request.send().await.unwrap().bytes_stream();
        let mut text = String::new();
        while let Some(Ok(piece)) = stream.next().await {
            text += std::str::from_utf8(&piece).unwrap();
            while let Some((line, rest)) = text.split_once('\n') {
                let record: Value = serde_json::from_str(line).unwrap_or_default();
                if record["name"]
                    .as_str()
                    .is_some_and(|full| full.starts_with(&name))
                {
                    let endpoints = record["endpoints"].as_array().map_or(0, Vec::len);
                    shown.store(endpoints, Ordering::SeqCst);
                }
                text = rest.to_owned();
            }
        }
    });
    replicas
}

#[tokio::test(flavor = "multi_thread")]
async fn routing_ends_before_swarm_is_asked_to_stop_anything() {
    let proxy = FaultProxy::start();
    let provider = Provider::behind(&proxy, &[]).await;
    let name = unique("first");
    provider.have(&function(&name, "cat")).await;
    let routed = watched(&provider, &name);
    for change in ["scale", "delete"] {
        until("the table", async || routed.load(Ordering::SeqCst) == 1).await;
        let (at_that_time, now) = (Arc::new(AtomicUsize::new(usize::MAX)), routed.clone());
        let noted = at_that_time.clone();
        proxy.rule(move |line| {
            let stops = line.contains("/update?") || line.starts_with("DELETE ");
            stops.then(|| {
                noted.store(now.load(Ordering::SeqCst), Ordering::SeqCst);
                Fault::Answer(500, "later")
            })
        });
        let answer = match change {
            "scale" => provider.scale(&name, 0).await,
            _ => provider.delete(&name).await,
        };
        assert_eq!(answer.0, 500, "{change}");
        assert_eq!(at_that_time.load(Ordering::SeqCst), 0, "{change}");
        // Nothing was stopped after all, and calls go on.
        until("calls", async || provider.call(&name, "x").await.0 == 200).await;
    }
}
