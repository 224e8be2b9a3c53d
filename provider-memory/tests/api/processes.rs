//! Processes as /proc tells of them, to see that none is left behind.

use std::collections::HashSet;
use std::fs;

/// A process; the start time tells it from a later one with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pid: i32,
    started: u64,
}

struct Stat {
    process: Process,
    parent: i32,
    state: char,
}

/// Everything below a process.
pub(crate) fn below(pid: i32) -> HashSet<Process> {
    let all: Vec<Stat> = pids().filter_map(stat).collect();
    let mut found = HashSet::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for child in all.iter().filter(|child| child.parent == parent) {
            if found.insert(child.process.clone()) {
                parents.push(child.process.pid);
            }
        }
    }
    found
}

/// Those that still run; a dead one that nobody has collected yet does not.
pub(crate) fn alive<'a>(of: impl IntoIterator<Item = &'a Process>) -> Vec<&'a Process> {
    let runs = |process: &&Process| {
        stat(process.pid).is_some_and(|now| now.process == **process && now.state != 'Z')
    };
    of.into_iter().filter(runs).collect()
}

/// Every process, wherever it has gone, that has a text in its environment or its arguments.
pub(crate) fn marked(marker: &str) -> Vec<i32> {
    let has = |pid: &i32| {
        ["environ", "cmdline"].iter().any(|file| {
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&text).contains(marker)
        })
    };
    pids().filter(has).collect()
}

/// What each of them does: `T` is stopped.
pub(crate) fn states(marker: &str) -> Vec<char> {
    let all = marked(marker).into_iter().filter_map(stat);
    all.map(|stat| stat.state).collect()
}

/// Those of them that run a program or script of this name.
pub(crate) fn running(marker: &str, program: &str) -> usize {
    let runs = |pid: &&i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(program)
    };
    marked(marker).iter().filter(runs).count()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Fields 3, 4 and 22 of proc_pid_stat(5).
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some(Stat {
        process: Process { pid, started },
        parent,
        state,
    })
}

/// The whole sandbox of every process with a mark: what is above it up to a provider, and everything below.
pub(crate) fn sandboxes(marker: &str, provider: i32) -> HashSet<Process> {
    let mut found = HashSet::new();
    for mut pid in marked(marker) {
        while let Some(now) = stat(pid)
            && now.parent != provider
            && now.parent > 1
        {
            pid = now.parent;
        }
        found.extend(below(pid));
        found.extend(stat(pid).map(|now| now.process));
    }
    found
}
