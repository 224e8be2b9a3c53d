//! The samples are true: each one is deployed from its own stack file and called, as a user would, through `faas-local`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod clock;
mod echo;
mod images;
mod pages;
#[path = "../api/processes.rs"]
#[allow(dead_code, reason = "tests/api uses the rest of it")]
mod processes;
mod servers;
#[path = "../readme/shell.rs"]
mod shell;
mod stack_file;
#[path = "../api/support.rs"]
#[allow(dead_code, reason = "tests/api uses the rest of it")]
mod support;
#[path = "../readme/transcript.rs"]
mod transcript;

use std::path::{Path, PathBuf};

use support::Local;

/// The root of the repository, where the platform is started in to run the samples.
fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap()
}

/// The names of the samples: every folder that has a stack file.
fn samples() -> Vec<String> {
    let folders = std::fs::read_dir(root().join("samples")).unwrap();
    let mut names: Vec<String> = folders
        .map(|folder| folder.unwrap())
        .filter(|folder| folder.path().join("stack.yml").exists())
        .map(|folder| folder.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 7, "{names:?}");
    names
}

/// A file of a sample.
fn text(sample: &str, file: &str) -> String {
    let path = root().join("samples").join(sample).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The platform, started as samples/README.md says.
async fn platform() -> Local {
    let root = root();
    let root = root.to_str().unwrap();
    let map = format!("{root}/samples/image-map.toml");
    Local::with(&[("functions_dir", root), ("image_map", &map)]).await
}
