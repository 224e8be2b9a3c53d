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

/// Everything below a process that has ended and was not waited for.
pub(crate) fn zombies(pid: i32) -> Vec<i32> {
    let below = below(pid).into_iter().map(|process| process.pid);
    let dead = |pid: &i32| stat(*pid).is_some_and(|now| now.state == 'Z');
    below.filter(dead).collect()
}

/// What everything below a process does: `T` is stopped.
pub(crate) fn states(pid: i32) -> Vec<char> {
    let below = below(pid).into_iter();
    below
        .filter_map(|process| Some(stat(process.pid)?.state))
        .collect()
}

/// How many of them run a program or script of this name.
pub(crate) fn running(marker: &str, program: &str) -> usize {
    that_run(marker, program).len()
}

/// Those of them that run a program or script of this name.
pub(crate) fn that_run(marker: &str, program: &str) -> Vec<i32> {
    let runs = |pid: &i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(program)
    };
    marked(marker).into_iter().filter(runs).collect()
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
