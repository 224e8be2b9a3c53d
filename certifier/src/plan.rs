//! Which checks run, in which namespace, and which are skipped for what reason.

use crate::check::{Check, Need, Rule, Scope};
use crate::checks;
use crate::failure::{Failure, Outcome};
use crate::options::Options;

/// Runs before every check: without it the others would all fail for one reason.
pub(crate) const REACH: Rule = Rule {
    id: "reach.answers",
    says: "GET /system/info answers 200 with a JSON object within five seconds.",
    source: "the original suite's first step; it could not run without",
};

/// Replaces the checks when `filter` or `skip` cannot be meant as they are written.
pub(crate) const SELECTION: Rule = Rule {
    id: "selection.matches",
    says: "Every --filter and every --skip names at least one check.",
    source: "a misspelt filter would otherwise pass by checking nothing",
};

/// Runs after the checks, also after a failure or an interruption.
pub(crate) const CLEAN_UP: Rule = Rule {
    id: "clean-up.complete",
    says: "Every function and secret that the run made can be removed again.",
    source: "faas-cli remove and secret remove: 200 or 202, then gone",
};

/// One check in one namespace.
pub(crate) struct Planned<'a> {
    pub(crate) check: &'a Check,
    pub(crate) namespace: String,
    pub(crate) skipped: Option<String>,
}

/// Every rule, in the order of a run.
pub fn rules() -> Vec<Rule> {
    let checks = checks::all();
    let middle = checks.iter().map(|check| check.rule);
    [REACH]
        .into_iter()
        .chain(middle)
        .chain([SELECTION, CLEAN_UP])
        .collect()
}

/// The run that `options` ask for.
pub(crate) fn plan<'a>(checks: &'a [Check], options: &Options) -> Outcome<Vec<Planned<'a>>> {
    for pattern in options.filter.iter().chain(&options.skip) {
        if !checks.iter().any(|check| check.rule.id.contains(pattern)) {
            let got = format!("{pattern:?} is part of no id; see --list");
            return Err(Failure::new("the name of a check, or a part of it", got));
        }
    }
    let wanted = checks
        .iter()
        .filter(|check| options.filter.is_empty() || matches(&options.filter, check.rule.id));
    Ok(wanted
        .flat_map(|check| in_namespaces(check, options))
        .collect())
}

fn in_namespaces<'a>(check: &'a Check, options: &Options) -> Vec<Planned<'a>> {
    let mut namespaces = options.tested_namespaces();
    if check.scope == Scope::Once {
        namespaces.truncate(1);
    }
    let skipped = reason_to_skip(check, options);
    let planned = namespaces.into_iter().map(|namespace| Planned {
        check,
        namespace,
        skipped: skipped.clone(),
    });
    planned.collect()
}

fn reason_to_skip(check: &Check, options: &Options) -> Option<String> {
    if matches(&options.skip, check.rule.id) {
        return Some("asked for with --skip".to_owned());
    }
    let (met, reason) = match check.needs? {
        Need::Gateway => (options.entry.is_gateway(), "only a gateway does this"),
        Need::SecondNamespace => (
            !options.namespaces.is_empty(),
            "no second namespace given (--namespace), so nothing was repeated in one",
        ),
        Need::Redirector => (
            options.redirector.is_some(),
            "needs an http-mode function that redirects (--redirector-image)",
        ),
    };
    (!met).then(|| reason.to_owned())
}

fn matches(patterns: &[String], id: &str) -> bool {
    patterns.iter().any(|pattern| id.contains(pattern.as_str()))
}
