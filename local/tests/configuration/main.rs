//! docs/configuration.md is what the programs read. `CONFIGURATION_UPDATE=1 cargo test -p faas-local --test configuration`
//! writes it anew.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::Path;

use faas_http::env::{Settings, Variable};

const HEAD: &str = "\
# Configuration

Every program is configured by environment variables: lower case, exact, an empty value means unset. Durations are
seconds (`60`) or Go's form (`1m30s`); switches are `true`, `false`, `1` or `0`. A bad value stops the program at its
start, and all bad values are told at once. `--help` says the same as this page, and a test compares the two.
";

fn section<S: Settings>(program: &str) -> String {
    let mut text =
        format!("\n## {program}\n\n| variable | kind | default | meaning |\n|---|---|---|---|\n");
    for variable in S::VARIABLES {
        writeln!(text, "{}", row(variable)).unwrap();
    }
    text
}

fn row(variable: &Variable) -> String {
    let default = match (variable.default, variable.required) {
        (Some(default), _) => format!("`{default}`"),
        (None, true) => "required".to_owned(),
        (None, false) => String::new(),
    };
    let meaning: Vec<&str> = variable.meaning.lines().map(str::trim).collect();
    format!(
        "| `{}` | {} | {default} | {} |",
        variable.name,
        variable.kind,
        meaning.join(" ")
    )
}

#[test]
fn the_page_lists_every_variable_of_every_program() {
    let page = [
        HEAD.to_owned(),
        section::<faas_local::Config>("faas-local"),
        section::<faas_gateway::Config>("gateway"),
        section::<faas_queue_worker::Config>("queue-worker"),
        section::<faas_idler::Config>("faas-idler"),
        section::<faas_provider_memory::Config>("provider-memory"),
        section::<faas_provider_swarm::Config>("provider-swarm"),
        watchdog(),
    ]
    .concat();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("CONFIGURATION_UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        page,
        "write it anew with CONFIGURATION_UPDATE=1"
    );
}

/// The watchdog is in every function image and takes odd values as it always did: they mean the default, with a warning.
fn watchdog() -> String {
    let mut text = String::from(
        "\n## fwatchdog\n\nThe watchdog ships in images that exist already, so most odd values mean the default, as \
         they always did, and a\nline in its log says so; what it refuses, it refuses at the start and with 1 or 2.\n\n| variable | default | meaning |\n|---|---|---|\n",
    );
    for variable in faas_watchdog::VARIABLES {
        let default = if variable.default.is_empty() {
            String::new()
        } else {
            format!("`{}`", variable.default)
        };
        writeln!(
            text,
            "| `{}` | {default} | {} |",
            variable.name, variable.meaning
        )
        .unwrap();
    }
    text
}
