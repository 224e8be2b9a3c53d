//! What must hold: everything about a check except how it is tried.

use crate::capability::Capability;
use crate::words::words;

words! {
    /// What a check is about.
    Group: "group" {
        Health = "health", "The health endpoint.";
        Info = "info", "What the platform says of itself.";
        Deploy = "deploy", "Deploying a function, and refusing to.";
        Update = "update", "Replacing what is deployed.";
        List = "list", "The list of functions.";
        Status = "status", "The status of one function.";
        Delete = "delete", "Removing a function.";
        Scale = "scale", "The number of replicas.";
        Invoke = "invoke", "Calling a function.";
        Path = "path", "Path and query of a call.";
        Methods = "methods", "Methods of a call.";
        Headers = "headers", "Headers of a call and of its answer.";
        Bodies = "bodies", "Bodies of a call and of its answer.";
        Streaming = "streaming", "Answers that come piece by piece.";
        Upgrades = "upgrades", "Connections that change their protocol.";
        Timeouts = "timeouts", "Calls that take too long.";
        Errors = "errors", "What a caller is told when something fails.";
        Secrets = "secrets", "Secrets, and functions that read them.";
        Namespaces = "namespaces", "Namespaces, and that they are apart.";
        Logs = "logs", "What a function has logged.";
        Labels = "labels", "Labels and annotations.";
        Limits = "limits", "Limits of memory and processor.";
        Auth = "auth", "Who is let in.";
        Async = "async", "Asynchronous calls.";
        Callbacks = "callbacks", "Results that are posted to a callback URL.";
        FromZero = "scale-from-zero", "Calls of a function without replicas.";
        Alerts = "alerts", "Scaling by alerts.";
        Metrics = "metrics", "What is measured.";
        Concurrency = "concurrency", "Many requests at a time.";
        Shutdown = "shutdown", "Replicas that are stopped.";
        Run = "run", "The run as a whole.";
    }
}

words! {
    /// How much is asked for. Each level contains the one before.
    Level: "level" {
        Core = "core", "What the original suite's thirteen tests ask for.";
        Standard = "standard", "What callers, tools and operators rely on besides.";
        Full = "full", "Everything, also what no platform but a careful one does.";
    }
}

/// Where the platform has to be entered for a rule to make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Through a gateway or straight at the provider.
    Either,
    /// Only a gateway does this.
    Gateway,
    /// Only to be seen at the provider itself.
    Provider,
}

/// What must hold. Ids are part of the product: they are filtered by, skipped and reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable name, `group.subject`.
    pub id: &'static str,
    /// One sentence: what must hold.
    pub says: &'static str,
    /// Where that comes from.
    pub source: &'static str,
    /// Number in the table that the suite was planned from: `5.1` for the original's tests, `A1` to `J8` for what they
    /// leave out. Empty for what is in neither.
    pub case: &'static str,
    /// What it is about.
    pub group: Group,
    /// How much is asked for.
    pub level: Level,
    /// Where the platform has to be entered.
    pub door: Door,
    /// What the platform must be able to do; without one of these the check is skipped aloud.
    pub needs: &'static [Capability],
    /// Whether it is tried in the default namespace only, or again in a second one.
    pub everywhere: bool,
    /// Whether it takes minutes; such checks run only when asked for.
    pub long: bool,
    /// Whether it must not run beside others.
    pub alone: bool,
}

impl Rule {
    /// A rule of the run itself, not of the platform.
    pub(crate) const fn of_the_run(
        id: &'static str,
        says: &'static str,
        source: &'static str,
    ) -> Self {
        Self {
            id,
            says,
            source,
            case: "",
            group: Group::Run,
            level: Level::Core,
            door: Door::Either,
            needs: &[],
            everywhere: false,
            long: false,
            alone: true,
        }
    }
}
