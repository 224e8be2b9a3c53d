//! The table that the suite was planned from: each case has a check, or a reason why there is none.

use std::collections::BTreeMap;
use std::fmt::Write;

use certifier::{Rule, rules};
use serde::Deserialize;

pub(crate) const PAGE: &str = "cases.md";

const TABLE: &str = include_str!("../../cases.toml");

/// How many cases each letter has.
const LETTERS: [(char, usize, &str); 10] = [
    ('A', 30, "Deploy"),
    ('B', 14, "Update"),
    ('C', 10, "Delete"),
    ('D', 20, "Read"),
    ('E', 15, "Scale"),
    ('F', 17, "Secrets"),
    ('G', 17, "Logs"),
    ('H', 36, "Calls"),
    ('I', 13, "Who is let in, routes, namespaces, metrics"),
    ('J', 8, "Life"),
];

const HEAD: &str = "\
# Cases

What the suite was planned from, besides the original's tests, and which checks try it. Made from `certifier/cases.toml` and
the checks themselves; a test keeps it so.
";

/// One line of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    tried: String,
    #[serde(default)]
    also: Vec<String>,
    why: Option<String>,
}

impl Case {
    pub(crate) fn read() -> BTreeMap<String, Self> {
        toml::from_str(TABLE).unwrap()
    }

    /// The checks that say that they try this case, and those that the table names.
    fn checks(&self, name: &str, rules: &[Rule]) -> Vec<String> {
        let own = rules.iter().filter(|rule| rule.case == name);
        let own = own.map(|rule| rule.id.to_owned());
        own.chain(self.also.iter().cloned()).collect()
    }
}

fn names() -> impl Iterator<Item = String> {
    let letters = LETTERS.iter();
    letters
        .flat_map(|(letter, count, _)| (1..=*count).map(move |number| format!("{letter}{number}")))
}

pub(crate) fn page(cases: &BTreeMap<String, Case>, rules: &[Rule]) -> String {
    let mut text = HEAD.to_owned();
    for (letter, count, about) in LETTERS {
        write!(
            text,
            "\n## {about}\n\n| case | tried | checks |\n|---|---|---|\n"
        )
        .unwrap();
        for number in 1..=count {
            let name = format!("{letter}{number}");
            let case = &cases[&name];
            let checks = case.checks(&name, rules);
            let checks = checks.iter().map(|id| linked(id, rules));
            let checks = checks.collect::<Vec<_>>().join(", ");
            let checks = case
                .why
                .as_ref()
                .map_or(checks, |why| format!("none: {why}"));
            writeln!(text, "| {name} | {} | {checks} |", case.tried).unwrap();
        }
    }
    text
}

fn linked(id: &str, rules: &[Rule]) -> String {
    let rule = rules.iter().find(|rule| rule.id == id).unwrap();
    format!("[{id}]({}.md)", rule.group)
}

#[test]
fn every_case_has_a_check_or_a_reason_why_there_is_none() {
    let (cases, rules) = (Case::read(), rules());
    let mut all: Vec<_> = names().collect();
    assert_eq!(all.len(), 180);
    all.sort();
    let known: Vec<_> = cases.keys().cloned().collect();
    assert_eq!(known, all, "a case is missing, or is none");
    for (name, case) in &cases {
        let checks = case.checks(name, &rules);
        let unknown = checks
            .iter()
            .find(|id| !rules.iter().any(|rule| rule.id == **id));
        assert_eq!(unknown, None, "{name} names a check that is not there");
        match &case.why {
            None => assert!(!checks.is_empty(), "{name} has no check, and no reason"),
            Some(why) => {
                assert!(
                    checks.is_empty(),
                    "{name} has checks, and a reason for none"
                );
                assert!(why.ends_with('.'), "{name}: {why}");
            }
        }
    }
}

#[test]
fn every_check_s_case_is_one_of_the_original_or_of_the_table() {
    let cases = Case::read();
    for rule in rules() {
        let known = rule.case.is_empty() || rule.case.starts_with("5.");
        assert!(
            known || cases.contains_key(rule.case),
            "{}: there is no case {}",
            rule.id,
            rule.case
        );
    }
}
