//! Accepted connections: a task and a time limit for each handshake, so that a silent client holds up nobody.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::config::duration;
use crate::identity::Peer;
use crate::signer::Signer;
use crate::tls::{Protocol, Tls};

/// Handshakes that are done and wait to be served.
const READY: usize = 64;

/// A connection whose client is known by its certificate.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// Who is at the other end.
    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Accepts connections until the receiver is dropped.
pub(crate) fn accept(
    signer: Arc<Signer>,
    tls: Arc<Tls>,
    protocol: Protocol,
    listener: TcpListener,
) -> mpsc::Receiver<io::Result<Connection>> {
    let (ready, receiver) = mpsc::channel(READY);
    let places = Arc::new(Semaphore::new(signer.config.limits.connections));
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = ready.closed() => return,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, mostly: it passes, and spinning would not help it.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                signer.metrics.turned_away.add();
                continue;
            };
            let config = tls.current(protocol);
            tokio::spawn(handshake(signer.clone(), config, stream, place, ready.clone()));
        }
    });
    receiver
}

async fn handshake(
    signer: Arc<Signer>,
    config: Option<Arc<ServerConfig>>,
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    let address = stream.peer_addr().ok();
    // Before the hand-over is imported there is no certificate to show.
    let Some(config) = config else { return };
    let _ = stream.set_nodelay(true);
    let patience = duration(signer.config.grpc.handshake_timeout);
    let stream = match tokio::time::timeout(patience, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            signer.metrics.handshakes_failed.add();
            tracing::info!(?address, %error, "a TLS handshake failed");
            return;
        }
        Err(_) => {
            signer.metrics.handshakes_failed.add();
            tracing::info!(?address, "a TLS handshake took too long");
            return;
        }
    };
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    let Some(certificate) = certificate else { return };
    let peer = Peer::new(certificate, address);
    let connection = Connection {
        stream,
        peer,
        _place: place,
    };
    let _ = ready.send(Ok(connection)).await;
}
