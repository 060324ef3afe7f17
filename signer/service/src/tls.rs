//! TLS: version 1.3 only, clients by certificates of the access CA only, renewed without a restart.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::error::SignerError;
use crate::signer::Signer;

/// What is spoken over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// gRPC, over HTTP/2.
    Grpc,
    /// HTTP/1.1.
    Http,
}

/// The settings of a handshake for each protocol: they differ in what ALPN offers.
#[derive(Debug)]
struct Settings {
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
}

/// What handshakes use now.
#[derive(Debug, Default)]
pub(crate) struct Tls(ArcSwapOption<Settings>);

impl Tls {
    /// The configuration for the next handshake; none before there is a certificate.
    pub(crate) fn current(&self, protocol: Protocol) -> Option<Arc<ServerConfig>> {
        let settings = self.0.load();
        settings.as_ref().map(|settings| match protocol {
            Protocol::Grpc => settings.grpc.clone(),
            Protocol::Http => settings.http.clone(),
        })
    }

    /// Reads key and certificate again, and the access CA's certificate from the log.
    ///
    /// # Errors
    /// When anything of it does not read or does not fit; then the old state stays.
    pub(crate) fn reload(&self, signer: &Signer) -> Result<(), SignerError> {
        let snapshot = signer.snapshot.load();
        let access = snapshot
            .access_ca()
            .ok_or_else(|| SignerError::other("there is no access CA yet; import the hand-over first"))?;
        let grpc = &signer.config.grpc;
        let config = server_config(&grpc.server_key, &grpc.server_cert, access.certificate())?;
        let mut http = config.clone();
        http.alpn_protocols = vec![b"http/1.1".to_vec()];
        self.0.store(Some(Arc::new(Settings {
            grpc: Arc::new(config),
            http: Arc::new(http),
        })));
        Ok(())
    }
}

fn server_config(key: &Path, certificate: &Path, access_ca: &[u8]) -> Result<ServerConfig, SignerError> {
    let bad = |path: &Path, why: &dyn std::fmt::Display| SignerError::Tls(format!("{}: {why}", path.display()));
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| bad(certificate, &e))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| bad(key, &e))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    // The anchor is that CA's certificate alone, never the root: no other CA of ours makes callers.
    let mut anchors = RootCertStore::empty();
    anchors
        .add(CertificateDer::from(access_ca.to_vec()))
        .map_err(|e| SignerError::Tls(format!("the access CA's certificate: {e}")))?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider.clone())
        .build()
        .map_err(|e| SignerError::Tls(e.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| SignerError::Tls(e.to_string()))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, private)
        .map_err(|e| bad(certificate, &e))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Without tickets every connection shows a certificate that is judged now.
    config.send_tls13_tickets = 0;
    Ok(config)
}
