//! A platform behind TLS passes as it does in the clear; whose certificate is nobody's is told so, soon and in words.

use std::sync::Arc;

use certifier::{Options, Trust, run};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncWriteExt, copy, sink, split};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::matrix::everything;
use crate::model::{BASIC, Model};
use crate::strangers::refused;

/// Something that ends TLS in front of a gateway, with a certificate for its address that it has signed itself.
struct Terminator {
    url: String,
    certificate: Vec<u8>,
}

impl Terminator {
    async fn before(gateway: Model) -> Self {
        let gateway = Arc::new(gateway).serve().await.replace("http://", "");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (acceptor, certificate) = acceptor();
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(pass_on(acceptor.clone(), caller, gateway.clone()));
            }
        });
        Self { url, certificate }
    }

    fn believed(&self) -> Trust {
        Trust::Authorities(self.certificate.clone())
    }
}

fn acceptor() -> (TlsAcceptor, Vec<u8>) {
    let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let CertifiedKey { cert, signing_key } = made;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), cert.pem().into_bytes())
}

async fn pass_on(acceptor: TlsAcceptor, caller: TcpStream, gateway: String) {
    let _ = caller.set_nodelay(true);
    // Who does not believe the certificate, or speaks no TLS, is sent away by this.
    let Ok(caller) = acceptor.accept(caller).await else {
        return;
    };
    let (mut asked, mut told) = split(caller);
    let gateway = TcpStream::connect(gateway).await.unwrap();
    let _ = gateway.set_nodelay(true);
    let (mut answered, mut told_on) = gateway.into_split();
    let there = async {
        // Whoever refuses a long body stops reading it; the refusal is passed on all the same.
        if copy(&mut asked, &mut told_on).await.is_err() {
            let _ = copy(&mut asked, &mut sink()).await;
        }
        let _ = told_on.shutdown().await;
        std::future::pending::<()>().await;
    };
    let back = async {
        let _ = copy(&mut answered, &mut told).await;
        let _ = told.shutdown().await;
    };
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

#[tokio::test]
async fn an_honest_gateway_behind_tls_passes_everything() {
    let terminator = Terminator::before(Model::gateway(None).wanting(BASIC)).await;
    let options = Options {
        trust: terminator.believed(),
        ..everything(terminator.url)
    };
    let report = run(options).await;
    assert!(report.success(), "{report}");
    assert!(report.passed().len() > 100, "{report}");
}

#[tokio::test]
async fn any_certificate_is_believed_where_that_is_asked_for() {
    let terminator = Terminator::before(Model::gateway(None)).await;
    let options = Options {
        trust: Trust::Anybody,
        filter: vec!["deploy.accepted".into()],
        ..Options::gateway(terminator.url)
    };
    let report = run(options).await;
    assert!(report.success(), "{report}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority() {
    let terminator = Terminator::before(Model::gateway(None)).await;
    let (_, text) = refused(Options::gateway(terminator.url)).await;
    assert!(text.contains("--ca-file"), "{text}");
}

#[tokio::test]
async fn a_certificate_of_somebody_else() {
    let terminator = Terminator::before(Model::gateway(None)).await;
    let options = Options {
        trust: terminator.believed(),
        ..Options::gateway(terminator.url.replace("127.0.0.1", "localhost"))
    };
    let (_, text) = refused(options).await;
    assert!(text.contains("not good for this URL"), "{text}");
}

#[tokio::test]
async fn a_file_of_authorities_that_holds_none() {
    let options = Options {
        trust: Trust::Authorities(b"none".to_vec()),
        ..Options::gateway("https://127.0.0.1:1")
    };
    let (_, text) = refused(options).await;
    assert!(text.contains("not one certificate in it"), "{text}");
}

#[tokio::test]
async fn tls_that_is_spoken_to_in_the_clear() {
    let terminator = Terminator::before(Model::gateway(None)).await;
    let url = terminator.url.replace("https://", "http://");
    let (_, text) = refused(Options::gateway(url)).await;
    assert!(text.contains("is it https://"), "{text}");
}

#[tokio::test]
async fn a_port_in_the_clear_that_is_spoken_to_in_tls() {
    let url = Arc::new(Model::gateway(None)).serve().await;
    let url = url.replace("http://", "https://");
    let (_, text) = refused(Options::gateway(url)).await;
    assert!(text.contains("is it http://"), "{text}");
}
