//! One namespace of the platform under test, in the words of an operator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::clean_up::remove;
use crate::failure::{Failure, Outcome};
use crate::http::{Answer, Client, Request};
use crate::journal::Journal;
use crate::options::{Credentials, Options, TestFunction};
use crate::platform::{Made, Platform, Shared};
use crate::sink::Sink;
use crate::view::View;

pub(crate) const FUNCTIONS: &str = "/system/functions";
const SECRETS: &str = "/system/secrets";

/// What a check works on.
#[derive(Clone)]
pub(crate) struct Target {
    platform: Arc<Platform>,
    pub(crate) namespace: String,
    /// Begins every name. Other in each tested namespace: the same check runs in both at a time, and a platform that
    /// mixes namespaces up must fail the check for that, and no other.
    prefix: String,
    journal: Journal,
    /// What this check alone has made, to be removed when it is done.
    own: Arc<Mutex<Vec<Made>>>,
}

/// A function of the suite. `more` holds what its deployment says beyond the usual.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) process: &'static str,
    pub(crate) more: fn() -> Value,
}

impl Target {
    pub(crate) fn new(platform: Arc<Platform>, namespace: String, journal: Journal) -> Self {
        let prefix = match namespace == platform.options.default_namespace {
            true => platform.prefix().to_owned(),
            false => format!("{}-b", platform.prefix()),
        };
        Self {
            platform,
            namespace,
            prefix,
            journal,
            own: Arc::default(),
        }
    }

