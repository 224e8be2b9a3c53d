//! The table of observed behaviour, row by row: which test holds us to it, and why we differ where we do.
//!
//! The tests carry the rows in their names (`…_row_79`, `…_rows_99_to_101`), and the reason in their documentation.
//! `ROWS.md` is made of that: `ROWS_UPDATE=1 cargo test -p faas-watchdog --test api rows`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The last row of the table.
const LAST_ROW: u32 = 237;
/// Rows in which the originals were found to be at fault, so that ours has to differ.
const FAULTS: [u32; 53] = [
    15, 38, 41, 42, 47, 63, 64, 85, 93, 94, 95, 96, 97, 98, 100, 101, 104, 105, 110, 113, 114, 116,
    119, 121, 122, 131, 134, 135, 148, 150, 155, 160, 162, 166, 167, 171, 173, 175, 176, 178, 183,
    187, 191, 196, 201, 202, 215, 216, 217, 221, 223, 231, 234,
];
const MARK: &str = "iffers on purpose";

/// A test that names rows.
struct Named {
    file: String,
    /// Its name as a sentence.
    sentence: String,
    /// Its documentation.
    why: String,
}

#[test]
fn every_row_of_the_table_has_a_test() {
    let rows = rows();
    let missing: Vec<_> = (1..=LAST_ROW)
        .filter(|row| !rows.contains_key(row))
        .collect();
    assert_eq!(missing, [0; 0], "rows that no test names");
    let unknown: Vec<_> = rows
        .keys()
        .filter(|row| !(1..=LAST_ROW).contains(*row))
        .collect();
    assert_eq!(unknown, [&0; 0], "there are no such rows");
}

#[test]
fn where_ours_differs_the_test_says_why() {
    let rows = rows();
    let silent: Vec<_> = FAULTS
        .into_iter()
        .filter(|row| !rows[row].iter().any(|named| named.why.contains(MARK)))
        .collect();
    assert_eq!(silent, [0; 0], "rows whose tests do not say why we differ");
}

#[test]
fn the_list_of_rows_is_up_to_date() {
    let path = crate_path("tests/api/ROWS.md");
    let list = list(&rows());
    if std::env::var_os("ROWS_UPDATE").is_some() {
        fs::write(&path, &list).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == list,
        "ROWS_UPDATE=1 cargo test -p faas-watchdog --test api rows"
    );
}

fn list(rows: &BTreeMap<u32, Vec<Named>>) -> String {
    let mut list = "# The table of observed behaviour and its tests\n\n\
        Made from the tests by `ROWS_UPDATE=1 cargo test -p faas-watchdog --test api rows`. A row is one thing that was \
        observed\nof the original watchdogs (1 to 83 classic, 84 to 131 streaming and serializing, 132 to 202 http, 203 to \
        228 static\nfiles, start, end and metrics, 229 to 237 tokens); the test says what was asked and what has to \
        come.\n\n| row | test | where ours differs |\n|---|---|---|\n"
        .to_owned();
    for (row, tests) in rows {
        for named in tests {
            let why = if named.why.contains(MARK) {
                &named.why
            } else {
                ""
            };
            let line = format!("| {row} | {}: {} | {why} |\n", named.file, named.sentence);
            list.push_str(&line);
        }
    }
    list
}

fn rows() -> BTreeMap<u32, Vec<Named>> {
    let mut files: Vec<_> = fs::read_dir(crate_path("tests/api"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect();
    files.push(crate_path("src/config/tests.rs"));
    files.sort();
    let mut rows: BTreeMap<u32, Vec<Named>> = BTreeMap::new();
    for path in files {
        let mut documentation = Vec::new();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let line = line.trim();
            if let Some(text) = line.strip_prefix("///") {
                documentation.push(text.trim().to_owned());
                continue;
            }
            if line.starts_with("#[") {
                continue;
            }
            let why = std::mem::take(&mut documentation).join(" ");
            let Some((name, numbers)) = name_and_rows(line) else {
                continue;
            };
            for number in numbers {
                rows.entry(number).or_default().push(Named {
                    file: stem(&path),
                    sentence: name.replace('_', " "),
                    why: why.clone(),
                });
            }
        }
    }
    rows
}

/// `fn it_works_rows_3_5_to_7() {` is `it_works` and 3, 5, 6, 7.
fn name_and_rows(line: &str) -> Option<(&str, Vec<u32>)> {
    let line = line.strip_prefix("async ").unwrap_or(line);
    let (name, _) = line.strip_prefix("fn ")?.split_once("()")?;
    let (name, words) = name
        .split_once("_rows_")
        .or_else(|| name.split_once("_row_"))?;
    let mut numbers: Vec<u32> = Vec::new();
    let mut words = words.split('_');
    while let Some(word) = words.next() {
        if word == "to" {
            let last = words.next()?.parse().ok()?;
            let first = numbers.last()? + 1;
            numbers.extend(first..=last);
        } else {
            numbers.push(word.parse().ok()?);
        }
    }
    Some((name, numbers))
}

#[test]
fn names_tell_their_rows() {
    let parsed = name_and_rows("async fn it_works_rows_3_5_to_7() {");
    assert_eq!(parsed, Some(("it_works", vec![3, 5, 6, 7])));
    assert_eq!(name_and_rows("fn one_row_12() {"), Some(("one", vec![12])));
    assert_eq!(name_and_rows("fn no_number() {"), None);
}

fn crate_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    match stem {
        "tests" => "config".to_owned(),
        stem => stem.to_owned(),
    }
}
