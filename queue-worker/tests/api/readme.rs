//! The README's table of faults names tests that exist.

use std::collections::BTreeSet;
use std::path::Path;

const README: &str = include_str!("../../README.md");
/// Where tests of faults are.
const FOLDERS: [&str; 4] = [
    "queue-worker/tests",
    "crates/queue/tests",
    "gateway/tests",
    "local/tests",
];
const FAULTS: usize = 32;

#[test]
fn every_fault_has_a_row_and_every_row_names_tests_that_exist() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut tests = BTreeSet::new();
    for folder in FOLDERS {
        collect(&workspace.join(folder), &mut tests);
    }
    let rows: Vec<&str> = README
        .lines()
        .filter(|line| line.starts_with("| F"))
        .collect();
    assert_eq!(rows.len(), FAULTS);
    for (number, row) in (1..).zip(rows) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!((cells.len(), cells[1]), (6, format!("F{number}").as_str()));
        // What stands between two ticks.
        for name in row.split('`').skip(1).step_by(2) {
            let is_there = tests.contains(name) || name.starts_with(char::is_uppercase);
            assert!(is_there, "F{number}: there is no test {name}");
        }
    }
}

/// The names of all functions in the files below.
fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let functions = text.split("fn ").skip(1);
        names.extend(functions.filter_map(|rest| rest.split('(').next().map(str::to_owned)));
    }
}
