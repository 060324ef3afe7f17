//! What goes on without being asked: following the log, CRLs, the server's certificate, health.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stele_core::types::Digest;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::error::SignerError;
use crate::floods::Which;
use crate::handlers::NAMES;
use crate::signer::Signer;
use crate::tls::Tls;
use crate::witness;

/// How often the log is looked at for records that others wrote.
const FOLLOW: Duration = Duration::from_secs(1);
/// How long records may gather before the index takes them all at once.
const GATHER: Duration = Duration::from_millis(100);
/// How often CRLs are looked at without a reason.
const CRLS: Duration = Duration::from_secs(60);
/// How often counted refusals are looked at.
const FLOODS: Duration = Duration::from_secs(60);
/// How often the server's certificate is looked at.
const CERTIFICATE: Duration = Duration::from_secs(60);
/// How often health is looked at.
const HEALTH: Duration = Duration::from_secs(2);
/// In how many looks at health the token really signs, with a session key.
const PROBE_EVERY: u32 = 30;

/// Runs every worker until it is dropped.
pub(crate) async fn run(signer: Arc<Signer>, tls: Arc<Tls>, reporter: HealthReporter) {
    tokio::join!(
        follow(signer.clone()),
        crls(signer.clone()),
        certificate(signer.clone(), tls),
        floods(signer.clone()),
        witness::run(signer.clone()),
        witness::watch(signer.clone()),
        health(signer, reporter),
    );
}

/// What this process writes is taken from memory as it comes; the log is read for what others write.
async fn follow(signer: Arc<Signer>) {
    let mut told = Told::new("following the log");
    let mut looked = None;
    loop {
        let due = looked.is_none_or(|at: Instant| at.elapsed() >= FOLLOW);
        let done = match due {
            true => blocking(signer.clone(), Signer::follow).await,
            false => blocking(signer.clone(), |signer| signer.follow_heard().map(drop)).await,
        };
        if due || done.is_err() {
            told.tell(&done);
            looked = Some(Instant::now());
        }
        tokio::time::sleep(GATHER).await;
        let _ = tokio::time::timeout(FOLLOW, signer.grown.notified()).await;
    }
}

async fn crls(signer: Arc<Signer>) {
    let mut told = Told::new("signing CRLs");
    loop {
        // A key without a certificate is passed over, so before the import this does nothing.
        told.tell(&blocking(signer.clone(), Signer::sign_due_crls).await);
        let _ = tokio::time::timeout(CRLS, signer.crls_due.notified()).await;
    }
}

async fn floods(signer: Arc<Signer>) {
    let mut told = Told::new("recording counted refusals");
    loop {
        tokio::time::sleep(FLOODS).await;
        told.tell(&blocking(signer.clone(), |signer| signer.record_floods(Which::Due)).await);
    }
}

/// Renews the certificate, and loads it, and the access CA when the log has another.
async fn certificate(signer: Arc<Signer>, tls: Arc<Tls>) {
    let mut loaded: Option<Digest> = None;
    let mut indexed = signer.indexed.subscribe();
    loop {
        let (tls, before) = (tls.clone(), loaded);
        let look = move |signer: &Signer| -> Result<Option<Digest>, SignerError> {
            let snapshot = signer.snapshot.load_full();
            let Some(access) = snapshot.access_ca().map(|ca| Digest::of(ca.certificate())) else {
                return Ok(before);
            };
            let made = signer.ensure_server_cert()?;
            if made || before != Some(access) {
                tls.reload(signer)?;
                tracing::info!("the server's certificate is loaded");
            }
            Ok(Some(access))
        };
        let signer = signer.clone();
        let done = tokio::task::spawn_blocking(move || look(&signer)).await;
        match done {
            Ok(Ok(access)) => loaded = access,
            Ok(Err(error)) => tracing::error!(%error, "the server's certificate is not renewed; the old one stays"),
            Err(error) => tracing::error!(%error, "a thread ended early"),
        }
        if loaded.is_none() {
            // Before the hand-over is imported there is nothing but new records to wait for.
            let _ = tokio::time::timeout(CERTIFICATE, indexed.changed()).await;
        } else {
            tokio::time::sleep(CERTIFICATE).await;
        }
    }
}

async fn health(signer: Arc<Signer>, reporter: HealthReporter) {
    let (mut told, mut looks, mut signs) = (Told::new("being ready"), 0u32, true);
    loop {
        let mut done = blocking(signer.clone(), Signer::ready).await;
        // After an outage the next look tells, not the next regular probe, which may be a minute away.
        let probe = looks.is_multiple_of(PROBE_EVERY) || !signs;
        looks = looks.wrapping_add(1);
        if done.is_ok() && probe {
            done = blocking(signer.clone(), |signer| Ok(signer.keeper.probe()?)).await;
            signs = done.is_ok();
        }
        told.tell(&done);
        let status = if done.is_ok() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for name in NAMES.into_iter().chain([""]) {
            reporter.set_service_status(name, status).await;
        }
        tokio::time::sleep(HEALTH).await;
    }
}

/// Runs blocking work on a thread.
async fn blocking(signer: Arc<Signer>, work: fn(&Signer) -> Result<(), SignerError>) -> Result<(), SignerError> {
    tokio::task::spawn_blocking(move || work(&signer))
        .await
        .unwrap_or_else(|error| Err(SignerError::other(format!("a thread ended early: {error}"))))
}

/// Says a failure once, not at every turn while it lasts, and that it is over.
struct Told {
    what: &'static str,
    well: bool,
}

impl Told {
    const fn new(what: &'static str) -> Self {
        Self { what, well: true }
    }

    fn tell(&mut self, done: &Result<(), SignerError>) {
        match done {
            Err(error) if self.well => tracing::warn!(%error, "{} fails", self.what),
            Ok(()) if !self.well => tracing::info!("{} works again", self.what),
            _ => {}
        }
        self.well = done.is_ok();
    }
}
