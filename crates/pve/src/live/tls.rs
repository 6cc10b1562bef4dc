//! TLS with pinned certificates: nothing is sent to a peer that shows a different one.
//!
//! A node's certificate is signed by its cluster's own authority, so names and dates prove nothing; the SHA-256 of
//! the certificate does. The handshake's signature is checked as usual: the node must hold the key.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring as provider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::debug;

use super::config::HostPort;

/// A peer whose machine acknowledges nothing for so long is gone: without this, a request on a kept connection to a node
/// that has lost its power would wait for an answer.
const GONE: Duration = Duration::from_secs(8);

/// Makes connections whose certificate is compared afterwards.
pub(super) fn connector() -> Result<TlsConnector, String> {
    let provider = Arc::new(provider::default_provider());
    let verifier = Arc::new(AnyCertificate { provider: provider.clone() });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // Each connection must show the certificate again to be checked.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Connects, and returns the fingerprint of the certificate that was shown.
pub(super) async fn connect(
    connector: &TlsConnector,
    address: &HostPort,
) -> Result<(TlsStream<TcpStream>, String), String> {
    let stream = TcpStream::connect((address.0.as_str(), address.1)).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).and_then(|()| notice_loss(&stream)).map_err(|error| error.to_string())?;
    debug!(host = address.0, port = address.1, "connected, TLS handshake begins");
    let name = ServerName::try_from(address.0.clone()).map_err(|_| format!("{:?} is not a host name", address.0))?;
    let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let seen = fingerprint(shown.ok_or("the node showed no certificate")?);
    let (_, session) = stream.get_ref();
    let (protocol, cipher) = (session.protocol_version(), session.negotiated_cipher_suite().map(|suite| suite.suite()));
    debug!(?protocol, ?cipher, seen, "TLS handshake done");
    Ok((stream, seen))
}

fn notice_loss(stream: &TcpStream) -> std::io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(GONE).with_interval(GONE / 4))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(GONE))?;
    Ok(())
}

/// `AA:BB:…` of a certificate.
pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// A fingerprint as written in a configuration, in the form that [`fingerprint`] returns.
pub(super) fn normalise(text: &str) -> String {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).map(|c| c.to_ascii_uppercase()).collect();
    digits.chunks(2).map(String::from_iter).collect::<Vec<_>>().join(":")
}

/// Takes any certificate whose key signs the handshake: the caller compares its fingerprint before it sends anything.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_may_be_written_with_or_without_colons() {
        assert_eq!(normalise("ab:CD:01"), "AB:CD:01");
        assert_eq!(normalise("abcd01"), "AB:CD:01");
    }
}
