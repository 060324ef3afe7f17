//! A log's tiles over HTTP/1.1: plain, or over TLS 1.3 with the client certificate that the connection options name.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;

use super::MAX_NOTE;
use crate::connect::{Settings, web_tls};
use crate::error::CliError;

type Sender = SendRequest<Empty<Bytes>>;
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A server with a log.
pub(in crate::commands::audit) struct Web {
    /// The newest checkpoint's note.
    pub(super) note: String,
    base: String,
    uri: Uri,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    patience: Duration,
    /// Connections that wait for their next request.
    idle: Mutex<Vec<Sender>>,
    runtime: Handle,
}

impl Web {
    /// Connects and fetches the checkpoint.
    ///
    /// # Errors
    /// When the URL is none, the server is not reached, or has no checkpoint.
    pub(super) fn open(base: &str, settings: &Settings) -> Result<Self, CliError> {
        let bad = || {
            CliError::Usage(format!(
                "found `{base}`; permitted: http://HOST[:PORT][/PATH] or https://..."
            ))
        };
        let uri: Uri = base.parse().map_err(|_| bad())?;
        let host = uri
            .host()
            .ok_or_else(bad)?
            .trim_start_matches('[')
            .trim_end_matches(']');
        let tls = match uri.scheme_str() {
            Some("https") => {
                let (config, name) = web_tls(settings, host)?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
            _ => None,
        };
        let mut web = Self {
            note: String::new(),
            base: base.to_owned(),
            uri: uri.clone(),
            tls,
            patience: Duration::from_secs(settings.timeout_secs()),
            idle: Mutex::new(Vec::new()),
            runtime: Handle::try_current().map_err(|e| CliError::Defect(e.to_string()))?,
        };
        let note = web.get("checkpoint", MAX_NOTE)?;
        let note = note.ok_or_else(|| CliError::Refused(format!("{base} has no checkpoint: it is no log")))?;
        web.note = String::from_utf8(note)
            .map_err(|_| CliError::Refused(format!("{base}/checkpoint: found bytes that are not UTF-8")))?;
        Ok(web)
    }

    /// What is at a path; `None` for 404 (Not Found).
    ///
    /// # Errors
    /// When the server is not reached, or answers with another status or with more than `most` bytes.
    pub(super) fn get(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>, CliError> {
        // The timer belongs to the runtime, so it is made in there.
        let fetch = async { tokio::time::timeout(self.patience, self.fetch(path, most)).await };
        // On a thread of the runtime this makes room for another; on one of our own it does nothing.
        let fetched = tokio::task::block_in_place(|| self.runtime.block_on(fetch));
        let failed = |why: &dyn std::fmt::Display| CliError::Unavailable(format!("{}/{path}: {why}", self.base));
        let (status, bytes) = fetched
            .map_err(|_| failed(&"no answer in time"))?
            .map_err(|e| failed(&e))?;
        match status {
            StatusCode::OK => Ok(Some(bytes)),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let why = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                Err(CliError::Refused(format!(
                    "{}/{path}: the server answers {status}: {why}",
                    self.base
                )))
            }
            other => Err(failed(&format!("the server answers {other}"))),
        }
    }

    async fn fetch(&self, path: &str, most: u64) -> Result<(StatusCode, Vec<u8>), Cause> {
        // A server may have closed a connection that waited; a new one then tells.
        let waiting = self.idle().pop();
        if let Some(waiting) = waiting
            && let Ok(answer) = self.exchange(waiting, path, most).await
        {
            return Ok(answer);
        }
        self.exchange(self.connect().await?, path, most).await
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Sender, Cause> {
        let host = self.uri.host().unwrap_or_default();
        let port = self.uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let address = format!("{host}:{port}");
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => shake(tcp).await,
            Some((connector, name)) => shake(connector.connect(name.clone(), tcp).await?).await,
        }
    }

    async fn exchange(&self, mut sender: Sender, path: &str, most: u64) -> Result<(StatusCode, Vec<u8>), Cause> {
        let host = self.uri.authority().map(ToString::to_string).unwrap_or_default();
        let prefix = self.uri.path().trim_end_matches('/');
        let request = Request::get(format!("{prefix}/{path}"))
            .header("host", host)
            .header("user-agent", concat!("stele/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())?;
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), usize::try_from(most)?);
        let bytes = body.collect().await?.to_bytes().to_vec();
        self.idle().push(sender);
        Ok((status, bytes))
    }
}

async fn shake<S>(stream: S) -> Result<Sender, Cause>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
