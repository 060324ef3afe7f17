//! The daemon's life: start, serve, drain, end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stele_core::door::Steps;
use stele_core::keeping::Keeper as _;
use stele_core::record::{Body, Process};
use stele_core::types::{Digest, hex};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use crate::authorise::Authorise;
use crate::config::{Config, Limits, duration};
use crate::connection::accept;
use crate::doors::Doors;
use crate::error::SignerError;
use crate::floods::Which;
use crate::handlers::{self, Handlers};
use crate::http;
use crate::keeper_child::KeeperChild;
use crate::local;
use crate::signer::Signer;
use crate::tiles;
use crate::tls::{Protocol, Tls};
use crate::witness;
use crate::workers;

/// How long open connections may take to end.
const DRAIN: Duration = Duration::from_secs(30);
/// Threads for plain HTTP.
const PLAIN_DOORS: usize = 4;
/// Plain requests that wait for one.
const PLAIN_WAITING: usize = 64;
/// The name of this process in records.
const PROCESS: &str = "signer";

/// Runs until told to end.
///
/// # Errors
/// When it cannot start, or a listener fails.
pub(crate) fn run(config: Config, digest: Digest, steps: Arc<dyn Steps + Send + Sync>) -> Result<(), SignerError> {
    let child = KeeperChild::start(&config.keeper)?;
    let signer = Arc::new(Signer::open(config, steps)?);
    let instance = hex(&signer.keeper.random::<8>()?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| SignerError::other(e.to_string()))?;
    runtime.block_on(witness::refuse_rolled_back(&signer))?;
    signer.append(&Body::Started(process(&instance, digest.to_string())))?;
    let served = runtime.block_on(serve(signer.clone()));
    runtime.shutdown_timeout(Duration::from_secs(5));
    let why = match &served {
        Ok(()) => "told to end".to_owned(),
        Err(error) => error.to_string().chars().take(200).collect(),
    };
    if let Err(error) = signer.record_floods(Which::All) {
        tracing::error!(%error, "counted refusals could not be recorded");
    }
    if let Err(error) = signer.keeper.append(&Body::Stopped(process(&instance, why))) {
        tracing::error!(%error, "the end could not be recorded");
    }
    if let Some(child) = child {
        child.end();
    }
    served
}

fn process(instance: &str, detail: String) -> Process {
    Process {
        process: PROCESS.to_owned(),
        instance: instance.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        detail,
    }
}

