//! Plain HTTP, for what everybody may read: CRLs, CA certificates, the log's tiles, health, metrics.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::error::SignerError;
use crate::handlers::Handlers;
use crate::signer::Signer;
use crate::tiles;
use crate::tree;

/// A tile never changes; a partial one has its width in its path.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// A CRL is looked at again soon after a revocation.
const SHORTLY: &str = "public, max-age=60";
/// A checkpoint or a state of health is as of now.
const NEVER: &str = "no-store";

/// What a port serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Serves {
    /// CRLs, CA certificates, health and metrics.
    pub(crate) public: bool,
    /// The log's tiles.
    pub(crate) tiles: bool,
}

/// What a path is answered with.
struct Page {
    kind: &'static str,
    caching: &'static str,
    bytes: Vec<u8>,
}

/// Serves until `ending` says so.
pub(crate) async fn serve(
    handlers: Handlers,
    serves: Serves,
    listener: TcpListener,
    mut ending: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let router = Router::new().fallback(move |method: Method, uri: Uri| {
        let handlers = handlers.clone();
        async move { respond(&handlers, serves, &method, uri.path()).await }
    });
    let ended = async move {
        let _ = ending.wait_for(|ending| *ending).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(ended).await
}

async fn respond(handlers: &Handlers, serves: Serves, method: &Method, path: &str) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    }
    if serves.public && path == "/healthz" {
        return plain(StatusCode::OK, "alive\n");
    }
    let path = path.to_owned();
    let signer: Arc<Signer> = handlers.signer.clone();
    let found = handlers
        .doors
        .pass(&signer, move |signer| Ok(page(signer, serves, &path)));
    match found.await {
        Ok(Ok(Some(page))) => with_page(page),
        Ok(Ok(None)) => plain(StatusCode::NOT_FOUND, "not found\n"),
        Ok(Err(error)) => {
            tracing::info!(%error, "not served");
            plain(StatusCode::SERVICE_UNAVAILABLE, "not now; the server's log says more\n")
        }
        Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "busy\n"),
    }
}

fn page(signer: &Signer, serves: Serves, path: &str) -> Result<Option<Page>, SignerError> {
    if serves.tiles
        && let Some(page) = tile(signer, path)?
    {
        return Ok(Some(page));
    }
    if serves.public { public(signer, path) } else { Ok(None) }
}

fn tile(signer: &Signer, path: &str) -> Result<Option<Page>, SignerError> {
    if path == "/checkpoint" {
        let (note, _) = tree::checkpoint(&signer.keeper)?;
        return Ok(Some(Page {
            kind: "text/plain; charset=utf-8",
            caching: NEVER,
            bytes: note.into_bytes(),
        }));
    }
    let Some(path) = path.strip_prefix('/').filter(|p| p.starts_with("tile/")) else {
        return Ok(None);
    };
    match tiles::read(signer, path) {
        Ok(bytes) => Ok(Some(Page {
            kind: "application/octet-stream",
            caching: FOREVER,
            bytes,
        })),
        // A tile that the log does not have is no fault of ours.
        Err(SignerError::Core(_) | SignerError::Keeper(stele_keeper_client::ClientError::Refused { .. })) => Ok(None),
        Err(other) => Err(other),
    }
}

fn public(signer: &Signer, path: &str) -> Result<Option<Page>, SignerError> {
    if path == "/readyz" {
        signer.ready()?;
        return Ok(Some(text("ready\n".to_owned())));
    }
    if path == "/metrics" {
        return Ok(Some(text(signer.metrics.text(*signer.indexed.borrow()))));
    }
    if let Some(name) = path.strip_prefix("/crl/").and_then(|p| p.strip_suffix(".crl")) {
        let Ok(name) = name.parse() else { return Ok(None) };
        let crl = signer.reader.crl(&name)?;
        // RFC 2585 section 4: one DER CRL, one DER certificate.
        return Ok(crl.map(|crl| Page {
            kind: "application/pkix-crl",
            caching: SHORTLY,
            bytes: crl.der,
        }));
    }
    if let Some(name) = path.strip_prefix("/ca/").and_then(|p| p.strip_suffix(".crt")) {
        let Ok(name) = name.parse() else { return Ok(None) };
        return Ok(signer.reader.ca(&name)?.map(|view| Page {
            kind: "application/pkix-cert",
            caching: SHORTLY,
            bytes: view.ca.certificate.0,
        }));
    }
    Ok(None)
}

impl Signer {
    /// Whether a certificate could be issued now.
    ///
    /// # Errors
    /// Why it could not.
    pub(crate) fn ready(&self) -> Result<(), SignerError> {
        self.snapshot.load().in_force()?;
        self.follow()?;
        match self.keeper.status()?.stopped {
            None => Ok(()),
            Some(why) => Err(SignerError::other(format!("the keeper is stopped: {why}"))),
        }
    }
}

const fn text_kind() -> &'static str {
    "text/plain; version=0.0.4; charset=utf-8"
}

fn text(content: String) -> Page {
    Page {
        kind: text_kind(),
        caching: NEVER,
        bytes: content.into_bytes(),
    }
}

fn with_page(page: Page) -> Response<Body> {
    let mut response = Response::new(Body::from(page.bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(page.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(page.caching));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn plain(status: StatusCode, content: &'static str) -> Response<Body> {
    let mut response = with_page(text(content.to_owned()));
    *response.status_mut() = status;
    response
}
