//! The certificates that a TLS server shows. They are evidence here, not trust: whatever is shown is taken.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::CliError;

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The chain that the server at `HOST:PORT` shows, its own certificate first.
///
/// # Errors
/// When it is not reached or shows none.
pub(super) async fn certificates(address: &str) -> Result<Vec<Vec<u8>>, CliError> {
    let bad = || CliError::Usage(format!("--tls: found `{address}`; permitted: HOST:PORT"));
    let (host, _) = address.rsplit_once(':').ok_or_else(bad)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|_| bad())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let shown = Arc::new(Shown {
        chain: Mutex::new(Vec::new()),
        provider: provider.clone(),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| CliError::Defect(e.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(shown.clone())
        .with_no_client_auth();
    let shake = async {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .map(drop)
    };
    let result = tokio::time::timeout(PATIENCE, shake).await;
    let chain = std::mem::take(&mut *shown.chain.lock().unwrap_or_else(PoisonError::into_inner));
    // A server that wants a client certificate shows its own before it ends the handshake.
    match result {
        _ if !chain.is_empty() => Ok(chain),
        Ok(Err(error)) => Err(CliError::Unavailable(format!("{address}: {error}"))),
        Ok(Ok(())) => Err(CliError::Refused(format!("{address}: it shows no certificate"))),
        Err(_) => Err(CliError::Unavailable(format!(
            "{address}: no handshake in {} s",
            PATIENCE.as_secs()
        ))),
    }
}

/// Takes note of what is shown.
#[derive(Debug)]
struct Shown {
    chain: Mutex<Vec<Vec<u8>>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(end_entity).chain(intermediates);
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = all.map(|der| der.to_vec()).collect();
        Ok(ServerCertVerified::assertion())
    }

    /// The handshake's signature does count: the server holds the key of what it shows.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
