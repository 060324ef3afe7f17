//! Plain HTTP, for what everybody may read: CRLs, CA certificates, health, metrics. Tiles have a port of their own.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::error::SignerError;
use crate::handlers::Handlers;
use crate::signer::Signer;

/// A tile never changes; a partial one has its width in its path.
pub(crate) const FOREVER: &str = "public, max-age=31536000, immutable";
/// A CRL is looked at again soon after a revocation.
const SHORTLY: &str = "public, max-age=60";
/// A checkpoint or a state of health is as of now.
pub(crate) const NEVER: &str = "no-store";

/// What a path is answered with.
pub(crate) struct Page {
    pub(crate) kind: &'static str,
    pub(crate) caching: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// Serves until `ending` says so.
pub(crate) async fn serve(
    handlers: Handlers,
    listener: TcpListener,
    mut ending: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let router = Router::new().fallback(move |method: Method, uri: Uri| {
        let handlers = handlers.clone();
        async move {
            if uri.path() == "/healthz" {
                return plain(StatusCode::OK, "alive\n");
            }
            respond(&handlers, public, &method, uri.path()).await
        }
    });
    let ended = async move {
        let _ = ending.wait_for(|ending| *ending).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(ended).await
}

/// What a port serves at a path, if anything.
pub(crate) type Pages = fn(&Signer, &str) -> Result<Option<Page>, SignerError>;

/// Answers a request from `pages`, on a thread that may block.
pub(crate) async fn respond(handlers: &Handlers, pages: Pages, method: &Method, path: &str) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    }
    let path = path.to_owned();
    let signer: Arc<Signer> = handlers.signer.clone();
    let found = handlers.doors.pass(&signer, move |signer| Ok(pages(signer, &path)));
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

fn public(signer: &Signer, path: &str) -> Result<Option<Page>, SignerError> {
    if path == "/readyz" {
        signer.ready()?;
        return Ok(Some(text("ready\n".to_owned())));
    }
    if path == "/metrics" {
        let counters = signer.metrics.text(*signer.indexed.borrow());
        return Ok(Some(text(counters + &signer.witnesses.metrics())));
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

pub(crate) fn plain(status: StatusCode, content: &'static str) -> Response<Body> {
    let mut response = with_page(text(content.to_owned()));
    *response.status_mut() = status;
    response
}
