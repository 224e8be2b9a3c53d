//! The test functions: which image, process and environment each of them has.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use certifier::TestFunction;
use serde::Deserialize;

use crate::files;

const CLASSIC: &str = "functions/alpine:latest";

/// The functions that a run needs.
pub(crate) struct Functions {
    pub(crate) classic: String,
    pub(crate) redirector: Option<TestFunction>,
    pub(crate) probe: Option<TestFunction>,
}

/// The file of `--image-map`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    classic: Option<Entry>,
    redirector: Option<Entry>,
    probe: Option<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    image: String,
    #[serde(default)]
    process: String,
    #[serde(default)]
    environment: BTreeMap<String, String>,
}

impl Default for Functions {
    fn default() -> Self {
        Self {
            classic: CLASSIC.to_owned(),
            redirector: None,
            probe: None,
        }
    }
}

impl Functions {
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let map: Map = toml::from_str(&files::read(file)?)
            .with_context(|| format!("reading {}", file.display()))?;
        let classic = map.classic.map(|entry| entry.image);
        Ok(Self {
            classic: classic.unwrap_or_else(|| CLASSIC.to_owned()),
            redirector: map.redirector.map(Entry::function),
            probe: map.probe.map(Entry::function),
        })
    }

    /// This program, for platforms that run programs of this machine: the probe is a redirector too.
    pub(crate) fn programs() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let process = format!("{} probe --listen 127.0.0.1:$PORT", program.display());
        let environment = BTreeMap::from([
            ("mode".to_owned(), "http".to_owned()),
            (
                "upstream_url".to_owned(),
                "http://127.0.0.1:$PORT".to_owned(),
            ),
        ]);
        let function = |image: &str| {
            Some(TestFunction {
                environment: environment.clone(),
                ..TestFunction::new(image, &process)
            })
        };
        Ok(Self {
            redirector: function("certifier/redirector:latest"),
            probe: function("certifier/probe:latest"),
            ..Self::default()
        })
    }
}

impl Entry {
    fn function(self) -> TestFunction {
        TestFunction {
            image: self.image,
            process: self.process,
            environment: self.environment,
        }
    }
}