    /// The same platform, in another namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            ..self.clone()
        }
    }

    /// The same target, except that what is made is kept to the end of the run, for others.
    pub(crate) fn keeping(&self) -> Self {
        Self {
            own: Arc::default(),
            ..self.clone()
        }
    }

    /// Remembers something to be removed, first by this check, then by the run. To be called before it is asked for.
    pub(crate) async fn remember(&self, made: Made) {
        self.platform.remember(made.clone()).await;
        self.own.lock().await.push(made);
    }

    /// Removes what this check has made, so that it does not weigh on the others. The run itself looks again at its end.
    pub(crate) async fn tidy(&self) {
        let mut own = self.own.lock().await.split_off(0);
        own.sort_by_key(Made::turn);
        for made in own {
            let _ = remove(&self.platform, &made).await;
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.platform.options
    }

    pub(crate) fn limit(&self) -> Duration {
        self.options().timeout
    }

    /// How long something lasts that has to be seen lasting, as the probe is told it: in milliseconds.
    pub(crate) fn pause(&self) -> String {
        self.options().pause.as_millis().to_string()
    }

    /// The name on the platform of what the suite calls `short`.
    pub(crate) fn name(&self, short: &str) -> String {
        format!("{}-{short}", self.prefix)
    }

    /// The page of metrics, which may be at another place than the platform.
    pub(crate) async fn metrics(&self) -> Outcome<Answer> {
        let options = self.options();
        let Some(url) = &options.metrics_url else {
            return Err(Failure::new("the URL of the metrics", "none was given"));
        };
        let limit = options.answer_timeout;
        let client = Client::new(url, Credentials::None, limit, &options.trust)?;
        let answer = client.send(&Request::call(Method::GET, "")).await?;
        self.note(answer.sent.clone(), answer.describe(), answer.elapsed);
        Ok(answer)
    }

    pub(crate) async fn sink(&self) -> Outcome<Arc<Sink>> {
        self.platform.sink().await
    }

    pub(crate) fn client(&self) -> &Client {
        &self.platform.client
    }

    /// The cell that says how the deployment of a function went that checks share.
    pub(crate) async fn shared(&self, short: &str) -> Shared {
        self.platform.shared(&self.namespace, short).await
    }

    /// Keeps an exchange for the report.
    pub(crate) fn note(&self, sent: String, received: String, took: Duration) {
        self.journal.write(sent, received, took);
    }

    /// Sends one request, and keeps it for the report.
    pub(crate) async fn send(&self, request: Request) -> Outcome<Answer> {
        let started = Instant::now();
        let outcome = self.platform.client.send(&request).await;
        let (sent, received) = match &outcome {
            Ok(answer) => (answer.sent.clone(), answer.describe()),
            Err(failure) => (failure.sent.clone(), failure.got.clone()),
        };
        self.journal.write(sent, received, started.elapsed());
        outcome
    }

    pub(crate) async fn get(&self, path: &str) -> Outcome<Answer> {
        self.send(Request::system(Method::GET, path)).await
    }

    /// A whole deployment, as the original's client writes it: labels and annotations are always
    /// there. The keys of `more` replace those of the usual.
    pub(crate) fn deployment(&self, short: &str, process: &str, more: Value) -> Value {
        let mut deployment = json!({
            "service": self.name(short),
            "image": self.options().image,
            "namespace": self.namespace,
            "envProcess": process,
            "labels": {},
            "annotations": {},
        });
        if let (Some(deployment), Value::Object(more)) = (deployment.as_object_mut(), more) {
            deployment.extend(more);
        }
        deployment
    }

    /// Deploys, and says what came back, whatever that is.
    pub(crate) async fn deploy(&self, short: &str, process: &str, more: Value) -> Outcome<Answer> {
        let body = self.deployment(short, process, more);
        self.write_function(Method::POST, &body).await
    }

    /// Sends a deployment (POST) or an update (PUT) exactly as it is given.
    pub(crate) async fn write_function(&self, method: Method, body: &Value) -> Outcome<Answer> {
        if let Some(name) = body["service"].as_str() {
            let namespace = body["namespace"].as_str().unwrap_or(&self.namespace);
            self.remember(Made::Function {
                name: name.to_owned(),
                namespace: namespace.to_owned(),
            })
            .await;
        }
        self.send(Request::system(method, FUNCTIONS).json(body))
            .await
    }

    /// Sends a text that may be no deployment at all, as if it were one of `short`.
    pub(crate) async fn write_text(
        &self,
        method: Method,
        short: &str,
        text: String,
    ) -> Outcome<Answer> {
        self.remember_function(short).await;
        self.send(Request::system(method, FUNCTIONS).body(text))
            .await
    }

    /// For a function that is asked for in another way than by [`Target::write_function`].
    pub(crate) async fn remember_function(&self, short: &str) {
        let (name, namespace) = (self.name(short), self.namespace.clone());
        self.remember(Made::Function { name, namespace }).await;
    }

    /// Deploys a function for a check that is about something else, so any success will do.
    pub(crate) async fn have(&self, short: &str, process: &str, more: Value) -> Outcome<Answer> {
        let answer = self.deploy(short, process, more).await;
        let answer = answer.and_then(Answer::with_success);
        answer.map_err(|failure| failure.while_doing("deploying the test function"))
    }

    /// The same for a function that is more than a program; `variables` come on top of its own.
    pub(crate) async fn have_function(
        &self,
        short: &str,
        function: &TestFunction,
        variables: &[(&str, &str)],
    ) -> Outcome<Answer> {
        let own = function.environment.iter();
        let own = own.map(|(name, value)| (name.as_str(), value.as_str()));
        let environment: BTreeMap<_, _> = own.chain(variables.iter().copied()).collect();
        let environment = json!({"envVars": environment});
        self.have_function_with(short, function, environment).await
    }

    /// The same with anything else in its deployment.
    pub(crate) async fn have_function_with(
        &self,
        short: &str,
        function: &TestFunction,
        more: Value,
    ) -> Outcome<Answer> {
        let mut body = self.deployment(short, &function.process, json!({}));
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.insert("image".to_owned(), json!(function.image));
            body.insert("envVars".to_owned(), json!(function.environment));
            body.extend(more);
        }
        if let (true, Some(body)) = (function.process.is_empty(), body.as_object_mut()) {
            body.remove("envProcess");
        }
        let answer = self.write_function(Method::POST, &body).await;
        let answer = answer.and_then(Answer::with_success);
        answer.map_err(|failure| failure.while_doing("deploying the test function"))
    }

    /// The same for a function that several checks share.
    pub(crate) async fn have_sample(&self, sample: &Sample) -> Outcome<Answer> {
        let cell = self.shared(sample.name).await;
        let deployed = cell
            .get_or_init(async || {
                let keeper = self.keeping();
                keeper
                    .have(sample.name, sample.process, (sample.more)())
                    .await
            })
            .await;
        deployed.clone()
    }

    pub(crate) async fn update(&self, short: &str, process: &str, more: Value) -> Outcome<Answer> {
        let body = self.deployment(short, process, more);
        self.write_function(Method::PUT, &body).await
    }

    /// The answer to a status request, once: every change must be readable at once.
    pub(crate) async fn status(&self, short: &str) -> Outcome<Answer> {
        let (name, namespace) = (self.name(short), &self.namespace);
        self.get(&format!(
            "/system/function/{name}?namespace={namespace}&usage=1"
        ))
        .await
    }

    /// The status of a function that must exist.
    pub(crate) async fn view(&self, short: &str) -> Outcome<View> {
        let answer = self.status(short).await?.with_status(&[200])?;
        let function = answer.json()?;
        let view = View::new("the status", answer, function);
        // Otherwise a check that something is absent would pass on `{}`.
        view.equal("name", &json!(self.name(short)))?;
        Ok(view)
    }

    pub(crate) async fn list(&self) -> Outcome<Answer> {
        let path = format!("{FUNCTIONS}?namespace={}", self.namespace);
        self.get(&path).await?.with_status(&[200])
    }

    /// Every element of the list with this function's name.
    pub(crate) async fn listed(&self, short: &str) -> Outcome<(Answer, Vec<Value>)> {
        let answer = self.list().await?;
        let mut functions = answer.array()?;
        functions.retain(|function| function["name"] == self.name(short));
        Ok((answer, functions))
    }

    /// Deploys a sample, unless that has been done, and looks at it both ways.
    pub(crate) async fn views(&self, sample: &Sample) -> Outcome<Vec<View>> {
        self.have_sample(sample).await?;
        self.both_views(sample.name).await
    }

    /// The function in the status and in the list. A list without it is for the check
    /// `deploy.listed-at-once` to complain about.
    pub(crate) async fn both_views(&self, short: &str) -> Outcome<Vec<View>> {
        let mut views = vec![self.view(short).await?];
        let (answer, functions) = self.listed(short).await?;
        let listed = functions.into_iter();
        views.extend(listed.map(|function| View::new("the list", answer.clone(), function)));
        Ok(views)
    }

    /// Waits until a replica can answer.
    pub(crate) async fn available(&self, short: &str) -> Outcome<View> {
        self.available_many(short, 1).await
    }

    /// Waits until so many replicas can answer.
    pub(crate) async fn available_many(&self, short: &str, count: u64) -> Outcome<View> {
        let patience = &self.platform.for_replicas;
        let attempt = async || {
            let view = self.view(short).await?;
            view.at_least("availableReplicas", count)?;
            Ok(view)
        };
        patience.wait(self.limit(), attempt).await
    }

    /// Clients of two generations put the namespace in the query or in the body; the original
    /// suite only in the query.
    pub(crate) async fn delete(&self, short: &str) -> Outcome<Answer> {
        let path = format!("{FUNCTIONS}?namespace={}", self.namespace);
        let body = json!({"functionName": self.name(short)});
        self.send(Request::system(Method::DELETE, path).json(&body))
            .await
    }

    pub(crate) async fn scale(&self, short: &str, replicas: u64) -> Outcome<Answer> {
        let (name, namespace) = (self.name(short), &self.namespace);
        let path = format!("/system/scale-function/{name}?namespace={namespace}");
        let body = json!({"serviceName": name, "replicas": replicas});
        self.send(Request::system(Method::POST, path).json(&body))
            .await
    }

    /// A call to `NAME.NAMESPACE`, `rest` being a path or a query after that.
    pub(crate) fn call(&self, method: Method, short: &str, rest: &str) -> Request {
        let (name, namespace) = (self.name(short), &self.namespace);
        self.call_path(method, &format!("{name}.{namespace}{rest}"))
    }

    /// A call to whatever `path` names, which need not be a function of ours.
    pub(crate) fn call_path(&self, method: Method, path: &str) -> Request {
        Request::call(method, format!("/function/{path}"))
    }

    /// Calls until the status is the wanted one: a fresh function may still be starting.
    pub(crate) async fn call_until(&self, request: &Request, wanted: u16) -> Outcome<Answer> {
        let patience = &self.platform.for_calls;
        let attempt = async || self.send(request.clone()).await?.with_status(&[wanted]);
        patience.wait(self.limit(), attempt).await
    }

    /// Calls a sample. It has answered before, so there is no second attempt.
    pub(crate) async fn call_sample(&self, sample: &Sample, request: Request) -> Outcome<Answer> {
        let called = format!("{}, called", sample.name);
        let cell = self.shared(&called).await;
        let first = cell.get_or_init(|| async {
            self.have_sample(sample).await?;
            let call = self.call(Method::POST, sample.name, "");
            self.call_until(&call, 200).await
        });
        first.await.clone()?;
        self.send(request).await?.with_status(&[200])
    }

    /// Creates a secret, and says what came back. `content` holds `value` or `rawValue`.
    pub(crate) async fn create_secret(&self, short: &str, content: Value) -> Outcome<Answer> {
        let (name, namespace) = (self.name(short), self.namespace.clone());
        self.remember(Made::Secret { name, namespace }).await;
        self.secret(Method::POST, short, content).await
    }

    /// Any other request about one secret; everything travels in the body.
    pub(crate) async fn secret(
        &self,
        method: Method,
        short: &str,
        content: Value,
    ) -> Outcome<Answer> {
        let mut body = json!({"name": self.name(short), "namespace": self.namespace});
        if let (Some(body), Value::Object(content)) = (body.as_object_mut(), content) {
            body.extend(content);
        }
        self.send(Request::system(method, SECRETS).json(&body))
            .await
    }

    pub(crate) async fn secrets(&self) -> Outcome<Answer> {
        let path = format!("{SECRETS}?namespace={}", self.namespace);
        self.get(&path).await?.with_status(&[200, 202])
    }

    /// Reads a function's log, as far as it goes by now.
    pub(crate) async fn logs(&self, short: &str) -> Outcome<Answer> {
        let (name, namespace) = (self.name(short), &self.namespace);
        let path = format!("/system/logs?follow=false&name={name}&namespace={namespace}");
        self.get(&path).await?.with_status(&[200])
    }
}
