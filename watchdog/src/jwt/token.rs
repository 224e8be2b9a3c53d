//! One token: which key it names, and what it says if that key has signed it.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Validation, decode, decode_header};
use serde::Deserialize;

use super::keys::Key;
use super::permission::Permissions;

/// How far clocks may be apart.
const LEEWAY_SECONDS: u32 = 1;

/// What of a token is of interest here, besides what the library checks.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    /// When it was made, in seconds since 1970.
    iat: Option<f64>,
    /// What it allows.
    pub(super) function: Option<Permissions>,
}

/// The key that a token says it was signed with.
pub(super) fn key_name(token: &str) -> Result<String, String> {
    let header = decode_header(token).map_err(|error| in_words(&error))?;
    // RFC 7515, section 4.1.11: extensions that may not be ignored, of which we know none.
    if header.crit.is_some() {
        return Err("it demands an extension that is not known here".to_owned());
    }
    header.kid.ok_or_else(|| "it names no kid".to_owned())
}

/// Its claims, if the key has signed it, the issuer is both who made it and whom it is for, and its time is now.
pub(super) fn verify(token: &str, key: &Key, issuer: &str) -> Result<Claims, String> {
    let mut rules = Validation {
        algorithms: key.algorithms.clone(),
        leeway: LEEWAY_SECONDS.into(),
        validate_nbf: true,
        ..Validation::default()
    };
    rules.set_issuer(&[issuer]);
    rules.set_audience(&[issuer]);
    rules.set_required_spec_claims(&["exp", "iss", "aud"]);
    let decoded = decode::<Claims>(token, &key.key, &rules);
    let claims = decoded.map_err(|error| in_words(&error))?.claims;
    let latest = now() + f64::from(LEEWAY_SECONDS);
    if claims.iat.is_some_and(|made| made > latest) {
        return Err("it was issued in the future".to_owned());
    }
    Ok(claims)
}

fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0.0, |now| now.as_secs_f64())
}

/// Why it is no good. Never a piece of the token, which may come from anybody and goes into the answer.
fn in_words(error: &Error) -> String {
    let words = match error.kind() {
        ErrorKind::InvalidSignature => "the signature is wrong",
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidIssuer => "it is of another issuer",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => {
            "the algorithm does not fit the key"
        }
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
            return format!("it has no usable {claim}");
        }
        ErrorKind::Json(_) => "its algorithm or its claims are not as they should be",
        _ => "it is no signed token",
    };
    words.to_owned()
}
