//! The matrix: what is wrong with the platform, and which checks say so. No others may.
//!
//! `matrix.toml` holds it. After a change of the checks or of the model,
//! `FAULTY_UPDATE=1 cargo test -p certifier --test faulty` writes it anew, to be read before it is
//! committed. `FAULTY_ONLY=ShaEmpty,NotListed` tries these switches only, and takes the rest from the file.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use certifier::{
    Capability, Credentials, Door, Entry, Level, Options, Report, Rule, TestFunction, rules, run,
};
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
const ONLY: &str = "FAULTY_ONLY";

/// So many runs at a time: most of each is waiting for something that will not come.
const PARALLEL: usize = 16;

/// More failing checks than this need a reason.
const A_FEW: usize = 6;

/// These have tests of their own: no platform, no such check, a skip that is not on the list.
const APART: [&str; 3] = ["reach.answers", "selection.matches", "skips.expected"];

/// Everything the suite has. What the platform does right is waited for as long as a busy machine takes.
pub(crate) fn everything(url: String) -> Options {
    Options {
        namespaces: vec![SECOND.to_owned()],
        pause: Duration::from_millis(400),
        credentials: Credentials::Basic {
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
        },
        callback_address: Some("127.0.0.1".to_owned()),
        metrics_url: Some(format!("{url}/metrics")),
        redirector: Some(TestFunction::new("redirector", "./handler")),
        probe: Some(TestFunction::new("probe", "")),
        ..Options::gateway(url)
    }
}

/// The same for a platform that does something wrong: what will not come is waited for, too.
fn hurried(url: String) -> Options {
    Options {
        timeout: Duration::from_secs(4),
        answer_timeout: Duration::from_secs(8),
        ..everything(url)
    }
}

type Ids = BTreeSet<&'static str>;

fn failed(report: &Report) -> Ids {
    report.failed().iter().map(|line| line.rule.id).collect()
}

/// Whether a switch is to be tried.
fn is_wanted(switch: Switch) -> bool {
    let wanted = std::env::var(ONLY).unwrap_or_default();
    wanted.is_empty() || wanted.split(',').any(|name| name == format!("{switch:?}"))
}

/// What the file says of a switch.
fn section(file: &str, switch: Switch) -> String {
    let head = format!("[{switch:?}]\n");
    let text = file.split("\n\n").find(|text| text.starts_with(&head));
    text.map_or_else(String::new, |text| format!("{}\n", text.trim_end()))
}

/// Runs the whole suite once per switch, and again where what fails is not what the file says: on a busy machine a check
/// may run out of time. What differs thrice differs, and what is written anew is what fails twice.
async fn all(committed: &str) -> BTreeMap<usize, (Ids, String)> {
    let writes = std::env::var_os(UPDATE).is_some();
    let attempts = if writes { 2 } else { 3 };
    let turns = Arc::new(Semaphore::new(PARALLEL));
    let mut runs = JoinSet::new();
    let wanted = Switch::ALL.iter().enumerate();
    let wanted = wanted.filter(|(_, switch)| is_wanted(**switch));
    let mut wanted: Vec<_> = wanted
        .map(|(index, &switch)| (index, switch, section(committed, switch)))
        .collect();
    // What fails mostly waits first. Where much fails, that takes long: not at the end, when nothing else is left to do.
    wanted.sort_by_key(|(.., expected)| Reverse(expected.len()));
    for (index, switch, expected) in wanted {
        let turns = turns.clone();
        runs.spawn(async move {
            let _turn = turns.acquire_owned().await;
            let mut found = everywhere(switch).await;
            for attempt in 1..attempts {
                if entry(switch, &found.0) == expected {
                    break;
                }
                // A check that sees a lie by chance is a fault of the check, also where it is lucky the next time.
                let difference = differs(switch, &expected, &found.0);
                println!("attempt {attempt}: {difference}");
                let before = std::mem::replace(&mut found, everywhere(switch).await).0;
                found.0.retain(|id| !writes || before.contains(id));
            }
            (index, found)
        });
    }
    let mut done = BTreeMap::new();
    while let Some(run) = runs.join_next().await {
        done.extend([run.unwrap()]);
    }
    done
}

