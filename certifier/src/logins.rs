//! Credentials from where `faas-cli login` keeps them.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use certifier::Credentials;
use serde::Deserialize;

use crate::files;

/// The file, as far as it matters here.
#[derive(Deserialize)]
struct Logins {
    #[serde(default)]
    auths: Vec<Login>,
}

#[derive(Deserialize)]
struct Login {
    gateway: String,
    #[serde(default)]
    auth: String,
    #[serde(default)]
    token: String,
}

/// The login for the gateway at `url`.
pub(crate) fn credentials(url: &str) -> anyhow::Result<Credentials> {
    let file = folder()?.join("config.yml");
    find(&files::read(&file)?, url).with_context(|| format!("{}", file.display()))
}

/// Where the client keeps its file.
fn folder() -> anyhow::Result<PathBuf> {
    let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    match (text("OPENFAAS_CONFIG"), text("CI").as_deref(), text("HOME")) {
        (Some(folder), ..) => Ok(folder.into()),
        (None, Some("true" | "1"), _) => Ok(".openfaas".into()),
        (.., Some(home)) => Ok(PathBuf::from(home).join(".openfaas")),
        _ => bail!("neither OPENFAAS_CONFIG nor HOME is set"),
    }
}

fn find(text: &str, url: &str) -> anyhow::Result<Credentials> {
    let same = |gateway: &str| gateway.trim_end_matches('/') == url.trim_end_matches('/');
    let logins: Logins = serde_saphyr::from_str(text)?;
    let mut logins = logins.auths.into_iter();
    let Some(login) = logins.find(|login| same(&login.gateway)) else {
        bail!("there is no login for {url}");
    };
    if login.auth != "basic" {
        return Ok(Credentials::Token(login.token));
    }
    let both = BASE64_STANDARD.decode(&login.token).ok();
    let both = both.and_then(|bytes| String::from_utf8(bytes).ok());
    let both = both.context("the login is not user:password in base64")?;
    let (user, password) = both.split_once(':').context("the login has no colon")?;
    Ok(Credentials::Basic {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "auths:\n- gateway: http://127.0.0.1:8080\n  auth: basic\n  token: YWRtaW46cGE6c3M=\n\
                        - gateway: https://other/\n  auth: oauth2\n  token: abc\n";

    #[test]
    fn a_login_is_found_by_its_url() {
        match find(FILE, "http://127.0.0.1:8080/").unwrap() {
            Credentials::Basic { user, password } => {
                assert_eq!((user.as_str(), password.as_str()), ("admin", "pa:ss"));
            }
            other => panic!("{other:?}"),
        }
        let token = find(FILE, "https://other").unwrap();
        assert!(matches!(token, Credentials::Token(token) if token == "abc"));
    }

    #[test]
    fn a_login_that_is_not_there_is_told() {
        let error = find(FILE, "http://nobody").unwrap_err();
        assert!(error.to_string().contains("http://nobody"), "{error}");
    }
}
