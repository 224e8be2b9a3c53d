//! Servers that ask for TLS, or for credentials of their operator's making.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use faas_queue::nats::{Login, LoginFiles, Settings};
use faas_queue::{Nats, Queue};
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair as TlsKey};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::patience::soon;
use crate::server::Server;
use crate::{call, new, settings};

/// An authority, and a server's certificate of it for 127.0.0.1, as files.
struct Certificates {
    home: TempDir,
}

impl Certificates {
    fn made() -> Self {
        let home = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(home.path().join(name), text);
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = TlsKey::generate().unwrap();
        let of_authority = authority.self_signed(&key).unwrap();
        write("ca.pem", of_authority.pem()).unwrap();
        let issuer = Issuer::new(authority, key);
        let key = TlsKey::generate().unwrap();
        let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let server = server.signed_by(&key, &issuer).unwrap();
        write("server.pem", server.pem()).unwrap();
        write("server.key", key.serialize_pem()).unwrap();
        Self { home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A server that speaks TLS only.
    async fn server(&self) -> Server {
        let (certificate, key) = (self.path("server.pem"), self.path("server.key"));
        let file = |path: &Path| path.to_str().unwrap().to_owned();
        let (certificate, key) = (file(&certificate), file(&key));
        Server::with(&["--tls", "--tlscert", &certificate, "--tlskey", &key]).await
    }
}

fn trusting(server: &Server, authorities: PathBuf) -> Settings {
    Settings {
        authorities: Some(authorities),
        ..settings(&server.at())
    }
}

#[tokio::test]
async fn a_server_is_known_by_its_authority_and_nobody_else_is_believed() {
    let certificates = Certificates::made();
    let server = certificates.server().await;
    let known = trusting(&server, certificates.path("ca.pem"));
    let queue = Nats::connect(known).await.unwrap();
    queue.accept(new(call("f.dev"))).await.unwrap();

    let others = Certificates::made();
    for settings in [
        // This machine knows no such authority.
        settings(&server.at()),
        trusting(&server, others.path("ca.pem")),
    ] {
        let queue = Nats::connect(settings).await.unwrap();
        assert!(queue.trouble().is_some());
    }
}

#[tokio::test]
async fn with_an_authority_nothing_is_said_in_the_clear() {
    let certificates = Certificates::made();
    let server = Server::start().await;
    let queue = Nats::connect(trusting(&server, certificates.path("ca.pem"))).await;
    assert!(queue.unwrap().trouble().is_some());
    for file in ["server.key", "missing.pem"] {
        let refused = Nats::connect(trusting(&server, certificates.path(file))).await;
        let words = refused.err().unwrap().to_string();
        assert!(words.contains(file), "{words}");
    }
}

/// What an operator's tool makes: an operator, an account that may use streams, and a user's credentials file.
struct Operator {
    home: TempDir,
}

impl Operator {
    fn made() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (operator, system) = (KeyPair::new_operator(), KeyPair::new_account());
        let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
        let of_operator = token(
            &operator,
            &operator,
            json!({"type": "operator", "version": 2}),
        );
        let no_limit = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
            "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        let of_account = json!({"type": "account", "version": 2, "limits": no_limit});
        let of_account = token(&account, &operator, of_account);
        let of_system = json!({"type": "account", "version": 2});
        let of_system = token(&system, &operator, of_system);
        let of_user = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let of_user = token(&user, &account, of_user);
        let credentials = format!(
            "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            user.seed().unwrap()
        );
        let server = format!(
            "operator: {of_operator}\nsystem_account: {1}\nresolver: MEMORY\n\
             resolver_preload: {{ {0}: {of_account}, {1}: {of_system} }}\n",
            account.public_key(),
            system.public_key()
        );
        std::fs::write(home.path().join("user.creds"), credentials).unwrap();
        std::fs::write(home.path().join("server.conf"), server).unwrap();
        Self { home }
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).to_str().unwrap().to_owned()
    }
}

/// What `by` says about `of`, signed.
fn token(of: &KeyPair, by: &KeyPair, says: Value) -> String {
    let encoded = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let head = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let claims = json!({
        "jti": "test", "iat": 1_700_000_000, "iss": by.public_key(), "sub": of.public_key(), "name": "test", "nats": says,
    });
    let signed = format!("{}.{}", encoded(&head), encoded(&claims));
    let signature = by.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn credentials_are_shown_where_an_operator_asks_for_them() {
    let operator = Operator::made();
    let server = Server::with(&["-c", &operator.path("server.conf")]).await;
    let file = operator.path("user.creds");
    let login = Login::of(LoginFiles {
        credentials: Some(Path::new(&file)),
        ..LoginFiles::default()
    });
    let settings = Settings {
        login: login.unwrap(),
        ..settings(&server.at())
    };
    let queue = soon("a connection", Nats::connect(settings)).await.unwrap();
    assert_eq!(queue.trouble(), None);
    queue.accept(new(call("f.dev"))).await.unwrap();

    let stranger = Nats::connect(crate::settings(&server.at())).await;
    assert!(stranger.unwrap().trouble().is_some());
}

#[tokio::test]
async fn a_file_without_credentials_is_refused_and_not_quoted() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("creds");
    std::fs::write(&file, "s3cret").unwrap();
    let login = Login::of(LoginFiles {
        credentials: Some(&file),
        ..LoginFiles::default()
    });
    let settings = Settings {
        login: login.unwrap(),
        ..settings("127.0.0.1:1")
    };
    let words = Nats::connect(settings).await.err().unwrap().to_string();
    assert!(
        words.contains("credentials") && !words.contains("s3cret"),
        "{words}"
    );
    let both = LoginFiles {
        user: Some("of"),
        credentials: Some(&file),
        ..LoginFiles::default()
    };
    assert!(Login::of(both).is_err());
}
