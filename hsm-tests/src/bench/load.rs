//! Callers that ask again as soon as they have their answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rcgen::SanType;
use stele_api::v1::sign_response::Result::Issued;
use stele_api::v1::signing_service_client::SigningServiceClient;
use tonic::transport::Channel;

use super::Fallible;
use super::clients::{Credentials, csr, request};

/// How long callers are at work before the measurement begins.
const WARM_UP: Duration = Duration::from_millis(500);

/// What a measurement found.
pub(super) struct Measured {
    /// Answers per second.
    pub(super) per_second: f64,
    /// Half of the answers came within this time.
    pub(super) p50: Duration,
    /// All but one in a hundred came within this time.
    pub(super) p99: Duration,
}

/// Lets so many callers, each on a connection of its own, ask `server` for certificates under `profile`.
pub(super) async fn measure(
    credentials: &Credentials,
    server: SocketAddr,
    profile: &'static str,
    callers: usize,
    span: Duration,
) -> Fallible<Measured> {
    let mut connections = Vec::new();
    for _ in 0..callers {
        connections.push(credentials.connect(server).await?);
    }
    let from = Instant::now() + WARM_UP;
    let callers: Vec<_> = connections
        .into_iter()
        .map(|connection| tokio::spawn(ask(connection, profile, from, from + span)))
        .collect();
    let mut latencies = Vec::new();
    for caller in callers {
        latencies.append(&mut caller.await??);
    }
    latencies.sort_unstable();
    let within = |percent: usize| {
        let at = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies.get(at).copied().ok_or("no answer came within the time")
    };
    Ok(Measured {
        per_second: latencies.len() as f64 / span.as_secs_f64(),
        p50: within(50)?,
        p99: within(99)?,
    })
}

/// One caller's latencies of the answers that came between `from` and `until`.
async fn ask(
    mut connection: SigningServiceClient<Channel>,
    profile: &'static str,
    from: Instant,
    until: Instant,
) -> Fallible<Vec<Duration>> {
    /// Request ids, never twice in a run.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = SanType::DnsName("web.default.svc.cluster.local".try_into()?);
    let (_, pkcs10) = csr(vec![name])?;
    let mut latencies = Vec::new();
    loop {
        let id = format!("bench:{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let began = Instant::now();
        let answer = connection.sign(request(profile, id, &pkcs10)).await?.into_inner();
        let ended = Instant::now();
        if !matches!(answer.result, Some(Issued(_))) {
            return Err("an answer without a certificate".into());
        }
        match ended {
            _ if ended > until => return Ok(latencies),
            _ if ended > from => latencies.push(ended - began),
            _ => {}
        }
    }
}
