//! Who asks, and whom it believes.

use std::path::PathBuf;

use certifier::{Credentials, Trust};
use clap::Args;

use crate::files;
use crate::logins;

/// Arguments that say how a platform is reached.
#[derive(Debug, Args)]
pub(crate) struct Access {
    /// A file with certificates of authorities, in PEM, that are believed besides those of this machine
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Believe any certificate: whoever sits in between can read the credentials
    #[arg(long, conflicts_with = "ca_file")]
    insecure: bool,

    /// A file that holds `user:password`
    #[arg(long, value_name = "FILE", group = "credentials")]
    basic_auth_file: Option<PathBuf>,

    /// A folder with the files basic-auth-user and basic-auth-password
    #[arg(long, value_name = "DIR", group = "credentials")]
    basic_auth_dir: Option<PathBuf>,

    /// A bearer token
    #[arg(long, value_name = "TOKEN", group = "credentials")]
    token: Option<String>,

    /// The login that faas-cli keeps for this URL
    #[arg(long, group = "credentials")]
    enable_auth: bool,
}

impl Access {
    pub(crate) fn trust(&self) -> anyhow::Result<Trust> {
        Ok(match (&self.ca_file, self.insecure) {
            (_, true) => Trust::Anybody,
            (Some(file), _) => Trust::Authorities(files::read(file)?.into_bytes()),
            (None, _) => Trust::default(),
        })
    }

    /// Those that a request to `url` carries.
    pub(crate) fn credentials(&self, url: &str) -> anyhow::Result<Credentials> {
        if self.enable_auth {
            return logins::credentials(url);
        }
        match (&self.token, &self.basic_auth_file, &self.basic_auth_dir) {
            (Some(token), ..) => Ok(Credentials::Token(token.clone())),
            (_, Some(file), _) => files::credentials(file),
            (.., Some(folder)) => files::credentials_in(folder),
            _ => Ok(Credentials::None),
        }
    }
}
