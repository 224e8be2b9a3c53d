//! Which checks run, in which namespace, and which are skipped for what reason.

use std::sync::Arc;

use crate::capability::Claims;
use crate::check::Check;
use crate::checks;
use crate::failure::{Failure, Outcome};
use crate::options::Options;
use crate::rule::{Door, Rule};

/// Runs before every check: without it the others would all fail for one reason.
pub(crate) const REACH: Rule = Rule::of_the_run(
    "reach.answers",
    "GET /system/info answers 200 with a JSON object within five seconds.",
    "the original suite's first step; it could not run without",
);

/// Replaces the checks when what is asked for cannot be meant as it is written.
pub(crate) const SELECTION: Rule = Rule::of_the_run(
    "selection.matches",
    "Every --filter and every --skip names at least one check, and something is left to check.",
    "a misspelt filter would otherwise pass by checking nothing",
);

/// Runs after the checks, also after a failure or an interruption.
pub(crate) const CLEAN_UP: Rule = Rule::of_the_run(
    "clean-up.complete",
    "Every function, secret and namespace that the run made can be removed again.",
    "faas-cli remove and secret remove: 200 or 202, then gone",
);

/// Runs last, where a list of skips was given.
pub(crate) const SKIPS: Rule = Rule::of_the_run(
    "skips.expected",
    "Nothing is skipped but what --expect-skips allows.",
    "a check that is quietly skipped guards nothing",
);

/// One check in one namespace.
#[derive(Clone)]
pub(crate) struct Planned {
    pub(crate) check: Arc<Check>,
    pub(crate) namespace: String,
}

/// Every rule, in the order of a run.
pub fn rules() -> Vec<Rule> {
    let checks = checks::all();
    let middle = checks.iter().map(|check| check.rule);
    [REACH]
        .into_iter()
        .chain(middle)
        .chain([SELECTION, CLEAN_UP, SKIPS])
        .collect()
}

/// The run that `options` ask for.
pub(crate) fn plan(options: &Options) -> Outcome<Vec<Planned>> {
    let checks = checks::all();
    for pattern in options.filter.iter().chain(&options.skip) {
        if !checks.iter().any(|check| check.rule.id.contains(pattern)) {
            let got = format!("{pattern:?} is part of no id; see --list");
            return Err(Failure::new("the name of a check, or a part of it", got));
        }
    }
    let wanted = checks
        .into_iter()
        .filter(|check| wanted(&check.rule, options));
    let planned: Vec<_> = wanted
        .flat_map(|check| in_namespaces(Arc::new(check), options))
        .collect();
    match planned.is_empty() {
        false => Ok(planned),
        true => Err(Failure::new(
            "at least one check",
            "--filter, --group and --level leave none (some run only with --long)",
        )),
    }
}

/// Whether this is asked for at all; what is not leaves no line in the report.
pub(crate) fn wanted(rule: &Rule, options: &Options) -> bool {
    let named = options.filter.is_empty() || matches(&options.filter, rule.id);
    let grouped = options.groups.is_empty() || options.groups.contains(&rule.group);
    named && grouped && rule.level <= options.level && (options.long || !rule.long)
}

fn in_namespaces(check: Arc<Check>, options: &Options) -> Vec<Planned> {
    let mut namespaces = options.tested_namespaces();
    if !check.rule.everywhere {
        namespaces.truncate(1);
    }
    let planned = namespaces.into_iter().map(|namespace| Planned {
        check: check.clone(),
        namespace,
    });
    planned.collect()
}

/// Why a check is not tried, if it is not.
pub(crate) fn reason_to_skip(rule: &Rule, options: &Options, claims: &Claims) -> Option<String> {
    if matches(&options.skip, rule.id) {
        return Some("asked for with --skip".to_owned());
    }
    match (rule.door, options.entry.is_gateway()) {
        (Door::Gateway, false) => return Some("only a gateway does this".to_owned()),
        (Door::Provider, true) => {
            return Some("only to be seen at the provider itself (--provider)".to_owned());
        }
        _ => {}
    }
    let mut needs = rule.needs.iter().map(|&need| (need, claims.of(need)));
    let (need, claim) = needs.find(|(_, claim)| !claim.claimed)?;
    Some(format!("not claimed: {need} ({})", claim.reason))
}

fn matches(patterns: &[String], id: &str) -> bool {
    patterns.iter().any(|pattern| id.contains(pattern.as_str()))
}