async fn serve(signer: Arc<Signer>) -> Result<(), SignerError> {
    let config = signer.config.clone();
    let doors = Doors::new(&config.limits);
    let handlers = Handlers {
        signer: signer.clone(),
        doors: doors.clone(),
    };
    let (end, ending) = watch::channel(false);
    let local = local::listen(&config.local.socket)?;
    let local = tokio::spawn(local::serve(handlers.clone(), local));
    let mut plain = Vec::new();
    // Anybody may ask over plain HTTP, so that has few threads of its own and takes none from signing.
    let public = Handlers {
        signer: signer.clone(),
        doors: Doors::new(&Limits {
            doors: PLAIN_DOORS,
            waiting: PLAIN_WAITING,
            ..config.limits
        }),
    };
    let tls = Arc::new(Tls::default());
    prepare_tls(&signer, &tls).await;
    if let Some(http) = config.http {
        let listener = bind(http.listen).await?;
        plain.push(tokio::spawn(http::serve(public.clone(), listener, ending.clone())));
    }
    if let Some(config) = config.tiles {
        let listener = bind(config.listen).await?;
        plain.push(if config.open {
            tracing::warn!(listen = %config.listen, "everybody who reaches this port may read the ledger");
            tokio::spawn(tiles::serve_open(public.clone(), listener, ending.clone()))
        } else {
            tokio::spawn(tiles::serve(public.clone(), tls.clone(), listener, ending.clone()))
        });
    }
    let (reporter, health) = tonic_health::server::health_reporter();
    let workers = tokio::spawn(workers::run(signer.clone(), tls.clone(), reporter));
    let listener = bind(config.grpc.listen).await?;
    let mut ended = ending.clone();
    let grpc = server(&config)
        .layer(Authorise(signer.clone()))
        .add_routes(handlers::routes(&handlers))
        .add_service(health)
        .add_service(reflection_v1()?)
        .add_service(reflection_v1alpha()?)
        .serve_with_incoming_shutdown(
            ReceiverStream::new(accept(signer.clone(), tls.clone(), Protocol::Grpc, listener)),
            async move {
                let _ = ended.wait_for(|ending| *ending).await;
            },
        );
    let grpc = tokio::spawn(grpc);
    tracing::info!(origin = %signer.origin, records = *signer.indexed.borrow(), grpc = %config.grpc.listen, "serving");

    until_told(&signer, &tls).await?;
    tracing::info!("draining");
    workers.abort();
    local.abort();
    let _ = std::fs::remove_file(&config.local.socket);
    let _ = end.send(true);
    let served = tokio::time::timeout(DRAIN, grpc).await;
    for port in plain {
        let _ = tokio::time::timeout(Duration::from_secs(1), port).await;
    }
    let _ = tokio::time::timeout(DRAIN, doors.drained(&config.limits)).await;
    match served {
        Ok(Ok(Err(error))) => Err(SignerError::other(error.to_string())),
        Ok(_) => Ok(()),
        Err(_) => {
            tracing::warn!("connections were still open and are closed");
            Ok(())
        }
    }
}

/// Makes the first certificate before anybody can connect. Before the import, or when it fails, the worker tries again.
async fn prepare_tls(signer: &Arc<Signer>, tls: &Arc<Tls>) {
    let (signer, tls) = (signer.clone(), tls.clone());
    let prepare = move || {
        if signer.snapshot.load().access_ca().is_none() {
            tracing::warn!("nothing is imported yet: gRPC turns everybody away until `stele-signer import` is done");
            return Ok(());
        }
        signer.ensure_server_cert().and_then(|_| tls.reload(&signer))
    };
    match tokio::task::spawn_blocking(prepare).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the server has no certificate yet"),
        Err(error) => tracing::error!(%error, "a thread ended early"),
    }
}

/// Waits for the signal to end; meanwhile SIGHUP loads the server's certificate again.
async fn until_told(signer: &Arc<Signer>, tls: &Arc<Tls>) -> Result<(), SignerError> {
    let failed = |e: std::io::Error| SignerError::other(e.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => {
                let (signer, tls) = (signer.clone(), tls.clone());
                let reloaded = tokio::task::spawn_blocking(move || tls.reload(&signer)).await;
                match reloaded {
                    Ok(Ok(())) => tracing::info!("the server's certificate is loaded again"),
                    Ok(Err(error)) => tracing::error!(%error, "not loaded again; the old state stays"),
                    Err(error) => tracing::error!(%error, "a thread ended early"),
                }
            }
        }
    }
}

fn server(config: &Config) -> Server {
    Server::builder()
        .max_connection_age(duration(config.grpc.connection_age))
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .max_concurrent_streams(256)
}

async fn bind(address: SocketAddr) -> Result<TcpListener, SignerError> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| SignerError::other(format!("listen: {address}: {cause}")))
}

/// The contract and the health service, described for clients without the proto files.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(stele_api::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

fn reflection_v1() -> Result<
    tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection>,
    SignerError,
> {
    reflection().build_v1().map_err(|e| SignerError::other(e.to_string()))
}

/// grpcurl and other older clients ask for this version.
fn reflection_v1alpha() -> Result<
    tonic_reflection::server::v1alpha::ServerReflectionServer<impl tonic_reflection::server::v1alpha::ServerReflection>,
    SignerError,
> {
    reflection()
        .build_v1alpha()
        .map_err(|e| SignerError::other(e.to_string()))
}
