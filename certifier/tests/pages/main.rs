//! docs/checks holds a page per group, made from the checks themselves. `CHECKS_UPDATE=1 cargo test -p certifier
//! --test pages` writes them anew.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use certifier::{Capability, Door, Group, Level, Rule, rules};

use crate::cases::Case;

mod cases;

const UPDATE: &str = "CHECKS_UPDATE";

const INDEX: &str = "README.md";

const HEAD: &str = "\
# What the certifier checks

Made from the checks themselves; a test keeps it so. `case` numbers the table that the suite was planned from: `5.1` to
`5.9` are the original suite's tests, `A1` to `J8` what they leave out; [cases.md](cases.md) has each of these with its
checks.
";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/checks")
}

/// Every page by its file name.
fn pages() -> BTreeMap<String, String> {
    let rules = rules();
    let cases = cases::page(&Case::read(), &rules);
    let mut pages = BTreeMap::from([
        (INDEX.to_owned(), index(&rules)),
        (cases::PAGE.to_owned(), cases),
    ]);
    for &group in Group::ALL {
        let of_group: Vec<_> = rules.iter().filter(|rule| rule.group == group).collect();
        if !of_group.is_empty() {
            pages.insert(format!("{group}.md"), page(group, &of_group));
        }
    }
    pages
}

fn index(rules: &[Rule]) -> String {
    let mut text = format!("{HEAD}\n| group | checks | about |\n|---|---|---|\n");
    for &group in Group::ALL {
        let says = group.says();
        match rules.iter().filter(|rule| rule.group == group).count() {
            0 => writeln!(text, "| {group} | none yet | {says} |").unwrap(),
            count => writeln!(text, "| [{group}]({group}.md) | {count} | {says} |").unwrap(),
        }
    }
    text.push_str("\n| level | checks | means |\n|---|---|---|\n");
    for &level in Level::ALL {
        let count = rules.iter().filter(|rule| rule.level == level).count();
        writeln!(text, "| {level} | {count} | {} |", level.says()).unwrap();
    }
    text.push_str("\n| capability | means |\n|---|---|\n");
    for capability in Capability::ALL {
        writeln!(text, "| {capability} | {} |", capability.says()).unwrap();
    }
    text
}

fn page(group: Group, rules: &[&Rule]) -> String {
    let mut text = format!("# {group}\n\n{}\n", group.says());
    for rule in rules {
        let (id, says, source) = (rule.id, rule.says, rule.source);
        write!(text, "\n## {id}\n\n{says}\n\n- From: {source}.\n").unwrap();
        writeln!(text, "- {}.", facts(rule).join("; ")).unwrap();
    }
    text
}

fn facts(rule: &Rule) -> Vec<String> {
    let mut facts = vec![format!("Level {}", rule.level)];
    if !rule.case.is_empty() {
        facts.push(format!("case {}", rule.case));
    }
    facts.push(
        match rule.door {
            Door::Either => "gateway and provider",
            Door::Gateway => "only through a gateway",
            Door::Provider => "only at the provider itself",
        }
        .to_owned(),
    );
    facts.extend(rule.needs.iter().map(|need| format!("needs {need}")));
    let marks = [
        (rule.everywhere, "repeated in a second namespace"),
        (rule.long, "takes minutes (`--long`)"),
        (rule.alone, "runs alone"),
    ];
    let marks = marks.iter().filter(|(there, _)| *there);
    facts.extend(marks.map(|&(_, mark)| mark.to_owned()));
    facts
}

#[test]
fn there_is_a_page_for_every_check() {
    let pages = pages();
    if std::env::var_os(UPDATE).is_some() {
        fs::create_dir_all(folder()).unwrap();
        for (name, text) in &pages {
            fs::write(folder().join(name), text).unwrap();
        }
    }
    for (name, text) in &pages {
        let there = fs::read_to_string(folder().join(name)).unwrap_or_default();
        assert_eq!(&there, text, "{name}: write it anew with {UPDATE}=1");
    }
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(pages.contains_key(&name), "{name} is nobody's page");
    }
}

#[test]
fn ids_are_unique_and_begin_with_a_word_and_a_dot() {
    let mut ids: Vec<_> = rules().iter().map(|rule| rule.id).collect();
    for id in &ids {
        let fine = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        assert!(
            id.split('.').all(fine) && id.matches('.').count() == 1,
            "{id}"
        );
    }
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id is there twice");
}

#[test]
fn sentences_are_sentences() {
    for rule in rules() {
        assert!(rule.says.ends_with('.'), "{}", rule.id);
        assert!(!rule.says.contains("  "), "{}", rule.id);
        assert!(
            !rule.source.ends_with('.') && !rule.source.is_empty(),
            "{}",
            rule.id
        );
    }
}

/// The thirteen tests of the original, each with at least one check of the lowest level.
#[test]
fn the_core_covers_every_part_of_the_original_suite() {
    for case in 1..=9 {
        let case = format!("5.{case}");
        let mut rules = rules().into_iter().filter(|rule| rule.case == case);
        assert!(rules.any(|rule| rule.level == Level::Core), "{case}");
    }
}
