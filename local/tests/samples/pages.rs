//! Each sample's page, typed into a shell.
//!
//! `SAMPLES_UPDATE=1 cargo test -p faas-local --test samples` writes what came out into the pages instead.

use crate::shell::Shell;
use crate::support::Local;
use crate::transcript::{Line, normalised, parse};
use crate::{platform, root, samples, stack_file, text};

const API: &str = "127.0.0.1:8080";

#[tokio::test(flavor = "multi_thread")]
async fn what_each_samples_page_shows_is_what_a_reader_gets() {
    let local = platform().await;
    let mut shell = shell();
    let updating = std::env::var_os("SAMPLES_UPDATE").is_some();
    let mut differences = Vec::new();
    for sample in samples() {
        let typed = type_page(&local, &mut shell, &sample, updating, |_| true);
        if updating {
            let path = root().join("samples").join(&sample).join("README.md");
            std::fs::write(path, typed.page).unwrap();
        }
        differences.extend(typed.differences);
    }
    assert!(
        updating || differences.is_empty(),
        "{}",
        differences.join("\n\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_deployed_from_its_stack_file_answers_as_its_page_says() {
    let local = platform().await;
    let mut shell = shell();
    let mut differences = Vec::new();
    for sample in samples() {
        stack_file::deploy(&local, &sample).await;
        let deploys = |command: &str| command.contains("/system/functions");
        let typed = type_page(&local, &mut shell, &sample, false, |command| {
            !deploys(command)
        });
        differences.extend(typed.differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

struct Typed {
    /// The page with what came out.
    page: String,
    differences: Vec<String>,
}

/// A terminal in the root of the repository.
fn shell() -> Shell {
    let mut shell = Shell::start(&root());
    // The image map expects programs in the folder that cargo chooses by itself.
    shell.run(
        "unset CARGO_TARGET_DIR; export PYTHONDONTWRITEBYTECODE=1",
        |_| true,
    );
    shell
}

fn type_page(
    local: &Local,
    shell: &mut Shell,
    sample: &str,
    updating: bool,
    typed: impl Fn(&str) -> bool,
) -> Typed {
    let here = local.url.trim_start_matches("http://");
    let (mut page, mut differences) = (String::new(), Vec::new());
    for line in parse(&text(sample, "README.md")) {
        match line {
            Line::Prose(text) => page.push_str(&text),
            Line::Command { command, expected } if typed(&command) => {
                let wanted = normalised(&expected);
                let right = |got: &str| normalised(&got.replace(here, API)) == wanted;
                let got = shell.run(&command.replace(API, here), |got| updating || right(got));
                if !right(&got) {
                    let difference = format!("$ {command}\nexpected: {expected}\ngot: {got}");
                    differences.push(difference);
                }
                page.push_str(&format!("$ {command}\n{}", got.replace(here, API)));
            }
            Line::Command { .. } => {}
        }
    }
    Typed { page, differences }
}
