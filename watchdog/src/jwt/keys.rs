//! The authority's keys, read anew when a token names one that is not among them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::Uri;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::authority;

/// The least time between two looks for new keys: anybody can make up a `kid`.
const PAUSE: Duration = Duration::from_secs(10);

/// A key, and what it may have signed with.
pub(super) struct Key {
    pub(super) key: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

/// Keys by their `kid`.
pub(super) type KeysByName = HashMap<String, Arc<Key>>;

/// The keys that are known.
pub(super) struct Keys {
    jwks: Uri,
    known: RwLock<KeysByName>,
    /// When they were last read anew; held while they are.
    renewed: Mutex<Option<Instant>>,
}

impl Keys {
    pub(super) fn new(jwks: Uri, keys: KeysByName) -> Self {
        Self {
            jwks,
            known: RwLock::new(keys),
            renewed: Mutex::new(None),
        }
    }

    /// The names, in order.
    pub(super) fn names(&self) -> Vec<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> = known.keys().cloned().collect();
        names.sort();
        names
    }

    /// The key of this name. One that is not known may be new: then the caller waits for one look at the authority,
    /// together with all who wait already.
    pub(super) async fn get(self: &Arc<Self>, name: &str) -> Option<Arc<Key>> {
        if let Some(key) = self.find(name) {
            return Some(key);
        }
        // In a task, so that a caller who hangs up does not take the look away from the others.
        let (keys, wanted) = (Arc::clone(self), name.to_owned());
        let renewed = tokio::spawn(async move { keys.renew_for(&wanted).await });
        renewed.await.ok()?;
        self.find(name)
    }

    async fn renew_for(&self, name: &str) {
        let mut renewed = self.renewed.lock().await;
        if self.find(name).is_some() || renewed.is_some_and(|last| last.elapsed() < PAUSE) {
            return;
        }
        *renewed = Some(Instant::now());
        match authority::keys(&self.jwks).await {
            Ok(keys) => *self.known.write().unwrap_or_else(PoisonError::into_inner) = keys,
            Err(error) => log!("Warning: jwt_auth: the keys stay as they are: {error}"),
        }
    }

    fn find(&self, name: &str) -> Option<Arc<Key>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned()
    }
}

/// A set of keys as it is published. What is no key that we know is left out, so that a new kind does no harm.
#[derive(Deserialize)]
struct Published {
    keys: Vec<serde_json::Value>,
}

/// Reads a JWKS; the keys that have a name and can verify signatures.
pub(super) fn parse(text: &[u8]) -> Result<KeysByName, String> {
    let published: Published =
        serde_json::from_slice(text).map_err(|error| format!("is no JWKS: {error}"))?;
    let jwks = published.keys.into_iter();
    let jwks = jwks.filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    Ok(jwks.filter_map(|jwk| usable(&jwk)).collect())
}

fn usable(jwk: &Jwk) -> Option<(String, Arc<Key>)> {
    let common = &jwk.common;
    let other_use = |of: &PublicKeyUse| *of != PublicKeyUse::Signature;
    if common.public_key_use.as_ref().is_some_and(other_use) {
        return None;
    }
    let mut algorithms = algorithms(&jwk.algorithm)?;
    if let Some(only) = &common.key_algorithm {
        algorithms.retain(|algorithm| *only == (*algorithm).into());
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let key = Arc::new(Key { key, algorithms });
    Some((common.key_id.clone()?, key))
}

/// What a key of this kind can sign with. Secrets that both sides share are no business of a published set.
fn algorithms(kind: &AlgorithmParameters) -> Option<Vec<Algorithm>> {
    match kind {
        AlgorithmParameters::RSA(_) => Some(AlgorithmFamily::Rsa.algorithms().to_vec()),
        AlgorithmParameters::OctetKeyPair(_) => Some(vec![Algorithm::EdDSA]),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => Some(vec![Algorithm::ES256]),
            EllipticCurve::P384 => Some(vec![Algorithm::ES384]),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_named_keys_for_signatures_are_taken() {
        let text = br#"{"keys":[
            {"kty":"OKP","crv":"Ed25519","x":"AA","kid":"ed","use":"sig"},
            {"kty":"OKP","crv":"Ed25519","x":"AA"},
            {"kty":"RSA","n":"AQAB","e":"AQAB","kid":"one","alg":"RS512"},
            {"kty":"RSA","n":"AQAB","e":"AQAB","kid":"enc","use":"enc"},
            {"kty":"oct","k":"AQAB","kid":"shared"},
            {"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"ec"},
            {"kty":"EC","crv":"secp256k1","x":"AA","y":"AA","kid":"odd"},
            {"kty":"of tomorrow","kid":"new"}, 7]}"#;
        let keys = parse(text).unwrap();
        let mut names: Vec<_> = keys.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["ec", "ed", "one"]);
        assert_eq!(keys["one"].algorithms, [Algorithm::RS512]);
        assert_eq!(keys["ec"].algorithms, [Algorithm::ES256]);
    }

    #[test]
    fn what_is_no_set_is_told() {
        for text in ["", "{}", "[]", "{\"keys\":1}", "<html>"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
