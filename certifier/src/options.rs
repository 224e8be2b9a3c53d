//! What to certify, and how.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::capability::Capability;
use crate::rule::{Group, Level};
use crate::skips::Allowed;

/// Everything a run needs to know. Start from [`Options::gateway`] or [`Options::provider`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the platform is entered.
    pub entry: Entry,
    /// The namespace that exists without being created, and that most checks use.
    pub default_namespace: String,
    /// Every further namespace that exists. The checks are repeated in the first of them.
    pub namespaces: Vec<String>,
    /// Only checks whose id contains one of these; all if empty.
    pub filter: Vec<String>,
    /// Leave out checks whose id contains one of these.
    pub skip: Vec<String>,
    /// Only checks of these groups; all if empty.
    pub groups: Vec<Group>,
    /// Only checks up to this level.
    pub level: Level,
    /// Also the checks that take minutes.
    pub long: bool,
    /// So many checks at a time.
    pub parallel: usize,
    /// Everything so many times, each time with new names.
    pub repeat: u32,
    /// What the platform can do, whatever it says.
    pub with: Vec<Capability>,
    /// What the platform cannot do, whatever it says.
    pub without: Vec<Capability>,
    /// The skips that are in order; any other fails the run. `None`: all are.
    pub expected_skips: Option<Vec<Allowed>>,
    /// The longest wait for one condition to come true.
    pub timeout: Duration,
    /// The longest wait for one answer, to its last byte.
    pub answer_timeout: Duration,
    /// How long something lasts that has to be seen lasting: the pause between two pieces of a stream, a call that is at work
    /// while its function changes. Too short for a busy platform, and what comes late is taken for what comes at once.
    pub pause: Duration,
    /// Where the platform reaches this program, HOST, HOST:PORT, or :PORT for this machine by its name; without it no
    /// callbacks are asked for.
    pub callback_address: Option<String>,
    /// The URL of the metrics; without it they are not looked at.
    pub metrics_url: Option<String>,
    /// Whose certificates are believed where the URL is `https`.
    pub trust: Trust,
    /// What is sent to the system API.
    pub credentials: Credentials,
    /// The image of the test functions: a classic watchdog with `env`, `cat` and `sha512sum`.
    pub image: String,
    /// Put in front of `image` where the exact image text is checked; may be empty.
    pub registry_prefix: String,
    /// The function that answers every call with 302 and `Location` from its variable `destination`; without it that check
    /// is skipped.
    pub redirector: Option<TestFunction>,
    /// The function that does as each call says (FUNCTIONS.md has its language); without it checks that need it are
    /// skipped.
    pub probe: Option<TestFunction>,
}

/// Where the platform is entered. The URL begins with `http://` or `https://`, with or without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Through a gateway.
    Gateway(String),
    /// Straight to a provider: what only a gateway does is skipped.
    Provider(String),
}

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those signed by an authority of this machine, or by one of these (PEM, may be empty).
    Authorities(Vec<u8>),
    /// All: whoever sits in between can read the credentials.
    Anybody,
}

impl Default for Trust {
    fn default() -> Self {
        Self::Authorities(Vec::new())
    }
}

/// How requests to the system API authenticate. Calls of functions never do.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Not at all.
    #[default]
    None,
    /// HTTP Basic.
    Basic {
        /// Name of the user.
        user: String,
        /// Password of the user.
        password: String,
    },
    /// A bearer token.
    Token(String),
}

/// A function of the suite that is more than a program with standard input and output.
#[derive(Clone, Debug)]
pub struct TestFunction {
    /// Its image.
    pub image: String,
    /// Its process; empty: what the image says.
    pub process: String,
    /// Variables it is deployed with, such as `mode` and `upstream_url`.
    pub environment: BTreeMap<String, String>,
}

impl Options {
    /// A run through the gateway at `url`, everything else at its default.
    pub fn gateway(url: impl Into<String>) -> Self {
        Self::new(Entry::Gateway(url.into()))
    }

    /// A run straight against the provider at `url`, everything else at its default.
    pub fn provider(url: impl Into<String>) -> Self {
        Self::new(Entry::Provider(url.into()))
    }

    fn new(entry: Entry) -> Self {
        Self {
            entry,
            default_namespace: "openfaas-fn".into(),
            namespaces: Vec::new(),
            filter: Vec::new(),
            skip: Vec::new(),
            groups: Vec::new(),
            level: Level::Full,
            long: false,
            parallel: 4,
            repeat: 1,
            with: Vec::new(),
            without: Vec::new(),
            expected_skips: None,
            timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(60),
            pause: Duration::from_millis(1200),
            callback_address: None,
            metrics_url: None,
            trust: Trust::default(),
            credentials: Credentials::None,
            image: "functions/alpine:latest".into(),
            registry_prefix: "docker.io".into(),
            redirector: None,
            probe: None,
        }
    }

    /// `image` with the registry in front, as the image checks deploy it.
    pub(crate) fn prefixed_image(&self) -> String {
        match self.registry_prefix.as_str() {
            "" => self.image.clone(),
            prefix => format!("{prefix}/{}", self.image),
        }
    }

    /// The default namespace and the first further one.
    pub(crate) fn tested_namespaces(&self) -> Vec<String> {
        let second = self.namespaces.first().cloned();
        [self.default_namespace.clone()]
            .into_iter()
            .chain(second)
            .collect()
    }
}

impl TestFunction {
    /// An image with a process, and nothing in its environment.
    pub fn new(image: impl Into<String>, process: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            process: process.into(),
            environment: BTreeMap::new(),
        }
    }
}

impl Entry {
    /// Where requests go.
    pub fn url(&self) -> &str {
        match self {
            Self::Gateway(url) | Self::Provider(url) => url,
        }
    }

    /// Whether a gateway stands in front.
    pub(crate) fn is_gateway(&self) -> bool {
        matches!(self, Self::Gateway(_))
    }
}

impl fmt::Debug for Credentials {
    // Options are printed by tests and logs; a password must not be.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic",
            Self::Token(_) => "Token",
        })
    }
}
