//! Callers that ask again as soon as they have their answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rcgen::SanType;
use stele_api::v1::sign_response::Result::Issued;
use stele_api::v1::signing_service_client::SigningServiceClient;
use tonic::transport::Channel;

use super::Fallible;
use super::clients::{Credentials, csr, request};
use super::process::processor_time;

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
    /// Processor time for each answer, the callers' included. Unlike the others it hardly depends on what else the
    /// machine does.
    pub(super) processor: Duration,
}

/// Lets so many callers, each on a connection of its own, ask `server` for certificates under `profile`. The server
/// is in this process, or in `others`.
pub(super) async fn measure(
    credentials: &Credentials,
    server: SocketAddr,
    others: &[u32],
    profile: &'static str,
    callers: usize,
    span: Duration,
) -> Fallible<Measured> {
    let processes: Vec<u32> = others.iter().copied().chain([std::process::id()]).collect();
    let mut connections = Vec::new();
    for _ in 0..callers {
        connections.push(Caller::new(credentials.connect(server).await?, profile)?);
    }
    let from = Instant::now() + WARM_UP;
    let callers: Vec<_> = connections
        .into_iter()
        .map(|caller| tokio::spawn(ask(caller, from, from + span)))
        .collect();
    tokio::time::sleep_until(from.into()).await;
    let before = processor_time(&processes)?;
    tokio::time::sleep_until((from + span).into()).await;
    let used = processor_time(&processes)?.saturating_sub(before);
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
        processor: used / u32::try_from(latencies.len())?.max(1),
    })
}

/// Lets so many callers ask until they have `count` certificates together.
pub(super) async fn issue(
    credentials: &Credentials,
    server: SocketAddr,
    profile: &'static str,
    callers: usize,
    count: u64,
) -> Fallible<()> {
    let left = Arc::new(AtomicU64::new(count));
    let mut tasks = Vec::new();
    for _ in 0..callers {
        let (mut caller, left) = (Caller::new(credentials.connect(server).await?, profile)?, left.clone());
        tasks.push(tokio::spawn(async move {
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok()
            {
                caller.ask().await?;
            }
            Fallible::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// A connection, and what is asked over it.
struct Caller {
    connection: SigningServiceClient<Channel>,
    profile: &'static str,
    pkcs10: Vec<u8>,
}

impl Caller {
    fn new(connection: SigningServiceClient<Channel>, profile: &'static str) -> Fallible<Self> {
        let name = SanType::DnsName("web.default.svc.cluster.local".try_into()?);
        let (_, pkcs10) = csr(vec![name])?;
        Ok(Self {
            connection,
            profile,
            pkcs10,
        })
    }

    /// One certificate.
    async fn ask(&mut self) -> Fallible<()> {
        /// Request ids, never twice in a run.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let id = format!("bench:{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let asked = self.connection.sign(request(self.profile, id, &self.pkcs10));
        match asked.await?.into_inner().result {
            Some(Issued(_)) => Ok(()),
            _ => Err("an answer without a certificate".into()),
        }
    }
}

/// One caller's latencies of the answers that came between `from` and `until`.
async fn ask(mut caller: Caller, from: Instant, until: Instant) -> Fallible<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let began = Instant::now();
        caller.ask().await?;
        let ended = Instant::now();
        match ended {
            _ if ended > until => return Ok(latencies),
            _ if ended > from => latencies.push(ended - began),
            _ => {}
        }
    }
}
