//! The provider that runs functions as processes. So far only what it re-enters itself for.

use std::process::ExitCode;

use faas_provider_memory::sandbox;

fn main() -> ExitCode {
    sandbox::reenter(std::env::args_os()).unwrap_or(ExitCode::FAILURE)
}
