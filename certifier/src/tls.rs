//! Speaking TLS: whose certificates are believed.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature as signed_in_1_2,
    verify_tls13_signature as signed_in_1_3,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::failure::{Failure, Outcome};
use crate::options::Trust;

/// For connections to `base`. Where that is plain HTTP nothing is read: a machine without certificates will do.
pub(crate) fn config(base: &str, trust: &Trust) -> Outcome<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new("TLS", error.to_string()))?;
    let config = match trust {
        Trust::Anybody => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        Trust::Authorities(_) if !base.starts_with("https://") => {
            builder.with_root_certificates(RootCertStore::empty())
        }
        Trust::Authorities(more) => builder.with_root_certificates(authorities(more)?),
    };
    Ok(config.with_no_client_auth())
}

/// Those of this machine, and those in `more` (PEM).
fn authorities(more: &[u8]) -> Outcome<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // A machine may have none, or one that is broken; what is missing shows when it is needed.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut found = 0;
    for authority in CertificateDer::pem_slice_iter(more) {
        let authority = authority.map_err(|error| unreadable(&error.to_string()))?;
        let added = roots.add(authority);
        added.map_err(|error| unreadable(&error.to_string()))?;
        found += 1;
    }
    match found {
        0 if !more.is_empty() => Err(unreadable("not one certificate in it")),
        _ => Ok(roots),
    }
}

fn unreadable(error: &str) -> Failure {
    Failure::new("certificates of authorities in PEM", error)
}

/// Believes every certificate. That the other side has the key to it is still checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        signed_in_1_2(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        signed_in_1_3(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
