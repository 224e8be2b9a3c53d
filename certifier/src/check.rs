//! What a check is: an id that stays, a sentence, and something to do.

use std::pin::Pin;

use crate::failure::Outcome;
use crate::target::Target;

/// What must hold. Ids are part of the product: they are filtered by, skipped and reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable name, `group.subject`.
    pub id: &'static str,
    /// One sentence: what must hold.
    pub says: &'static str,
    /// Where that comes from.
    pub source: &'static str,
}

/// In which namespaces a check runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Once, in the default namespace.
    Once,
    /// In the default namespace, and again in the first further one.
    EveryNamespace,
}

/// What a check cannot do without. Whoever lacks it gets a skip with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A gateway in front.
    Gateway,
    /// A namespace besides the default one.
    SecondNamespace,
    /// The function that answers with a redirect.
    Redirector,
}

type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A rule and the requests that test it.
pub(crate) struct Check {
    pub(crate) rule: Rule,
    pub(crate) scope: Scope,
    pub(crate) needs: Option<Need>,
    run: Box<dyn Fn(Target) -> Running + Send + Sync>,
}

/// Where a family of rules comes from.
#[derive(Clone, Copy)]
pub(crate) struct Source(pub(crate) &'static str);

impl Source {
    /// A check of this family; see [`Check::new`].
    pub(crate) fn check<R, F>(self, id: &'static str, says: &'static str, run: R) -> Check
    where
        R: Fn(Target) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let source = self.0;
        Check::new(Rule { id, says, source }, run)
    }
}

impl Check {
    /// A check that runs once and needs nothing special.
    pub(crate) fn new<R, F>(rule: Rule, run: R) -> Self
    where
        R: Fn(Target) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        Self {
            rule,
            scope: Scope::Once,
            needs: None,
            run: Box::new(move |target| Box::pin(run(target))),
        }
    }

    /// Repeats the check in the second namespace.
    pub(crate) fn everywhere(mut self) -> Self {
        self.scope = Scope::EveryNamespace;
        self
    }

    /// Skips the check where `need` is not met.
    pub(crate) fn needs(mut self, need: Need) -> Self {
        self.needs = Some(need);
        self
    }

    pub(crate) async fn run(&self, target: Target) -> Outcome {
        (self.run)(target).await
    }
}
