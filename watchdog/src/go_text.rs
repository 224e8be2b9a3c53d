//! The words of process errors as functions' callers know them: those of Go's runtime.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::errno::Errno;

/// `exit status 1`, `signal: killed`.
pub(crate) fn end(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(number)) => {
            let core = if status.core_dumped() {
                " (core dumped)"
            } else {
                ""
            };
            format!("signal: {}{core}", signal(number))
        }
        (None, None) => format!("{status}"),
    }
}

/// The words for an operating system error: `no such file or directory`.
pub(crate) fn error(error: &io::Error) -> String {
    let Some(number) = error.raw_os_error() else {
        return error.to_string();
    };
    let words = match Errno::from_raw(number) {
        // Compat: the one common error whose words differ from the C library's.
        Errno::ENOMEM => "cannot allocate memory",
        errno => errno.desc(),
    };
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

fn signal(number: i32) -> String {
    let words = match number {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        16 => "stack fault",
        24 => "CPU time limit exceeded",
        25 => "file size limit exceeded",
        26 => "virtual timer expired",
        27 => "profiling timer expired",
        29 => "I/O possible",
        30 => "power failure",
        31 => "bad system call",
        other => return format!("signal {other}"),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_read_as_callers_know_them() {
        for (raw, words) in [
            (1 << 8, "exit status 1"),
            (255 << 8, "exit status 255"),
            (9, "signal: killed"),
            (15, "signal: terminated"),
            (11, "signal: segmentation fault"),
            (11 | 0x80, "signal: segmentation fault (core dumped)"),
            (40, "signal: signal 40"),
        ] {
            assert_eq!(end(ExitStatus::from_raw(raw)), words);
        }
    }

    #[test]
    fn errors_read_as_callers_know_them() {
        for (errno, words) in [
            (Errno::ENOENT, "no such file or directory"),
            (Errno::EACCES, "permission denied"),
            (Errno::ENOEXEC, "exec format error"),
            (Errno::E2BIG, "argument list too long"),
            (Errno::ENOMEM, "cannot allocate memory"),
            (Errno::ENOSPC, "no space left on device"),
        ] {
            assert_eq!(error(&io::Error::from(errno)), words);
        }
    }
}
