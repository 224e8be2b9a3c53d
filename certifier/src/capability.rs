//! What a platform can do at all. A check that needs more is skipped, with the reason.

use std::collections::BTreeMap;

use crate::words::words;

words! {
    /// Something that a platform may do without, and then says so.
    Capability: "capability" {
        Namespaces = "namespaces", "Functions and secrets can be in a namespace besides the default one, and one is named with --namespace.";
        NamespaceCrud = "namespace-crud", "Namespaces can be created, updated and deleted over the API.";
        ScaleZero = "scale-zero", "A function can be scaled to zero replicas.";
        ScaleMany = "scale-many", "A function can have more than one replica.";
        Autoscaling = "autoscaling", "Replicas are added under load and removed after it.";
        Idler = "idler", "A function that is not called is scaled to zero.";
        Secrets = "secrets", "There are secrets.";
        SecretUpdate = "secret-update", "A secret can be changed.";
        MemoryLimits = "memory-limits", "Memory limits are taken and enforced.";
        CpuLimits = "cpu-limits", "Processor limits are taken.";
        Constraints = "constraints", "Placement constraints are taken and obeyed.";
        ReadOnly = "read-only", "A function's root file system can be read-only.";
        Logs = "logs", "Functions' logs can be read.";
        LogsFollow = "logs-follow", "Functions' logs can be followed.";
        Usage = "usage", "A status tells the memory and processor time in use.";
        RunsContainers = "runs-containers", "Functions are container images: one that does not exist cannot run.";
        Auth = "auth", "The system API wants credentials, and they were given.";
        Async = "async", "Calls can be queued and made later.";
        Callbacks = "callbacks", "Results of queued calls are posted to a callback URL, and an address for them was given (--callback-address).";
        Metrics = "metrics", "Metrics are served, and where was said (--metrics-url).";
        Trailers = "trailers", "Fields after the body of a call and of an answer are passed on.";
        Redirector = "redirector", "There is a test function that redirects (--redirector-image or --image-map).";
        Probe = "probe", "There is a test function that does as each call says (--probe-image or --image-map).";
    }
}

/// Whether something is claimed, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whether checks that need it run.
    pub claimed: bool,
    /// How that is known.
    pub reason: String,
}

/// What the platform claims. What is not in here is claimed: silence is no excuse.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims(BTreeMap<Capability, Claim>);

impl Claims {
    /// States a claim, over whatever was stated before.
    pub(crate) fn state(&mut self, capability: Capability, claimed: bool, reason: &str) {
        let reason = reason.to_owned();
        self.0.insert(capability, Claim { claimed, reason });
    }

    /// The claim about one capability.
    pub(crate) fn of(&self, capability: Capability) -> Claim {
        let by_default = || Claim {
            claimed: true,
            reason: "assumed; --without says otherwise".to_owned(),
        };
        self.0.get(&capability).cloned().unwrap_or_else(by_default)
    }

    /// Every capability with its claim.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Capability, Claim)> {
        let all = Capability::ALL.iter();
        all.map(|&capability| (capability, self.of(capability)))
    }
}
