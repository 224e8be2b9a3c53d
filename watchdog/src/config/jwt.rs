//! `jwt_auth` and what belongs to it.

use http::Uri;
use http::uri::Scheme;

use super::ConfigError;
use super::reader::Reader;

/// Whose tokens are asked for, and who the function is to them.
#[derive(Clone, Debug)]
pub struct JwtAuth {
    /// Base URL of the authority, below which it says who it is.
    pub authority: Uri,
    /// `OPENFAAS_NAME`: the function's name.
    pub name: String,
    /// `OPENFAAS_NAMESPACE`: the function's namespace, empty if it says so; `None`: the platform's file has it.
    pub namespace: Option<String>,
    /// Whether the log says why a caller was refused.
    pub debug: bool,
}

impl JwtAuth {
    /// What is set, if callers need a token. A switch that cannot be read is a mistake in every mode: taken for
    /// "off", as the originals did, it would leave the function open to everybody.
    pub(super) fn read(reader: &Reader<'_>) -> Result<Option<Self>, ConfigError> {
        let (debug, local) = (
            switch(reader, "jwt_auth_debug")?,
            switch(reader, "jwt_auth_local")?,
        );
        if !switch(reader, "jwt_auth")? {
            return Ok(None);
        }
        let name = reader.text("OPENFAAS_NAME");
        if name.is_empty() {
            return Err(ConfigError::NoFunctionName);
        }
        let namespace = reader.present("OPENFAAS_NAMESPACE");
        Ok(Some(Self {
            authority: authority(reader, local)?,
            name,
            namespace: namespace.map(|set| set.to_string_lossy().into_owned()),
            debug,
        }))
    }
}

fn switch(reader: &Reader<'_>, name: &'static str) -> Result<bool, ConfigError> {
    let value = reader.text(name);
    match value.as_str() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(ConfigError::Switch(name, value)),
    }
}

fn authority(reader: &Reader<'_>, local: bool) -> Result<Uri, ConfigError> {
    let set = reader.text("jwt_authority");
    let text = match (set.as_str(), local) {
        ("", false) => "http://gateway.openfaas:8080",
        // Compat: where the original looks, whatever its papers say.
        ("", true) => "http://127.0.0.1:8000",
        (set, _) => set,
    };
    let url = text.parse::<Uri>().ok();
    let url = url.filter(|url| url.scheme() == Some(&Scheme::HTTP) && url.query().is_none());
    url.ok_or_else(|| ConfigError::JwtAuthority(text.to_owned()))
}
