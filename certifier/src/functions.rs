//! The test functions: which image, process and environment each of them has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use certifier::TestFunction;
use clap::Args;
use serde::Deserialize;

use crate::files;

const CLASSIC: &str = "functions/alpine:latest";

/// Arguments that say which functions are deployed.
#[derive(Debug, Args)]
pub(crate) struct FunctionArguments {
    /// Image of the plain test functions: a classic watchdog with env, cat and sha512sum
    /// [default: functions/alpine:latest]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,

    /// Image of a function that does as each call says, see FUNCTIONS.md
    #[arg(long, value_name = "IMAGE")]
    probe_image: Option<String>,

    /// Process of that function; without it, what its image says
    #[arg(
        long,
        value_name = "COMMAND",
        default_value = "",
        requires = "probe_image"
    )]
    probe_process: String,

    /// A file that says which image, process and environment each test function has, see FUNCTIONS.md
    #[arg(long, value_name = "FILE")]
    image_map: Option<PathBuf>,

    /// The platform runs programs of this machine, and this one is the probe and the redirector
    #[arg(long, conflicts_with_all = ["image_map", "probe_image", "redirector_image"])]
    programs: bool,

    /// Image of a function that answers 302 with its variable `destination` as Location
    #[arg(long, value_name = "IMAGE")]
    redirector_image: Option<String>,

    /// Process of that function
    #[arg(
        long,
        value_name = "COMMAND",
        default_value = "./handler",
        requires = "redirector_image"
    )]
    redirector_process: String,
}

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

impl FunctionArguments {
    /// The test functions: single arguments have the last word over the map.
    pub(crate) fn functions(&self) -> anyhow::Result<Functions> {
        let mut functions = match (&self.image_map, self.programs) {
            (Some(file), _) => Functions::read(file)?,
            (None, true) => Functions::programs()?,
            (None, false) => Functions::default(),
        };
        if let Some(image) = &self.image {
            functions.classic = image.clone();
        }
        if let Some(image) = &self.redirector_image {
            functions.redirector = Some(TestFunction::new(image, &self.redirector_process));
        }
        if let Some(image) = &self.probe_image {
            functions.probe = Some(TestFunction::new(image, &self.probe_process));
        }
        Ok(functions)
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
