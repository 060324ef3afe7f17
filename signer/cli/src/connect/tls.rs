//! TLS 1.3 with a client certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::settings::{Server, Settings, required};
use crate::error::CliError;
use crate::files;

/// The TLS settings for gRPC: TLS 1.3 only, HTTP/2 only, a client certificate.
pub(super) fn client_config(settings: &Settings) -> Result<ClientConfig, CliError> {
    required("cert", settings.cert.as_ref())?;
    config(settings, b"h2")
}

/// The TLS settings for tiles on `host`: TLS 1.3 only, HTTP/1.1; a client certificate where one is set, since a log may
/// also be open to everybody.
pub(crate) fn web_tls(settings: &Settings, host: &str) -> Result<(ClientConfig, ServerName<'static>), CliError> {
    Ok((config(settings, b"http/1.1")?, name(settings, host)?))
}

fn config(settings: &Settings, protocol: &[u8]) -> Result<ClientConfig, CliError> {
    let ca = required("ca", settings.ca.as_ref())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| CliError::Defect(e.to_string()))?
        .with_root_certificates(anchors(ca)?);
    let mut config = match &settings.cert {
        None => builder.with_no_client_auth(),
        Some(certificate) => {
            let key = required("key", settings.key.as_ref())?;
            builder
                .with_client_auth_cert(chain(certificate)?, private_key(key)?)
                .map_err(|e| CliError::Usage(format!("{} with {}: {e}", certificate.display(), key.display())))?
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

/// The name that the server's certificate must have.
pub(super) fn server_name(settings: &Settings, server: &Server) -> Result<ServerName<'static>, CliError> {
    name(settings, &server.host)
}

fn name(settings: &Settings, host: &str) -> Result<ServerName<'static>, CliError> {
    let name = settings.server_name.clone().unwrap_or_else(|| host.to_owned());
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
