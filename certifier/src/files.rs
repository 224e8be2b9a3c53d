//! Files that arguments name.

use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use certifier::{Allowed, Credentials};

/// A file that holds `user:password`.
pub(crate) fn credentials(file: &Path) -> anyhow::Result<Credentials> {
    let text = line(file)?;
    let (user, password) = text
        .split_once(':')
        .with_context(|| format!("{} does not hold user:password", file.display()))?;
    basic(user.to_owned(), password.to_owned())
}

/// A folder with the files that platforms mount.
pub(crate) fn credentials_in(folder: &Path) -> anyhow::Result<Credentials> {
    basic(
        line(&folder.join("basic-auth-user"))?,
        line(&folder.join("basic-auth-password"))?,
    )
}

/// A list of the skips that are in order.
pub(crate) fn skips(file: &Path) -> anyhow::Result<Vec<Allowed>> {
    let list = Allowed::list(&read(file)?);
    list.map_err(|error| anyhow!("{}: {error}", file.display()))
}

fn basic(user: String, password: String) -> anyhow::Result<Credentials> {
    ensure!(
        !user.is_empty() && !password.is_empty(),
        "the user or the password is empty"
    );
    Ok(Credentials::Basic { user, password })
}

/// Files of credentials usually end in a newline that is not meant.
fn line(file: &Path) -> anyhow::Result<String> {
    Ok(read(file)?.trim_end_matches(['\r', '\n']).to_owned())
}

pub(crate) fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}
