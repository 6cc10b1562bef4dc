//! Certificates and SSH keys, made for each lab: they are worth nothing outside it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use quorate_core::ids::NodeName;
use quorate_wire::fingerprint;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::{HashAlg, LineEnding, PrivateKey};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::error::LabError;

/// A node's certificate.
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    /// SHA-256, as PVE prints it.
    pub(super) fingerprint: String,
    /// The certificate as PEM, for clients that trust a file.
    pub(super) pem: String,
}

/// An ed25519 key.
pub(super) struct SshKey {
    pub(super) private: PrivateKey,
    /// `SHA256:…`.
    pub(super) fingerprint: String,
    /// `ssh-ed25519 AAAA…`.
    pub(super) public: String,
    /// The private key as OpenSSH writes it.
    pub(super) pem: String,
}

fn failed(what: &'static str) -> impl Fn(String) -> LabError {
    move |reason| LabError::Key { what, reason }
}

/// 32 random bytes.
pub(super) fn random() -> Result<[u8; 32], LabError> {
    let mut bytes = [0; 32];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| failed("random bytes")("the system has none".to_owned()))?;
    Ok(bytes)
}

/// A self-signed certificate for a node, P-256 because that is quick to make.
pub(super) fn tls(node: &NodeName, address: Ipv4Addr) -> Result<Tls, LabError> {
    let certificate = |error: rcgen::Error| failed("a certificate")(error.to_string());
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(certificate)?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), address.to_string(), node.to_string()];
    let mut params = CertificateParams::new(names).map_err(certificate)?;
    params.distinguished_name.push(DnType::CommonName, node.as_str());
    params.distinguished_name.push(DnType::OrganizationName, "PVE Cluster Node");
    let signed = params.self_signed(&key).map_err(certificate)?;
    let der = signed.der().clone();
    let fingerprint = fingerprint(&der);
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let setup = |error: rustls::Error| failed("the TLS set-up")(error.to_string());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .with_no_client_auth()
        .with_single_cert(vec![der], private)
        .map_err(setup)?;
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), fingerprint, pem: signed.pem() })
}

/// An ed25519 key.
pub(super) fn ssh(comment: &str) -> Result<SshKey, LabError> {
    let ssh_key = |error: russh::keys::ssh_key::Error| failed("an SSH key")(error.to_string());
    let mut private = PrivateKey::from(Ed25519Keypair::from_seed(&random()?));
    private.set_comment(comment);
    let public = private.public_key();
    Ok(SshKey {
        fingerprint: public.fingerprint(HashAlg::Sha256).to_string(),
        public: public.to_openssh().map_err(ssh_key)?,
        pem: private.to_openssh(LineEnding::LF).map_err(ssh_key)?.to_string(),
        private,
    })
}
