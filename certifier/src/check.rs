//! A check: a rule, and something to do. README.md says how to write one.

use std::pin::Pin;

use crate::capability::Capability;
use crate::failure::Outcome;
use crate::rule::{Door, Group, Level, Rule};
use crate::target::Target;

type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A rule and the requests that test it.
pub(crate) struct Check {
    pub(crate) rule: Rule,
    run: Box<dyn Fn(Target) -> Running + Send + Sync>,
}

/// Checks of one group and level, with one source.
#[derive(Clone, Copy)]
pub(crate) struct Family {
    pub(crate) group: Group,
    pub(crate) level: Level,
    pub(crate) source: &'static str,
}

impl Family {
    pub(crate) const fn new(group: Group, level: Level, source: &'static str) -> Self {
        Self {
            group,
            level,
            source,
        }
    }

    /// A check that runs once, in the default namespace, beside others, and needs nothing special.
    pub(crate) fn check<R, F>(self, id: &'static str, says: &'static str, run: R) -> Check
    where
        R: Fn(Target) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let rule = Rule {
            id,
            says,
            source: self.source,
            case: "",
            group: self.group,
            level: self.level,
            door: Door::Either,
            needs: &[],
            everywhere: false,
            long: false,
            alone: false,
        };
        Check {
            rule,
            run: Box::new(move |target| Box::pin(run(target))),
        }
    }
}

#[allow(
    dead_code,
    reason = "a vocabulary: not every word of it is in use at every time"
)]
impl Check {
    /// The number in the table that the suite was planned from; see [`Rule::case`].
    pub(crate) fn case(mut self, case: &'static str) -> Self {
        self.rule.case = case;
        self
    }

    /// Another level than the rest of the family.
    pub(crate) fn level(mut self, level: Level) -> Self {
        self.rule.level = level;
        self
    }

    /// Another group than the rest of the family.
    pub(crate) fn group(mut self, group: Group) -> Self {
        self.rule.group = group;
        self
    }

    /// Another source than the rest of the family.
    pub(crate) fn source(mut self, source: &'static str) -> Self {
        self.rule.source = source;
        self
    }

    /// Repeats the check in the second namespace.
    pub(crate) fn everywhere(mut self) -> Self {
        self.rule.everywhere = true;
        self
    }

    /// Skips the check where the platform does not claim all of these.
    pub(crate) fn needs(mut self, needs: &'static [Capability]) -> Self {
        self.rule.needs = needs;
        self
    }

    /// Skips the check where no gateway stands in front.
    pub(crate) fn only_through_gateway(mut self) -> Self {
        self.rule.door = Door::Gateway;
        self
    }

    /// Skips the check where a gateway stands in front.
    pub(crate) fn only_direct(mut self) -> Self {
        self.rule.door = Door::Provider;
        self
    }

    /// Takes minutes: left out unless asked for.
    pub(crate) fn long(mut self) -> Self {
        self.rule.long = true;
        self
    }

    /// Looks at, or changes, what others would disturb: runs when nothing else does.
    pub(crate) fn alone(mut self) -> Self {
        self.rule.alone = true;
        self
    }

    pub(crate) async fn run(&self, target: Target) -> Outcome {
        (self.run)(target).await
    }
}
