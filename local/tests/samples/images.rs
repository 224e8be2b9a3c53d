//! Dockerfiles, stack files and the image map belong together.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{root, samples, stack_file, text};

const WATCHDOG: &str = "--from=ferrofaas/fwatchdog:latest /fwatchdog /usr/bin/fwatchdog";

#[derive(Debug, Deserialize)]
struct Program {
    command: String,
    #[serde(default)]
    environment: BTreeMap<String, String>,
}

/// The instructions of a Dockerfile: name and arguments, continued lines joined, comments dropped.
fn instructions(sample: &str) -> Vec<(String, String)> {
    let text = text(sample, "Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim);
    let said = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    said.map(|line| {
        let (name, arguments) = line.split_once(' ').unwrap();
        let words: Vec<&str> = arguments.split_whitespace().collect();
        (name.to_owned(), words.join(" "))
    })
    .collect()
}

/// The arguments of every instruction of this name in the last stage: that is the image.
fn last_stage<'a>(instructions: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let from = instructions.iter().rposition(|(name, _)| name == "FROM");
    let stage = &instructions[from.unwrap()..];
    let named = stage.iter().filter(|(known, _)| known == name);
    named.map(|(_, arguments)| arguments.as_str()).collect()
}

/// The variables of `ENV name="value" name="value"`.
fn variables(instructions: &[(String, String)]) -> BTreeMap<String, String> {
    let pattern = regex::Regex::new(r#"(\w+)="([^"]*)""#).unwrap();
    let set = last_stage(instructions, "ENV").join(" ");
    let pairs = pattern.captures_iter(&set);
    pairs
        .map(|pair| (pair[1].to_owned(), pair[2].to_owned()))
        .collect()
}

#[test]
fn every_image_is_a_base_one_watchdog_and_a_health_check_by_it() {
    for sample in samples() {
        let instructions = instructions(&sample);
        let of = |name: &str| last_stage(&instructions, name);
        let watchdogs = of("COPY")
            .into_iter()
            .filter(|copy| copy.contains("fwatchdog"));
        assert_eq!(watchdogs.collect::<Vec<_>>(), [WATCHDOG], "{sample}");
        let check = r#"--interval=5s --timeout=2s CMD ["fwatchdog", "-run-healthcheck"]"#;
        assert_eq!(of("HEALTHCHECK"), [check], "{sample}");
        assert_eq!(of("CMD"), [r#"["fwatchdog"]"#], "{sample}");
        assert_eq!(of("EXPOSE"), ["8080"], "{sample}");
        let user: u32 = of("USER").concat().parse().unwrap();
        assert_ne!(user, 0, "{sample}");
        let known = [
            "FROM",
            "WORKDIR",
            "COPY",
            "RUN",
            "USER",
            "ENV",
            "EXPOSE",
            "HEALTHCHECK",
            "CMD",
        ];
        for (name, _) in &instructions {
            assert!(known.contains(&name.as_str()), "{sample}: {name}");
        }
    }
}

#[test]
fn the_image_map_runs_what_each_image_would_run() {
    let map = std::fs::read_to_string(root().join("samples/image-map.toml")).unwrap();
    let mut map: BTreeMap<String, Program> = toml::from_str(&map).unwrap();
    for sample in samples() {
        let image = &stack_file::of(&sample).functions[&sample].image;
        let image = image.trim_end_matches(":latest");
        let program = map
            .remove(image)
            .unwrap_or_else(|| panic!("{image} is not in the map"));

        let mut of_image = variables(&instructions(&sample));
        // The provider does without it: it takes a replica out of its table before it stops it.
        assert_eq!(
            of_image.remove("healthcheck_interval").as_deref(),
            Some("0")
        );
        let in_image = of_image.remove("fprocess").unwrap();
        let url = of_image.get_mut("upstream_url");
        let port = url.map(|url| {
            let port = url.rsplit_once(':').unwrap().1.to_owned();
            *url = url.replace(&port, "$PORT");
            port
        });
        assert_eq!(program.environment, of_image, "{sample}");
        // Paths aside, the same words.
        let words = |command: &str| {
            let words = command.split(' ');
            let names = words.map(|word| word.rsplit('/').next().unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        let in_image = port.map_or(in_image.clone(), |port| in_image.replace(&port, "$PORT"));
        assert_eq!(words(&program.command), words(&in_image), "{sample}");
    }
    assert!(map.is_empty(), "no sample has {map:?}");
}

#[test]
fn the_recipe_shows_dockerfiles_that_are_there() {
    let recipe = std::fs::read_to_string(root().join("docs/function-images.md")).unwrap();
    for sample in ["python-http", "static-binary"] {
        let file = text(sample, "Dockerfile");
        let said = file
            .split_inclusive('\n')
            .filter(|line| !line.starts_with('#'));
        let block = format!("```dockerfile\n{}```\n", said.collect::<String>());
        assert!(recipe.contains(&block), "{sample}");
    }
}

#[test]
fn the_index_names_every_sample() {
    let index = std::fs::read_to_string(root().join("samples/README.md")).unwrap();
    for sample in samples() {
        assert!(
            index.contains(&format!("[{sample}]({sample}/README.md)")),
            "{sample}"
        );
    }
}
