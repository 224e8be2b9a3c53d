//! The platform under test: how it is reached, and what this run has made on it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

use crate::capability::Claims;
use crate::failure::{Failure, Outcome};
use crate::http::{Answer, Client, Request};
use crate::options::{Entry, Options};
use crate::sink::Sink;
use crate::wait::Patience;

/// Whoever does not answer this soon at first is not going to pass anyway.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

const INFO: &str = "/system/info";

/// Something that a run made and has to remove, never anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    Function { name: String, namespace: String },
    Secret { name: String, namespace: String },
    Namespace { name: String },
}

impl Made {
    /// In which order things can be removed: a secret may be in use by a function, and a namespace must be empty.
    pub(crate) fn turn(&self) -> u8 {
        match self {
            Self::Function { .. } => 0,
            Self::Secret { .. } => 1,
            Self::Namespace { .. } => 2,
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Function { name, .. } | Self::Secret { name, .. } | Self::Namespace { name } => {
                name
            }
        }
    }

    /// Where it is; nowhere, if it is a namespace.
    pub(crate) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Function { namespace, .. } | Self::Secret { namespace, .. } => Some(namespace),
            Self::Namespace { .. } => None,
        }
    }
}

/// A function that several checks look at: deployed by the first, kept for the rest.
pub(crate) type Shared = Arc<OnceCell<Outcome<Answer>>>;

/// The platform under test.
pub(crate) struct Platform {
    pub(crate) options: Options,
    pub(crate) client: Client,
    /// For replicas to become available.
    pub(crate) for_replicas: Patience,
    /// For calls to succeed.
    pub(crate) for_calls: Patience,
    prefix: String,
    made: Mutex<Vec<Made>>,
    pub(crate) claims: OnceLock<Claims>,
    shared: Mutex<HashMap<(String, String), Shared>>,
    sink: OnceCell<Outcome<Arc<Sink>>>,
}

impl Platform {
    pub(crate) fn new(options: Options) -> Outcome<Self> {
        let url = options.entry.url();
        if !url.starts_with("http://") && !url.starts_with("https://") {
            let expected = "a URL that begins with http:// or https://";
            return Err(Failure::new(expected, format!("{url:?}")));
        }
        let client = Client::new(
            url,
            options.credentials.clone(),
            options.answer_timeout,
            &options.trust,
        )?;
        Ok(Self {
            client,
            options,
            for_replicas: Patience::default(),
            for_calls: Patience::default(),
            prefix: prefix(),
            made: Mutex::default(),
            claims: OnceLock::new(),
            shared: Mutex::default(),
            sink: OnceCell::new(),
        })
    }

    /// Begins the name of everything this run makes.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Remembers something for the clean-up. To be called *before* it is asked for: a request
    /// that is cut off may still have been carried out.
    ///
    /// Only what bears this run's prefix is ever removed.
    pub(crate) async fn remember(&self, made: Made) {
        if !made.name().contains(&self.prefix) {
            return;
        }
        let mut all = self.made.lock().await;
        if !all.contains(&made) {
            all.push(made);
        }
    }

    /// How long the first questions may take.
    pub(crate) fn first_answer(&self) -> Duration {
        FIRST_ANSWER.min(self.options.answer_timeout)
    }

    pub(crate) async fn made(&self) -> Vec<Made> {
        self.made.lock().await.clone()
    }

    /// The cell that keeps the deployment of a shared function.
    pub(crate) async fn shared(&self, namespace: &str, name: &str) -> Shared {
        let key = (namespace.to_owned(), name.to_owned());
        self.shared.lock().await.entry(key).or_default().clone()
    }

    /// Where callbacks come in, opened when the first is wanted.
    pub(crate) async fn sink(&self) -> Outcome<Arc<Sink>> {
        let open = || async {
            let Some(address) = &self.options.callback_address else {
                return Err(Failure::new("an address for callbacks", "none was given"));
            };
            let sink = Sink::open(address).await;
            let expected = format!("to listen for callbacks at {address}");
            sink.map(Arc::new)
                .map_err(|error| Failure::new(expected, error.to_string()))
        };
        self.sink.get_or_init(open).await.clone()
    }

    /// Whether this is the kind of platform it was said to be. The words are for someone who
    /// has mistyped a port, not for the author of a provider.
    pub(crate) async fn reach(&self) -> Outcome {
        let (answer, info) = self.greet().await?;
        self.right_entry(&answer, &info)
    }