/// Through the gateway in one namespace; what is only to be seen in two, there, and what is only
/// to be seen at the provider, there. The whole suite in both namespaces would take twice as long
/// and find the same.
async fn everywhere(switch: Switch) -> (Ids, String) {
    let model = || Model::gateway(Some(switch)).wanting(BASIC);
    let mut found = (Ids::new(), String::new());
    let mut add = |report: Report| {
        found.0.extend(failed(&report));
        found.1.push_str(&report.to_string());
    };
    if switch.is_about_namespaces() {
        add(run(hurried(Arc::new(model()).serve().await)).await);
    } else {
        let options = hurried(Arc::new(model().in_one_namespace()).serve().await);
        let namespaces = Vec::new();
        add(run(Options {
            namespaces,
            ..options
        })
        .await);
        let filter = those(|rule| rule.needs.contains(&Capability::Namespaces));
        let options = hurried(Arc::new(model()).serve().await);
        add(run(Options { filter, ..options }).await);
    }
    let filter = those(|rule| rule.door == Door::Provider);
    if !filter.is_empty() {
        let url = Arc::new(model().alone()).serve().await;
        let entry = Entry::Provider(url.clone());
        let options = hurried(url);
        add(run(Options {
            filter,
            entry,
            ..options
        })
        .await);
    }
    found
}

/// The ids of some checks.
fn those(wanted: impl Fn(&Rule) -> bool) -> Vec<String> {
    let rules = rules().into_iter().filter(|rule| wanted(rule));
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
    let before = std::fs::read_to_string(FILE).unwrap();
    let found = all(&before).await;
    let entries = Switch::ALL.iter().enumerate().map(|(index, &switch)| {
        let found = found.get(&index).map(|(ids, _)| entry(switch, ids));
        found.unwrap_or_else(|| section(&before, switch))
    });
    let entries: Vec<_> = entries.collect();
    let matrix = format!("{HEADER}\n{}", entries.join("\n"));
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(FILE, &matrix).unwrap();
    }
    let committed = std::fs::read_to_string(FILE).unwrap();

    let mut faults = Faults::default();
    for (index, (ids, report)) in &found {
        let (switch, entry) = (Switch::ALL[*index], &entries[*index]);
        if !committed.contains(entry) {
            faults.add(differs(switch, &section(&committed, switch), ids), report);
        }
        if ids.is_empty() {
            println!("{switch:?}: no check notices yet");
        }
        if ids.len() > A_FEW && switch.why().is_none() {
            let many = ids.len();
            faults.add(
                format!("{switch:?}: {many} checks fail, without a reason"),
                "",
            );
        }
    }
    for id in uncovered(&matrix) {
        faults.add(format!("{id}: fails under no switch"), "");
    }
    assert!(faults.lines.is_empty(), "{faults}");
    assert_eq!(committed, matrix, "{FILE} is out of date: set {UPDATE}=1");
}

/// What is wrong with the matrix. The lines come last: of a long text, a log keeps its end.
#[derive(Default)]
struct Faults {
    reports: String,
    lines: Vec<String>,
}

impl Faults {
    fn add(&mut self, line: String, report: &str) {
        if !report.is_empty() {
            self.reports.push_str(&format!("{line}\n{report}\n"));
        }
        self.lines.push(line);
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self.lines.join("\n");
        write!(out, "{}\nin short:\n{lines}", self.reports)
    }
}

/// One line: what the file has fail under a switch, and what fails.
fn differs(switch: Switch, section: &str, found: &Ids) -> String {
    let expected: Ids = rules()
        .into_iter()
        .map(|rule| rule.id)
        .filter(|id| section.contains(&format!("{id:?}")))
        .collect();
    let missing: Vec<_> = expected.difference(found).collect();
    let more: Vec<_> = found.difference(&expected).collect();
    match (section.is_empty(), missing.is_empty(), more.is_empty()) {
        (true, ..) => format!("{switch:?}: not in the file; fails {found:?}"),
        (_, true, true) => format!("{switch:?}: the file words it in another way"),
        _ => format!(
            "{switch:?}: expected {} to fail; {missing:?} passed, {more:?} failed as well",
            expected.len()
        ),
    }
}

/// The core and standard checks that nothing makes fail. Those that take minutes are not run here.
fn uncovered(matrix: &str) -> Vec<&'static str> {
    let rules = rules().into_iter();
    let all = rules
        .filter(|rule| rule.level <= Level::Standard && !rule.long)
        .map(|rule| rule.id);
    let guarded = |id: &str| matrix.contains(&format!("{id:?}"));
    all.filter(|id| !guarded(id) && !APART.contains(id))
        .collect()
}
