//! The matrix: what is wrong with the platform, and which checks say so. No others may.
//!
//! `matrix.toml` holds it. After a change of the checks or of the model,
//! `FAULTY_UPDATE=1 cargo test -p certifier --test faulty` writes it anew, to be read before it is
//! committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use certifier::{Credentials, Door, Entry, Level, Options, Report, TestFunction, rules, run};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::model::{BASIC, Model, PASSWORD, SECOND, USER};
use crate::switch::Switch;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faulty/matrix.toml");

const HEADER: &str = "\
# What is wrong with the platform, and which checks fail. Written by tests/faulty/matrix.rs, which
# holds the certifier to it: no other check may fail. The switches are described where they are
# declared, in tests/faulty/switch.rs.
";

const UPDATE: &str = "FAULTY_UPDATE";

/// So many runs at a time: most of each is waiting for something that will not come.
const PARALLEL: usize = 24;

/// More failing checks than this need a reason.
const A_FEW: usize = 4;

/// These have tests of their own: no platform, no such check, a skip that is not on the list.
const APART: [&str; 3] = ["reach.answers", "selection.matches", "skips.expected"];

/// Everything the suite has, with as little waiting as a busy machine allows.
pub(crate) fn everything(url: String) -> Options {
    Options {
        namespaces: vec![SECOND.to_owned()],
        timeout: Duration::from_millis(2500),
        credentials: Credentials::Basic {
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
        },
        redirector: Some(TestFunction::new("redirector", "./handler")),
        probe: Some(TestFunction::new("probe", "")),
        ..Options::gateway(url)
    }
}

type Ids = BTreeSet<&'static str>;

fn failed(report: &Report) -> Ids {
    report.failed().iter().map(|line| line.rule.id).collect()
}

/// Runs the whole suite once per switch.
async fn all() -> BTreeMap<usize, (Ids, String)> {
    let turns = Arc::new(Semaphore::new(PARALLEL));
    let mut runs = JoinSet::new();
    for (index, &switch) in Switch::ALL.iter().enumerate() {
        let turns = turns.clone();
        runs.spawn(async move {
            let _turn = turns.acquire_owned().await;
            (index, both(switch).await)
        });
    }
    let mut done = BTreeMap::new();
    while let Some(run) = runs.join_next().await {
        done.extend([run.unwrap()]);
    }
    done
}

/// Through the gateway, and straight at the provider what is only to be seen there.
async fn both(switch: Switch) -> (Ids, String) {
    let gateway = Model::gateway(Some(switch)).wanting(BASIC);
    let report = run(everything(Arc::new(gateway).serve().await)).await;
    let (mut ids, mut text) = (failed(&report), report.to_string());
    let filter = of_the_provider();
    if !filter.is_empty() {
        let provider = Model::gateway(Some(switch)).wanting(BASIC).alone();
        let url = Arc::new(provider).serve().await;
        let report = run(Options {
            filter,
            entry: Entry::Provider(url.clone()),
            ..everything(url)
        });
        let report = report.await;
        ids.extend(failed(&report));
        text.push_str(&report.to_string());
    }
    (ids, text)
}

/// The checks that make sense only there.
fn of_the_provider() -> Vec<String> {
    let rules = rules()
        .into_iter()
        .filter(|rule| rule.door == Door::Provider);
    rules.map(|rule| rule.id.to_owned()).collect()
}

/// One switch as it stands in the file.
fn entry(switch: Switch, ids: &Ids) -> String {
    let mut text = format!("[{switch:?}]\nwrong = {:?}\n", switch.wrong());
    if let Some(why) = switch.why() {
        text.push_str(&format!("because = {why:?}\n"));
    }
    let ids: Vec<_> = ids.iter().map(|id| format!("{id:?}")).collect();
    match ids.as_slice() {
        [] | [_] => text + &format!("fails = [{}]\n", ids.concat()),
        ids => text + &format!("fails = [\n    {},\n]\n", ids.join(",\n    ")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lie_is_found_by_the_checks_that_guard_against_it_and_by_no_others() {
    let found = all().await;
    let entries: Vec<_> = found
        .iter()
        .map(|(&index, (ids, _))| entry(Switch::ALL[index], ids))
        .collect();
    let matrix = format!("{HEADER}\n{}", entries.join("\n"));
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(FILE, &matrix).unwrap();
    }
    let committed = std::fs::read_to_string(FILE).unwrap();

    let mut faults = Vec::new();
    for ((index, (ids, report)), entry) in found.iter().zip(&entries) {
        let switch = Switch::ALL[*index];
        if !committed.contains(entry) {
            faults.push(format!(
                "{switch:?} is not in the matrix as it is:\n{entry}{report}"
            ));
        }
        if ids.is_empty() {
            println!("{switch:?}: no check notices yet");
        }
        if ids.len() > A_FEW && switch.why().is_none() {
            faults.push(format!(
                "{switch:?}: {} checks fail, without a reason",
                ids.len()
            ));
        }
    }
    let guarded = found.values().flat_map(|(ids, _)| ids.iter().copied());
    for id in uncovered(guarded.collect()) {
        faults.push(format!("{id} fails under no switch"));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(committed, matrix, "{FILE} is out of date: set {UPDATE}=1");
}

/// The core and standard checks that nothing makes fail.
fn uncovered(guarded: Ids) -> Vec<&'static str> {
    let rules = rules().into_iter();
    let all = rules
        .filter(|rule| rule.level <= Level::Standard)
        .map(|rule| rule.id);
    all.filter(|id| !guarded.contains(id) && !APART.contains(id))
        .collect()
}
