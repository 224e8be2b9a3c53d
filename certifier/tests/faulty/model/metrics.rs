//! What is counted, in the text form of Prometheus.

use super::answer::{Answer, empty, typed};
use super::{Model, State};
use crate::switch::Switch;

const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn metrics(model: &Model) -> Answer {
    if model.wrong(Switch::MetricsMissing) {
        return empty(404);
    }
    let state = model.state();
    let mut text = String::from("process_start_time_seconds 1700000000\n");
    if model.is_gateway {
        calls(model, &state, &mut text);
        replicas(model, &state, &mut text);
    } else {
        requests(model, &state, &mut text);
    }
    match model.wrong(Switch::MetricsAreJson) {
        true => typed(200, "application/json", "{}"),
        false => typed(200, KIND, text),
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

fn calls(model: &Model, state: &State, text: &mut String) {
    let total = "gateway_function_invocation_total";
    family(text, total, "counter", "Function metrics");
    for ((name, code), count) in &state.answered {
        text.push_str(&format!(
            "{total}{{code=\"{code}\",function_name=\"{name}\"}} {count}\n"
        ));
    }
    let started = "gateway_function_invocation_started";
    family(
        text,
        started,
        "counter",
        "The total number of function HTTP requests started.",
    );
    let started_calls = state.started.iter();
    for (name, count) in started_calls.filter(|_| !model.wrong(Switch::StartsNotCounted)) {
        text.push_str(&format!("{started}{{function_name=\"{name}\"}} {count}\n"));
    }
    let seconds = "gateway_functions_seconds";
    family(text, seconds, "histogram", "Function time taken");
    let measured = state.answered.iter();
    for ((name, code), count) in measured.filter(|_| !model.wrong(Switch::SecondsMissing)) {
        let labels = format!("code=\"{code}\",function_name=\"{name}\"");
        for limit in ["0.005", "0.1", "1", "10", "+Inf"] {
            text.push_str(&format!(
                "{seconds}_bucket{{{labels},le=\"{limit}\"}} {count}\n"
            ));
        }
        text.push_str(&format!("{seconds}_sum{{{labels}}} 0.001\n"));
        text.push_str(&format!("{seconds}_count{{{labels}}} {count}\n"));
    }
}

fn replicas(model: &Model, state: &State, text: &mut String) {
    let gauge = "gateway_service_count";
    family(
        text,
        gauge,
        "gauge",
        "Current count of replicas for function",
    );
    let functions = state.functions.iter();
    for ((namespace, name), function) in
        functions.filter(|_| !model.wrong(Switch::ReplicasNotMeasured))
    {
        let replicas = function.replicas;
        text.push_str(&format!(
            "{gauge}{{function_name=\"{name}.{namespace}\"}} {replicas}\n"
        ));
    }
}

fn requests(model: &Model, state: &State, text: &mut String) {
    if model.wrong(Switch::RequestsNotCounted) {
        return;
    }
    let total = "provider_http_requests_total";
    family(text, total, "counter", "The total number of HTTP requests.");
    for ((method, path, code), count) in &state.requests {
        let labels = format!("code=\"{code}\",method=\"{method}\",path=\"{path}\"");
        text.push_str(&format!("{total}{{{labels}}} {count}\n"));
    }
    let seconds = "provider_http_request_duration_seconds";
    family(
        text,
        seconds,
        "histogram",
        "Seconds spent serving HTTP requests.",
    );
    for ((method, path, code), count) in &state.requests {
        let labels = format!("code=\"{code}\",method=\"{method}\",path=\"{path}\"");
        text.push_str(&format!(
            "{seconds}_bucket{{{labels},le=\"+Inf\"}} {count}\n"
        ));
        text.push_str(&format!("{seconds}_sum{{{labels}}} 0.001\n"));
        text.push_str(&format!("{seconds}_count{{{labels}}} {count}\n"));
    }
}
