//! The flags and variables of the original suite, in the words of this one.

use std::env;
use std::ffi::OsString;

/// What the original took from its environment.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) gateway: Option<String>,
    pub(crate) default_namespace: Option<String>,
    pub(crate) namespaces: Vec<String>,
    pub(crate) idler: bool,
}

impl Surroundings {
    pub(crate) fn read() -> Self {
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let namespaces = text("CERTIFIER_NAMESPACES").unwrap_or_default();
        let namespaces = namespaces.split(',').map(str::trim);
        let namespaces = namespaces.filter(|name| !name.is_empty());
        Self {
            gateway: text("gateway_url").or_else(|| text("OPENFAAS_URL")),
            default_namespace: text("CERTIFIER_DEFAULT_NAMESPACE"),
            namespaces: namespaces.map(str::to_owned).collect(),
            idler: text("idler_enabled").is_some_and(|value| is_true(&value)),
        }
    }
}

/// As Go reads a switch.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// Arguments as they are, except that those of the original, with one dash, become ours.
pub(crate) fn translate(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut ours = Vec::new();
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        match argument.to_str().and_then(|text| one_dash(text)) {
            Some((name, value)) => ours.extend(ours_for(name, value, &mut rest)),
            None => ours.push(argument),
        }
    }
    ours
}

/// `-name` or `-name=value`, if it is one of the original's.
fn one_dash(text: &str) -> Option<(&str, Option<&str>)> {
    let flag = text.strip_prefix('-')?;
    let (name, value) = match flag.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (flag, None),
    };
    let known = [
        "gateway",
        "token",
        "registryPrefix",
        "enableAuth",
        "secretUpdate",
        "enableScaling",
        "swarm",
    ];
    known.contains(&name).then_some((name, value))
}

fn ours_for(
    name: &str,
    value: Option<&str>,
    rest: &mut impl Iterator<Item = OsString>,
) -> Vec<OsString> {
    let switched_on = value.is_none_or(is_true);
    let words: &[&str] = match name {
        "enableAuth" if switched_on => &["--enable-auth"],
        "secretUpdate" if !switched_on => &["--without", "secret-update"],
        "swarm" if switched_on => &["--without", "secret-update"],
        "enableScaling" if !switched_on => &[
            "--without",
            "scale-zero",
            "--without",
            "scale-many",
            "--without",
            "autoscaling",
        ],
        "enableAuth" | "secretUpdate" | "swarm" | "enableScaling" => &[],
        _ => {
            let flag = match name {
                "registryPrefix" => "--registry-prefix".to_owned(),
                name => format!("--{name}"),
            };
            let value = value.map(OsString::from).or_else(|| rest.next());
            return [flag.into()].into_iter().chain(value).collect();
        }
    };
    words.iter().map(OsString::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_flags_are_understood() {
        for (theirs, ours) in [
            ("-gateway=http://a", "--gateway http://a"),
            ("-gateway http://a -token t", "--gateway http://a --token t"),
            ("-registryPrefix=ghcr.io", "--registry-prefix ghcr.io"),
            ("-enableAuth", "--enable-auth"),
            ("-enableAuth=false", ""),
            ("-secretUpdate=false", "--without secret-update"),
            ("-secretUpdate", ""),
            (
                "-enableScaling=false",
                "--without scale-zero --without scale-many --without autoscaling",
            ),
            ("--gateway http://a -h", "--gateway http://a -h"),
        ] {
            let words = theirs.split_whitespace().map(OsString::from);
            let translated: Vec<_> = translate(words)
                .into_iter()
                .map(|word| word.into_string().unwrap())
                .collect();
            assert_eq!(translated.join(" "), ours, "{theirs}");
        }
    }
}
