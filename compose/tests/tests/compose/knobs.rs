//! `.env.example` is whole and true.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Knobs of a compose file with their defaults there, from `${NAME:-DEFAULT}` and `${NAME:?words}`.
fn used(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let knobs = text.split("${").skip(1);
    knobs.map(|rest| {
        let (knob, _) = rest.split_once('}').unwrap();
        let (name, default) = knob.split_once(':').unwrap_or((knob, ""));
        (name, default.strip_prefix('-').unwrap_or_default())
    })
}

#[test]
fn every_knob_is_in_the_environment_file_with_the_default_of_the_compose_files() {
    let text = fs::read_to_string(directory().join(".env.example")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let known: BTreeMap<_, _> = lines.filter_map(|line| line.split_once('=')).collect();
    let mut unused: Vec<_> = known.keys().collect();
    for file in ["docker-compose.yml", "swarm.yml", "stack.yml"] {
        let text = fs::read_to_string(directory().join(file)).unwrap();
        for (name, default) in used(&text) {
            assert_eq!(known.get(name), Some(&default), "{file}: {name}");
            unused.retain(|known| **known != name);
        }
    }
    // Used by compose/prepare.
    let of_prepare = ["FUNCTIONS_SUBNET"];
    unused.retain(|name| !of_prepare.contains(name));
    assert!(
        unused.is_empty(),
        "{unused:?} in .env.example: used nowhere"
    );
}

#[test]
fn a_shell_reads_the_environment_file_too() {
    let text = fs::read_to_string(directory().join(".env.example")).unwrap();
    let mut values = text.lines().filter(|line| !line.starts_with('#'));
    let read_differently = |line: &&str| line.contains(['"', ' ', '\'', '$', ';', '&']);
    assert_eq!(values.find(read_differently), None);
}
