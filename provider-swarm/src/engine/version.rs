//! Which version of the engine's API is spoken.

use std::fmt;
use std::str::FromStr;

use faas_http::env::Setting;
use serde::Deserialize;

/// The oldest version that has all we ask for: Engine 20.10.
const OLDEST: ApiVersion = ApiVersion(1, 41);
/// The newest version that we know of.
const NEWEST: ApiVersion = ApiVersion(1, 52);

/// A version of the engine's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(u16, u16);

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for ApiVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no version of an API like 1.41");
        let number = |part: &str| part.parse().map_err(|_| wrong());
        let (major, minor) = text.split_once('.').ok_or_else(wrong)?;
        Ok(Self(number(major)?, number(minor)?))
    }
}

impl Setting for ApiVersion {
    const KIND: &'static str = "version";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

/// What `GET /version` says of the API. An engine that tells no minimum takes all versions.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Offer {
    #[serde(rename = "Version")]
    engine: String,
    #[serde(rename = "ApiVersion")]
    newest: String,
    #[serde(rename = "MinAPIVersion")]
    oldest: String,
}

impl Offer {
    /// The highest version that both sides speak, or the one that the operator wants.
    ///
    /// # Errors
    /// In words, when there is none.
    pub(crate) fn choose(&self, wanted: Option<ApiVersion>) -> Result<ApiVersion, String> {
        let newest: ApiVersion = self.newest.parse()?;
        let oldest = match self.oldest.as_str() {
            "" => OLDEST,
            text => text.parse()?,
        };
        let engine = &self.engine;
        if let Some(wanted) = wanted {
            return match (oldest..=newest).contains(&wanted) {
                true => Ok(wanted),
                false => Err(format!(
                    "DOCKER_API_VERSION={wanted}: Docker Engine {engine} speaks {oldest} to {newest}"
                )),
            };
        }
        let chosen = newest.min(NEWEST);
        if chosen < oldest.max(OLDEST) {
            return Err(format!(
                "Docker Engine {engine} speaks API {oldest} to {newest}; needed is one of {OLDEST} to {NEWEST}"
            ));
        }
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What engines answer to `GET /version`, cut to what is read.
    fn offer(engine: &str, newest: &str, oldest: &str) -> Offer {
        let text = serde_json::json!({"Platform": {"Name": ""}, "Version": engine, "ApiVersion": newest,
            "MinAPIVersion": oldest, "Os": "linux"});
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn engines_old_and_new_agree_on_the_highest_common_version() {
        for (engine, newest, oldest, chosen) in [
            ("20.10.24", "1.41", "1.12", "1.41"),
            ("24.0.9", "1.43", "1.12", "1.43"),
            ("28.2.2", "1.50", "1.24", "1.50"),
            ("29.0.0", "1.52", "1.44", "1.52"),
            ("31.0.0", "1.60", "1.44", "1.52"),
        ] {
            let version = offer(engine, newest, oldest).choose(None).unwrap();
            assert_eq!(version.to_string(), chosen, "{engine}");
        }
    }

    #[test]
    fn engines_that_cannot_be_spoken_to_are_told_in_words() {
        let old = offer("19.03.15", "1.40", "1.12").choose(None).unwrap_err();
        assert_eq!(
            old,
            "Docker Engine 19.03.15 speaks API 1.12 to 1.40; needed is one of 1.41 to 1.52"
        );
        let far = offer("40.0", "1.99", "1.90").choose(None).unwrap_err();
        assert!(far.contains("1.90 to 1.99"), "{far}");
        assert!(Offer::default().choose(None).is_err());
    }

    #[test]
    fn the_operator_has_the_last_word_within_what_the_engine_takes() {
        let wanted = Some(ApiVersion(1, 44));
        let engine = offer("28.2.2", "1.50", "1.24");
        assert_eq!(engine.choose(wanted), Ok(ApiVersion(1, 44)));
        let refused = offer("20.10.24", "1.41", "1.12").choose(wanted);
        let words = refused.unwrap_err();
        assert!(words.starts_with("DOCKER_API_VERSION=1.44: "), "{words}");
    }
}
