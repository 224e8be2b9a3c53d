//! Programs for images: where a stack file names images, this says what runs here instead.
//!
//! ```toml
//! ["functions/alpine:latest"]
//! command = "cat"
//! directory = "/srv/functions"
//! environment = { mode = "classic" }
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use faas_provider::Texts;
use serde::Deserialize;

/// What runs in an image's place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// The program and its arguments, split at single blanks as the watchdog does.
    pub(crate) command: String,
    /// Variables that the image would have set.
    #[serde(default)]
    pub(crate) environment: Texts,
    /// Where it starts; visible to it, read-only.
    #[serde(default)]
    pub(crate) directory: Option<PathBuf>,
}

/// All programs by image reference.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct ImageMap(BTreeMap<String, Program>);

impl ImageMap {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("image_map: {}: {error}", path.display()))?;
        toml::from_str(&text).map_err(|error| {
            let line = error.to_string().replace('\n', " ");
            format!("image_map: {}: {line}", path.display())
        })
    }

    /// The program for a reference: exactly as written, or with Docker's defaults (`docker.io/`, `library/`, `:latest`)
    /// left out or put in.
    pub(crate) fn program(&self, image: &str) -> Option<&Program> {
        let wanted = familiar(image);
        self.0.get(image).or_else(|| {
            self.0
                .iter()
                .find(|(known, _)| familiar(known) == wanted)
                .map(|(_, program)| program)
        })
    }

    /// The directories that programs start in.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        self.0
            .values()
            .filter_map(|program| program.directory.as_ref())
    }
}

/// The reference without what Docker would add.
fn familiar(image: &str) -> &str {
    let image = image.strip_prefix("docker.io/").unwrap_or(image);
    let image = image.strip_prefix("library/").unwrap_or(image);
    image.strip_suffix(":latest").unwrap_or(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_finds_its_program_with_or_without_dockers_defaults() {
        let map: ImageMap = toml::from_str("[\"functions/alpine\"]\ncommand = \"cat\"\n").unwrap();
        for image in [
            "functions/alpine",
            "functions/alpine:latest",
            "docker.io/functions/alpine:latest",
        ] {
            assert_eq!(
                map.program(image).map(|program| program.command.as_str()),
                Some("cat"),
                "{image}"
            );
        }
        assert_eq!(map.program("functions/alpine:3"), None);
    }

    #[test]
    fn a_mistake_in_the_file_is_told_in_one_line_with_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[\"a\"]\ncomand = \"cat\"\n").unwrap();
        let error = ImageMap::read(file.path()).unwrap_err();
        assert!(
            error.starts_with("image_map: ") && error.contains("comand") && !error.contains('\n'),
            "{error}"
        );
    }
}
