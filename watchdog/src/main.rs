//! `fwatchdog`: the program in function images. Everything is in the library, which providers start as well.

use std::process::ExitCode;

fn main() -> ExitCode {
    faas_watchdog::command_line(std::env::args_os().skip(1), std::env::vars_os())
}
