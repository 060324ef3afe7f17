//! TLS 1.3 with a client certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::settings::{Server, Settings, required};
use crate::error::CliError;
use crate::files;

/// The TLS settings: TLS 1.3 only, HTTP/2 only.
pub(super) fn client_config(settings: &Settings) -> Result<ClientConfig, CliError> {
    let ca = required("ca", settings.ca.as_ref())?;
    let certificate = required("cert", settings.cert.as_ref())?;
    let key = required("key", settings.key.as_ref())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| CliError::Defect(e.to_string()))?
        .with_root_certificates(anchors(ca)?)
        .with_client_auth_cert(chain(certificate)?, private_key(key)?)
        .map_err(|e| CliError::Usage(format!("{} with {}: {e}", certificate.display(), key.display())))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// The name that the server's certificate must have.
pub(super) fn server_name(settings: &Settings, server: &Server) -> Result<ServerName<'static>, CliError> {
    let name = settings.server_name.clone().unwrap_or_else(|| server.host.clone());
    let bad = format!("server-name: found `{name}`; permitted: a DNS name or an IP address");
    ServerName::try_from(name).map_err(|_| CliError::Usage(bad))
}

/// The access CA as a trust anchor of its own (RFC 5280 section 6.1.1 (d)): nothing above it can vouch for a server.
fn anchors(path: &Path) -> Result<RootCertStore, CliError> {
    let mut store = RootCertStore::empty();
    for der in files::read_certificates(path)? {
        store
            .add(CertificateDer::from(der))
            .map_err(|e| CliError::content(path, e))?;
    }
    Ok(store)
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CliError> {
    Ok(files::read_certificates(path)?
        .into_iter()
        .map(CertificateDer::from)
        .collect())
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, CliError> {
    PrivateKeyDer::from_pem_slice(&files::read(path)?).map_err(|e| CliError::content(path, e))
}
