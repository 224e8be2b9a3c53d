//! The process tree as /proc tells it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// One reading of the machine's processes.
#[derive(Debug, Default)]
pub(super) struct Table {
    children: HashMap<i32, Vec<i32>>,
    sessions: HashMap<i32, i32>,
}

impl Table {
    /// Reads /proc. Processes that come and go meanwhile may be missing.
    pub(super) fn read() -> Self {
        let mut table = Self::default();
        let Ok(entries) = fs::read_dir("/proc") else {
            return table;
        };
        for entry in entries.flatten() {
            let pid = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some(pid) = pid
                && let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat"))
                && let Some((parent, session)) = parent_and_session(&stat)
            {
                table.children.entry(parent).or_default().push(pid);
                table.sessions.insert(pid, session);
            }
        }
        table
    }

    /// Everything below a process, itself not included.
    pub(super) fn descendants(&self, of: Pid) -> Vec<Pid> {
        let mut found = Vec::new();
        let mut waiting = vec![of.as_raw()];
        while let Some(parent) = waiting.pop() {
            for &child in self.children.get(&parent).into_iter().flatten() {
                found.push(Pid::from_raw(child));
                waiting.push(child);
            }
        }
        found
    }

    /// Everything that never left the session a process founded.
    pub(super) fn session(&self, of: Pid) -> impl Iterator<Item = Pid> {
        let founded = move |&(_, &session): &(&i32, &i32)| session == of.as_raw();
        let pids = self.sessions.iter().filter(founded);
        pids.map(|(&pid, _)| Pid::from_raw(pid))
    }
}

/// Fields 4 and 6 of proc_pid_stat(5); the second field may itself hold blanks and parentheses.
fn parent_and_session(stat: &str) -> Option<(i32, i32)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some((parent, session))
}

/// Stops everything below a process, reading again until nothing new turns up; what was stopped.
pub(super) fn stop_descendants(of: Pid) -> HashSet<Pid> {
    let mut stopped = HashSet::new();
    loop {
        let before = stopped.len();
        for pid in Table::read().descendants(of) {
            if stopped.insert(pid) {
                let _ = kill(pid, Signal::SIGSTOP);
            }
        }
        if stopped.len() == before {
            return stopped;
        }
    }
}

/// Memory a process has to itself or shares with its kin, in bytes; files mapped from disk, which many
/// share and the kernel can drop, are left out.
pub(super) fn resident_bytes(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().filter_map(anonymous_kib).sum::<u64>() * 1024
}

fn anonymous_kib(line: &str) -> Option<u64> {
    let (name, value) = line.split_once(':')?;
    let counted = matches!(name, "RssAnon" | "RssShmem");
    let value = value.trim().strip_suffix(" kB")?;
    counted.then(|| value.parse().ok())?
}

/// Processor time of a process and of those of its children that have ended; none where it has gone.
pub(super) fn processor_time(pid: Pid) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rate = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    let rate = rate
        .and_then(|rate| u64::try_from(rate).ok())
        .unwrap_or(100);
    let ticks = ticks(&stat).unwrap_or(0);
    Duration::from_millis(ticks.saturating_mul(1000) / rate.max(1))
}

/// The sum of fields 14 to 17 of proc_pid_stat(5).
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().skip(11).take(4).collect();
    let ticks = fields.iter().map(|field| field.parse::<u64>());
    (fields.len() == 4).then(|| ticks.sum::<Result<u64, _>>().ok())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_command_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) b (c)) S 7 42 41 0 -1";
        assert_eq!(parent_and_session(stat), Some((7, 41)));
    }

    #[test]
    fn processor_time_is_that_of_ended_children_too() {
        let stat = "42 (a) b) S 7 42 41 0 -1 4194560 100 0 0 0 10 20 300 4000 20 0 1 0 99";
        assert_eq!(ticks(stat), Some(4330));
        assert_eq!(ticks("42 (a) S 7 42"), None);
        assert!(processor_time(Pid::this()) < Duration::from_secs(3600));
    }

    #[test]
    fn only_memory_that_is_not_a_file_counts() {
        assert_eq!(anonymous_kib("RssAnon:\t    1024 kB"), Some(1024));
        assert_eq!(anonymous_kib("RssFile:\t    1024 kB"), None);
        assert_eq!(anonymous_kib("Name:\tsh"), None);
    }
}