    /// The same for who does not mind whether it is a gateway or a provider; what it says of itself.
    pub(crate) async fn greet(&self) -> Outcome<(Answer, serde_json::Map<String, Value>)> {
        let limit = self.first_answer();
        let request = Request::system(Method::GET, INFO);
        let answer = self.client.send_within(&request, limit).await;
        let answer = answer.map_err(|failure| self.nobody(failure))?;
        if matches!(answer.status, 401 | 403) {
            let hint = "give --basic-auth-file, --basic-auth-dir or --token";
            let got = format!("it refused the credentials, or the lack of them: {hint}");
            return Err(answer.fault("to be let in", got));
        }
        match answer.json() {
            Ok(Value::Object(info)) if answer.status == 200 => Ok((answer, info)),
            _ => Err(self.stranger(&answer)),
        }
    }

    /// Takes a prefix that nothing on the platform begins with, so that nothing of others can be taken for ours.
    pub(crate) async fn take_free_prefix(&mut self) {
        let mut taken = String::new();
        for namespace in self.options.tested_namespaces() {
            for path in ["/system/functions", "/system/secrets"] {
                let request = Request::system(Method::GET, format!("{path}?namespace={namespace}"));
                // Whoever cannot list is told so by the checks.
                if let Ok(answer) = self.client.send_within(&request, self.first_answer()).await {
                    taken.push_str(&answer.text());
                }
            }
        }
        while taken.contains(&self.prefix) {
            self.prefix = prefix();
        }
    }

    /// Says of a failure to get any answer what may be wrong.
    pub(crate) fn nobody(&self, failure: Failure) -> Failure {
        let url = self.options.entry.url();
        Failure {
            expected: format!("a {} at {url}", self.kind()),
            got: format!("{} ({})", hint(&failure.got), failure.got),
            ..failure
        }
    }

    fn stranger(&self, answer: &Answer) -> Failure {
        let got = match answer.status {
            500.. => format!(
                "GET {INFO} failed with status {}; is everything behind it running?",
                answer.status
            ),
            300..400 => {
                let there = answer.header("location");
                format!("it redirects to {there:?}; give that URL")
            }
            status => format!(
                "something else answers there: GET {INFO} gave status {status} and {}, \
                 not 200 and a JSON object",
                content(answer)
            ),
        };
        answer.fault(
            format!("a {} at {}", self.kind(), self.options.entry.url()),
            got,
        )
    }

    /// A gateway wraps what a provider says of itself, so each can be told from the other.
    fn right_entry(&self, answer: &Answer, info: &serde_json::Map<String, Value>) -> Outcome {
        let is_provider = info.contains_key("orchestration");
        let is_gateway = info.get("provider").is_some_and(Value::is_object);
        match &self.options.entry {
            Entry::Gateway(_) if is_provider && !is_gateway => {
                Err(answer.fault("a gateway", "a provider: use --provider for this URL"))
            }
            Entry::Provider(_) if is_gateway && !is_provider => {
                Err(answer.fault("a provider", "a gateway: use --gateway for this URL"))
            }
            _ => Ok(()),
        }
    }

    fn kind(&self) -> &'static str {
        match self.options.entry.is_gateway() {
            true => "gateway",
            false => "provider",
        }
    }
}

/// What it may mean that no answer came.
fn hint(error: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if says(&["no complete answer within"]) {
        "something listens there and does not answer; is it still starting, or stuck?"
    } else if says(&["UnknownIssuer", "CaUsedAsEndEntity"]) {
        "its certificate is signed by nobody who is known here; name the authority with --ca-file"
    } else if says(&["invalid peer certificate"]) {
        "its certificate is not good for this URL"
    } else if says(&["InvalidContentType"]) {
        "something listens there that does not speak TLS; is it http://, and is the port right?"
    } else if says(&["closed before message completed", "reset by peer"]) {
        "something listens there and hangs up; is it https://, and is the port right?"
    } else if says(&["invalid HTTP", "message head"]) {
        "something listens there that does not speak HTTP; is it https://, and is the port right?"
    } else {
        "nobody answers there; is it running, and is the port right?"
    }
}

fn content(answer: &Answer) -> String {
    match answer.header("content-type") {
        "" => "no content type".to_owned(),
        kind => kind.to_owned(),
    }
}

/// Two runs on one platform must not meet.
fn prefix() -> String {
    let random: String = (0..6).map(|_| fastrand::char('a'..='z')).collect();
    format!("certify-{random}")
}
