//! The log as static tiles (C2SP tlog-tiles), computed when asked for, on a port of their own: for callers who may read
//! the ledger, by their client certificates; for everybody only where the configuration says so.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::extract::connect_info::Connected;
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use axum::serve::{IncomingStream, Listener};
use stele_core::Error;
use stele_core::checkpoint::TilePath;
use stele_core::checkpoint::tile::{TileKind, encode_bundle};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::authorise::{self, TILES};
use crate::config::duration;
use crate::connection::{Connection, accept};
use crate::error::SignerError;
use crate::handlers::Handlers;
use crate::http::{FOREVER, NEVER, Page, plain, respond};
use crate::identity::Peer;
use crate::signer::Signer;
use crate::tls::{Protocol, Tls};

/// Serves tiles to whoever asks, over plain HTTP, until `ending` says so.
pub(crate) async fn serve_open(
    handlers: Handlers,
    listener: TcpListener,
    mut ending: watch::Receiver<bool>,
) -> io::Result<()> {
    let router = Router::new().fallback(move |method: Method, uri: Uri| {
        let handlers = handlers.clone();
        async move { respond(&handlers, page, &method, uri.path()).await }
    });
    let ended = async move {
        let _ = ending.wait_for(|ending| *ending).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(ended).await
}

/// Serves tiles over TLS to callers who may read the ledger, until `ending` says so.
pub(crate) async fn serve(
    handlers: Handlers,
    tls: Arc<Tls>,
    listener: TcpListener,
    mut ending: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = Auditors {
        address: listener.local_addr()?,
        ready: accept(handlers.signer.clone(), tls, Protocol::Http, listener),
    };
    let router = Router::new().fallback(
        move |ConnectInfo(auditor): ConnectInfo<Auditor>, method: Method, uri: Uri| {
            let handlers = handlers.clone();
            async move { admitted(&handlers, auditor, &method, uri.path()).await }
        },
    );
    let ended = async move {
        let _ = ending.wait_for(|ending| *ending).await;
    };
    let service = router.into_make_service_with_connect_info::<Auditor>();
    axum::serve(listener, service).with_graceful_shutdown(ended).await
}

/// Every request is judged by the bundle that is in force when it comes.
async fn admitted(handlers: &Handlers, auditor: Auditor, method: &Method, path: &str) -> Response<Body> {
    let signer = handlers.signer.clone();
    let mut response = match authorise::judge(signer.clone(), auditor.peer, TILES.to_owned()).await {
        Ok(_) => respond(handlers, page, method, path).await,
        Err(_) => plain(
            StatusCode::FORBIDDEN,
            "your client certificate may not read the ledger: the authority bundle decides that by roles\n",
        ),
    };
    // A connection does not outlive the look at its certificate by much.
    if auditor.since.elapsed() > duration(signer.config.grpc.connection_age) {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Who is at the other end, and since when.
#[derive(Clone)]
struct Auditor {
    peer: Peer,
    since: Instant,
}

impl Connected<IncomingStream<'_, Auditors>> for Auditor {
    fn connect_info(stream: IncomingStream<'_, Auditors>) -> Self {
        Self {
            peer: stream.io().peer().clone(),
            since: Instant::now(),
        }
    }
}

/// Connections whose handshake is done.
struct Auditors {
    address: SocketAddr,
    ready: mpsc::Receiver<io::Result<Connection>>,
}

impl Listener for Auditors {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.ready.recv().await {
                Some(Ok(connection)) => {
                    let address = connection.peer().address.unwrap_or(self.address);
                    return (connection, address);
                }
                Some(Err(_)) => {}
                // Nobody accepts any more; the server is told to end elsewhere.
                None => std::future::pending().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

fn page(signer: &Signer, path: &str) -> Result<Option<Page>, SignerError> {
    if path == "/checkpoint" {
        let note = signer.keeper.published()?;
        return Ok(Some(Page {
            kind: "text/plain; charset=utf-8",
            caching: NEVER,
            bytes: note.into_bytes(),
        }));
    }
    let Some(path) = path.strip_prefix('/').filter(|p| p.starts_with("tile/")) else {
        return Ok(None);
    };
    match read(signer, path) {
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

/// The bytes of a tile or entry bundle.
///
/// # Errors
/// When the path is none, or the log does not have the tile.
fn read(signer: &Signer, path: &str) -> Result<Vec<u8>, SignerError> {
    let path: TilePath = path.parse()?;
    match path.kind() {
        TileKind::Hashes(level) => Ok(signer.keeper.tile(level, path.index(), path.width())?),
        TileKind::Entries => Ok(encode_bundle(&entries(signer, &path)?)?),
    }
}

fn entries(signer: &Signer, path: &TilePath) -> Result<Vec<Vec<u8>>, SignerError> {
    let width = usize::from(path.width());
    let mut entries = Vec::with_capacity(width);
    // The keeper cuts a page by its size, so it may take several.
    while entries.len() < width {
        let start = path.start().saturating_add(entries.len() as u64);
        let count = u32::try_from(width - entries.len()).unwrap_or(1);
        let page = signer.keeper.entries(start, count)?;
        if page.is_empty() {
            let found = format!("{} entries", entries.len());
            return Err(Error::malformed(path.to_string(), found, "a tile of the log").into());
        }
        entries.extend(page);
    }
    Ok(entries)
}
