//! HTTP Basic authentication from secret files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use subtle::ConstantTimeEq;

/// File with the user's name, in the directory of secrets.
pub const USER_FILE: &str = "basic-auth-user";
/// File with the password, in the directory of secrets.
pub const PASSWORD_FILE: &str = "basic-auth-password";

/// Why credentials cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("basic_auth is on, but {} cannot be read", path.display())]
pub struct Error {
    path: PathBuf,
    source: std::io::Error,
}

/// A user and a password. Its debug form shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    user: String,
    password: String,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pair(..)")
    }
}

impl Pair {
    /// A pair made by the caller.
    #[must_use]
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
        }
    }

    /// The value of an `Authorization` header that carries this pair, marked sensitive.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        let text = format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", self.user, self.password))
        );
        // Base64 is always a valid header value; an empty one would only be refused by the other side.
        let mut value =
            HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    fn read(directory: &Path) -> Result<Self, Error> {
        Ok(Self {
            user: read(directory.join(USER_FILE))?,
            password: read(directory.join(PASSWORD_FILE))?,
        })
    }

    /// Compares both parts in constant time, whatever their lengths agree on.
    fn admits(&self, user: &[u8], password: &[u8]) -> bool {
        (self.user.as_bytes().ct_eq(user) & self.password.as_bytes().ct_eq(password)).into()
    }
}

/// A file's text without the blanks around it. An empty file counts as unreadable: it is one that is being written just
/// now, or a mistake that would let everybody in.
fn read(path: PathBuf) -> Result<String, Error> {
    let text = std::fs::read_to_string(&path).and_then(|text| match text.trim() {
        "" => Err(std::io::Error::other("it is empty")),
        text => Ok(text.to_owned()),
    });
    text.map_err(|source| Error { path, source })
}

/// Who may enter. Cheap to clone; rotated files count from the next request on.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<Source>);

#[derive(Debug)]
enum Source {
    Fixed(Pair),
    Files {
        directory: PathBuf,
        current: Mutex<(Changed, Pair)>,
    },
}

impl Credentials {
    /// Credentials made by the caller, for services wired in one process.
    #[must_use]
    pub fn fixed(pair: Pair) -> Self {
        Self(Arc::new(Source::Fixed(pair)))
    }

    /// Credentials from `basic-auth-user` and `basic-auth-password` in `directory`, surrounding blanks removed.
    ///
    /// # Errors
    /// When one of the two cannot be read.
    pub fn from_files(directory: &Path) -> Result<Self, Error> {
        let current = Mutex::new((changed(directory), Pair::read(directory)?));
        Ok(Self(Arc::new(Source::Files {
            directory: directory.to_owned(),
            current,
        })))
    }

    /// The pair as it is now, read again when a file has changed. A file that vanished or is empty leaves the last
    /// pair in force.
    #[must_use]
    pub fn pair(&self) -> Pair {
        match &*self.0 {
            Source::Fixed(pair) => pair.clone(),
            Source::Files { directory, current } => {
                let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
                let changed = changed(directory);
                if changed != current.0
                    && let Ok(pair) = Pair::read(directory)
                {
                    *current = (changed, pair);
                }
                current.1.clone()
            }
        }
    }

    /// Whether a request with these headers may enter.
    #[must_use]
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let Some((user, password)) = headers
            .get(AUTHORIZATION)
            .and_then(|value| sent(value.as_bytes()))
        else {
            return false;
        };
        self.pair().admits(&user, &password)
    }
}

/// When the two files last changed. Both, not the later one: a file put in place may be older than its sibling.
type Changed = [Option<SystemTime>; 2];

fn changed(directory: &Path) -> Changed {
    let modified = |file: &str| {
        std::fs::metadata(directory.join(file))
            .and_then(|file| file.modified())
            .ok()
    };
    [USER_FILE, PASSWORD_FILE].map(modified)
}

/// User and password of an `Authorization: Basic` value.
fn sent(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some((decoded[..colon].to_vec(), decoded[colon + 1..].to_vec()))
}

/// Middleware: lets a request pass, or answers 401. Put it around routes as a group.
pub async fn require(
    State(credentials): State<Credentials>,
    request: Request,
    next: Next,
) -> Response {
    if credentials.admit(request.headers()) {
        return next.run(request).await;
    }
    refused()
}

/// The answer to whoever may not enter.
#[must_use]
pub fn refused() -> Response {
    // Compat: this very body (no newline) and realm; clients look at the realm to choose how to log in.
    let challenge = [(WWW_AUTHENTICATE, "Basic realm=\"Restricted\"")];
    (StatusCode::UNAUTHORIZED, challenge, "invalid credentials").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_the_right_pair_enters() {
        let credentials = Credentials::fixed(Pair::new("admin", "s:cret"));
        assert!(credentials.admit(&HeaderMap::from_iter([(
            AUTHORIZATION,
            Pair::new("admin", "s:cret").header()
        )])));
        assert!(credentials.admit(&headers("basic YWRtaW46czpjcmV0")));
        for wrong in [
            "",
            "Basic",
            "Basic !!",
            "Bearer YWRtaW46czpjcmV0",
            "Basic YWRtaW4=",
            "Basic YWRtaW46cw==",
        ] {
            assert!(!credentials.admit(&headers(wrong)), "{wrong}");
        }
        assert!(!credentials.admit(&HeaderMap::new()));
    }

    /// Puts a password in place, in a file so many seconds older than now.
    fn rotate(directory: &Path, password: &str, age: u64) {
        let path = directory.join(PASSWORD_FILE);
        std::fs::write(&path, password).unwrap();
        let file = std::fs::File::options().write(true).open(path).unwrap();
        let age = std::time::Duration::from_secs(age);
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn rotated_files_count_without_a_restart_older_ones_too() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(USER_FILE), "admin\n").unwrap();
        rotate(directory.path(), "old\n", 60);
        let credentials = Credentials::from_files(directory.path()).unwrap();
        assert_eq!(credentials.pair(), Pair::new("admin", "old"));
        for (password, age) in [("newer", 30), ("restored", 90)] {
            rotate(directory.path(), password, age);
            let header = Pair::new("admin", password).header();
            assert!(credentials.admit(&HeaderMap::from_iter([(AUTHORIZATION, header)])));
        }
    }

    #[test]
    fn an_empty_file_lets_nobody_in() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(USER_FILE), "admin").unwrap();
        rotate(directory.path(), " \n", 60);
        let error = Credentials::from_files(directory.path()).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "it is empty");

        rotate(directory.path(), "secret", 50);
        let credentials = Credentials::from_files(directory.path()).unwrap();
        rotate(directory.path(), "", 40);
        assert_eq!(credentials.pair(), Pair::new("admin", "secret"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let error = Credentials::from_files(directory.path())
            .unwrap_err()
            .to_string();
        assert!(error.contains(USER_FILE), "{error}");
    }
}
