//! What NATS is shown, and by what it is known.

use std::path::{Path, PathBuf};

use async_nats::ConnectOptions;

use super::NatsError;

/// What NATS is shown.
#[derive(Clone, Default)]
pub enum Login {
    /// Nothing.
    #[default]
    None,
    /// A name and a password.
    User(String, String),
    /// A token.
    Token(String),
    /// What is in a credentials file: a token that says who we are, and a key.
    Credentials(String),
}

/// Where a login is, as settings tell.
#[derive(Clone, Copy, Default)]
pub struct LoginFiles<'a> {
    /// A name.
    pub user: Option<&'a str>,
    /// The file of its password.
    pub password: Option<&'a Path>,
    /// The file of a token.
    pub token: Option<&'a Path>,
    /// A credentials file.
    pub credentials: Option<&'a Path>,
}

impl Login {
    /// Reads a login. An end of line at the end of a file is not part of what is in it.
    ///
    /// # Errors
    /// When a file cannot be read, or what is given does not make one login.
    pub fn of(files: LoginFiles<'_>) -> Result<Self, NatsError> {
        let LoginFiles {
            user,
            password,
            token,
            credentials,
        } = files;
        match (user, password, token, credentials) {
            (None, None, None, None) => Ok(Self::None),
            (Some(user), Some(password), None, None) => {
                Ok(Self::User(user.to_owned(), read(password)?))
            }
            (None, None, Some(token), None) => Ok(Self::Token(read(token)?)),
            (None, None, None, Some(file)) => {
                // Its last line has to end.
                Ok(Self::Credentials(read(file)? + "\n"))
            }
            _ => Err(NatsError::Login(
                "a user and the file of a password, or the file of a token, or one of credentials"
                    .to_owned(),
            )),
        }
    }

    /// Options that show it.
    pub(super) fn options(&self) -> Result<ConnectOptions, NatsError> {
        Ok(match self.clone() {
            Self::None => ConnectOptions::new(),
            Self::User(user, password) => ConnectOptions::with_user_and_password(user, password),
            Self::Token(token) => ConnectOptions::with_token(token),
            Self::Credentials(text) => ConnectOptions::with_credentials(&text).map_err(|_| {
                // Not its words: they may quote what is in the file.
                NatsError::Login("there are no credentials in the file".to_owned())
            })?,
        })
    }
}

/// Has the server show a certificate of one of the authorities in a file, and nothing said in the clear.
pub(super) fn trusting(
    options: ConnectOptions,
    authorities: &Path,
) -> Result<ConnectOptions, NatsError> {
    // The client would look at the file with each connection only, and wait for ever.
    let text = read(authorities)?;
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        let words = format!("{}: there is no certificate in it", authorities.display());
        return Err(NatsError::Login(words));
    }
    let file = PathBuf::from(authorities);
    Ok(options.add_root_certificates(file).require_tls(true))
}

fn read(path: &Path) -> Result<String, NatsError> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| NatsError::Login(format!("{}: {error}", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
