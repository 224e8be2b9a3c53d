//! An authority under the test's control, and the keys it signs tokens with.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::spawn;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use p256::pkcs8::EncodePrivateKey;
use rand::rngs::OsRng;
use rsa::pkcs1::EncodeRsaPrivateKey;
use serde_json::{Value, json};

/// Who signs, by name.
pub(crate) const ISSUER: &str = "https://platform.example";

/// What stands before the seed in the file of an Ed25519 key (RFC 8410, section 7).
const ED25519_IN_PKCS8: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// Something to sign with.
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
}

impl Key {
    /// A new key for ES256.
    pub(crate) fn new(kid: &str) -> Self {
        Self::of(kid, Algorithm::ES256)
    }

    /// A new key for the algorithm; all RSA keys are one, which takes a while to make.
    pub(crate) fn of(kid: &str, algorithm: Algorithm) -> Self {
        static RSA: OnceLock<Vec<u8>> = OnceLock::new();
        let key = match algorithm {
            Algorithm::ES256 => {
                let key = p256::SecretKey::random(&mut OsRng).to_pkcs8_der();
                EncodingKey::from_ec_der(key.unwrap().as_bytes())
            }
            Algorithm::ES384 => {
                let key = p384::SecretKey::random(&mut OsRng).to_pkcs8_der();
                EncodingKey::from_ec_der(key.unwrap().as_bytes())
            }
            Algorithm::EdDSA => {
                let seed: [u8; 32] = rand::random();
                EncodingKey::from_ed_der(&[ED25519_IN_PKCS8, &seed].concat())
            }
            Algorithm::HS256 => EncodingKey::from_secret(b"shared by both sides, so to say!"),
            _ => EncodingKey::from_rsa_der(RSA.get_or_init(|| {
                let key = rsa::RsaPrivateKey::new(&mut OsRng, 2048).unwrap();
                key.to_pkcs1_der().unwrap().as_bytes().to_vec()
            })),
        };
        Self {
            kid: kid.to_owned(),
            algorithm,
            key,
        }
    }

    /// As an authority publishes it.
    pub(crate) fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.kid.clone());
        serde_json::to_value(jwk).unwrap()
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.clone());
        self.sign_under(&header, claims)
    }

    pub(crate) fn sign_under(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.key).unwrap()
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// Claims that open every function for a minute.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": [ISSUER],
        "iat": now(),
        "exp": now() + 60,
        "function": {"permissions": ["*"]},
    })
}

/// The same with some changed; `null` takes one away.
pub(crate) fn claims_with(changes: Value) -> Value {
    let mut all = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
            value => all[name] = value.clone(),
        }
    }
    all
}

/// A server that says who it is and which keys it has.
pub(crate) struct Authority {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    keys: Vec<Value>,
    /// Where it says that its keys are.
    jwks_uri: String,
    /// What it does to the next callers: answers with a status, or with 0 never.
    moods: Vec<u16>,
    asked: Vec<String>,
}

impl Authority {
    pub(crate) fn with(keys: &[&Key]) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), keys)
    }

    pub(crate) fn on(listener: TcpListener, keys: &[&Key]) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            keys: keys.iter().map(|key| key.public()).collect(),
            jwks_uri: format!("http://{address}/keys"),
            moods: Vec::new(),
            asked: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        spawn(move || {
            // Held for ever are the connections of those who get no answer.
            let mut held = Vec::new();
            for stream in listener.incoming() {
                held.extend(stream.ok().and_then(|stream| answer(&shared, stream)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn publish(&self, keys: &[Value]) {
        self.state.lock().unwrap().keys = keys.to_vec();
    }

    pub(crate) fn say_keys_are_at(&self, url: &str) {
        self.state.lock().unwrap().jwks_uri = url.to_owned();
    }

    /// Statuses for the next callers; 0 is no answer at all.
    pub(crate) fn answer_next(&self, moods: &[u16]) {
        self.state.lock().unwrap().moods = moods.to_vec();
    }

    /// The heads of all requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    /// How often the keys were read.
    pub(crate) fn reads(&self) -> usize {
        let asked = self.asked();
        asked.iter().filter(|head| head.contains("/keys")).count()
    }
}

fn answer(state: &Mutex<State>, stream: TcpStream) -> Option<TcpStream> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).ok()? > 0 {}
    let mut stream = reader.into_inner();
    let mut state = state.lock().unwrap();
    state.asked.push(head.clone());
    let mood = match state.moods.is_empty() {
        true => 200,
        false => state.moods.remove(0),
    };
    let body = match head.split(' ').nth(1) {
        Some("/.well-known/openid-configuration") => {
            json!({"issuer": ISSUER, "jwks_uri": state.jwks_uri}).to_string()
        }
        Some("/keys") => json!({"keys": state.keys}).to_string(),
        _ => String::new(),
    };
    if mood == 0 {
        return Some(stream);
    }
    let length = body.len();
    let head = format!("HTTP/1.1 {mood} X\r\nContent-Length: {length}\r\n\r\n");
    let _ = stream.write_all((head + &body).as_bytes());
    None
}
