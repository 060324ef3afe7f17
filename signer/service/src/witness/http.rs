//! A small HTTP client for machines of other people: one kept-alive connection, everything bounded.

use std::path::Path;
use std::sync::Arc;

use axum::http::uri::{PathAndQuery, Scheme};
use axum::http::{Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::SignerError;

/// The most bytes of response headers that are read.
const MAX_HEADERS: usize = 16 * 1024;

/// Where somebody listens: `http://` or `https://`, a host, a path without query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    host: String,
    port: u16,
    tls: bool,
    path: String,
}

impl std::str::FromStr for Url {
    type Err = stele_core::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || {
            stele_core::Error::malformed(
                "url",
                format!("`{}`", text.escape_debug()),
                "http(s)://HOST[:PORT][/PATH]",
            )
        };
        let uri: Uri = text.parse().map_err(|_| bad())?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(bad()),
        };
        let authority = uri.authority().ok_or_else(bad)?;
        if uri.query().is_some()
            || text.contains('#')
            || authority.as_str().contains('@')
            || authority.host().is_empty()
        {
            return Err(bad());
        }
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl<'de> serde::Deserialize<'de> for Url {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The content type.
    pub(crate) content_type: Option<String>,
    /// The body, within the bound.
    pub(crate) body: Vec<u8>,
}

/// The anchors for `https`: those of the file, or the machine's.
///
/// # Errors
/// When they cannot be read, or there are none.
pub(crate) fn tls_config(anchors: Option<&Path>) -> Result<Arc<ClientConfig>, SignerError> {
    let mut roots = RootCertStore::empty();
    match anchors {
        Some(path) => {
            let bad =
                |e: &dyn std::fmt::Display| SignerError::Tls(format!("witnessing.ca_file: {}: {e}", path.display()));
            let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            for certificate in read.map_err(|e| bad(&e))? {
                roots.add(certificate).map_err(|e| bad(&e))?;
            }
            if roots.is_empty() {
                return Err(bad(&"holds no certificate"));
            }
        }
        // A machine without anchors can still reach witnesses over plain HTTP: cosignatures need no TLS to be believed.
        None => {
            let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| SignerError::Tls(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// One server.
#[derive(Debug)]
pub(crate) struct Http {
    url: Url,
    tls: Arc<ClientConfig>,
    limit: usize,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Http {
    /// A client of `url` that reads bodies of at most `limit` bytes. Nothing is connected before the first request.
    pub(crate) const fn new(url: Url, tls: Arc<ClientConfig>, limit: usize) -> Self {
        Self {
            url,
            tls,
            limit,
            connection: None,
        }
    }

    /// Sends a request for the path below the URL's. The caller bounds the time: dropping the future closes the
    /// connection.
    ///
    /// # Errors
    /// In words, when there is no whole answer within the bounds.
    pub(crate) async fn send(&mut self, method: Method, below: &str, body: String) -> Result<Reply, String> {
        let body = Bytes::from(body);
        if let Some(kept) = self.connection.take().filter(|kept| !kept.is_closed())
            && let Ok(reply) = self.exchange(kept, &method, below, &body).await
        {
            return Ok(reply);
        }
        // A kept connection may have been closed at the other end at any moment; once anew.
        let fresh = self.connect().await?;
        self.exchange(fresh, &method, below, &body).await
    }

    async fn exchange(
        &mut self,
        mut connection: SendRequest<Full<Bytes>>,
        method: &Method,
        below: &str,
        body: &Bytes,
    ) -> Result<Reply, String> {
        let request = self.request(method, below, body)?;
        connection.ready().await.map_err(|e| e.to_string())?;
        let response = connection.send_request(request).await.map_err(|e| e.to_string())?;
        let status = response.status().as_u16();
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|v| v.to_str().ok()).map(str::to_owned);
        let body = Limited::new(response.into_body(), self.limit).collect().await;
        let body = body.map_err(|e| format!("body: {e}; at most {} bytes are read", self.limit))?;
        self.connection = Some(connection);
        Ok(Reply {
            status,
            content_type,
            body: body.to_bytes().to_vec(),
        })
    }

    fn request(&self, method: &Method, below: &str, body: &Bytes) -> Result<Request<Full<Bytes>>, String> {
        let path: PathAndQuery = match format!("{}{below}", self.url.path).as_str() {
            "" => PathAndQuery::from_static("/"),
            path => path.parse().map_err(|_| format!("`{path}` is no path"))?,
        };
        let host = if self.url.host.contains(':') {
            format!("[{}]:{}", self.url.host, self.url.port)
        } else {
            format!("{}:{}", self.url.host, self.url.port)
        };
        Request::builder()
            .method(method)
            .uri(Uri::from(path))
            .header(header::HOST, host)
            .header(header::USER_AGENT, concat!("stele-signer/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body.clone()))
            .map_err(|e| e.to_string())
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let Url { host, port, tls, .. } = &self.url;
        let tcp = TcpStream::connect((host.as_str(), *port))
            .await
            .map_err(|e| format!("connect to {host}:{port}: {e}"))?;
        let _ = tcp.set_nodelay(true);
        if !tls {
            return handshake(TokioIo::new(tcp)).await;
        }
        let name = ServerName::try_from(host.clone()).map_err(|e| format!("{host}: {e}"))?;
        let tls = TlsConnector::from(self.tls.clone()).connect(name, tcp).await;
        handshake(TokioIo::new(tls.map_err(|e| format!("TLS with {host}:{port}: {e}"))?)).await
    }
}

async fn handshake<T>(io: T) -> Result<SendRequest<Full<Bytes>>, String>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEADERS)
        .handshake(io)
        .await
        .map_err(|e| e.to_string())?;
    tokio::spawn(async move {
        // Its error is the request's, which reports it.
        let _ = connection.await;
    });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_strictly() {
        let url: Url = "https://witness.example/prefix/".parse().unwrap();
        assert_eq!((url.host.as_str(), url.port, url.tls), ("witness.example", 443, true));
        assert_eq!(url.path, "/prefix");
        let url: Url = "http://[::1]:8080".parse().unwrap();
        assert_eq!((url.host.as_str(), url.port, url.path.as_str()), ("::1", 8080, ""));
        for bad in [
            "",
            "witness.example",
            "ftp://a/",
            "https://",
            "https://a/?q",
            "https://a/#f",
            "https://u@a/",
            "/path",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }
}
