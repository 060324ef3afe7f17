//! Witnesses: they cosign the log's checkpoints, so that nobody can be shown another history.
//!
//! The worker in [`round`] asks them; [`ask`] is one asking. The keeper judges what they answered. Nothing here waits for
//! a witness but the signature of a CA certificate whose bundle says so.

mod ask;
mod http;
mod mirror;
mod round;
mod start;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stele_api::status::{Failure, Reason};
use stele_core::authority::WitnessPolicy;
use stele_core::record::Purpose;
use stele_core::types::WitnessName;
use tokio::sync::Notify;

use crate::error::SignerError;
use crate::signer::Signer;
pub(crate) use ask::Outcome;
pub(crate) use http::Url;
pub(crate) use mirror::watch;
pub(crate) use round::run;
pub(crate) use start::refuse_rolled_back;

/// The least number of witnesses whose claim of a larger log is believed, whatever the quorum: one that lies or errs
/// raises an alarm and no more.
const LEAST_CLAIMS: usize = 2;
/// The kind of a good answer, in records and metrics.
const GOOD: &str = "cosigned";

/// How a witness stands.
#[derive(Clone, Debug)]
struct Standing {
    /// The kind of its newest answer.
    kind: &'static str,
    /// A larger size that it claims.
    claims: Option<u64>,
    /// Faults since the start.
    faults: u64,
}

#[derive(Debug, Default)]
struct Inner {
    /// The size of the newest checkpoint that the quorum cosigned and the keeper took.
    covered: u64,
    standings: BTreeMap<WitnessName, Standing>,
}

/// What the worker and those who wait for it share.
#[derive(Debug, Default)]
pub(crate) struct Witnesses {
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Wakes the worker before its time.
    wake: Notify,
}

impl Witnesses {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The quorum cosigned, and the keeper took it.
    fn cover(&self, size: u64) {
        let mut inner = self.lock();
        inner.covered = inner.covered.max(size);
        drop(inner);
        self.changed.notify_all();
    }

    /// Takes an answer; tells whether its kind is another than before.
    fn note(&self, name: &WitnessName, outcome: &Outcome) -> bool {
        let (kind, claims) = match outcome {
            Outcome::Cosigned(_) => (GOOD, None),
            Outcome::ClaimsLarger(size) => ("claims a larger log", Some(*size)),
            Outcome::Fault(fault) => (fault.kind, None),
        };
        let mut inner = self.lock();
        let before = inner.standings.get(name).cloned();
        let faults = before.as_ref().map_or(0, |b| b.faults) + u64::from(kind != GOOD);
        inner.standings.insert(name.clone(), Standing { kind, claims, faults });
        before.is_none_or(|b| b.kind != kind)
    }

    /// Forgets witnesses that the bundle lists no more.
    fn retain(&self, listed: impl Fn(&WitnessName) -> bool) {
        self.lock().standings.retain(|name, _| listed(name));
    }

    /// The witnesses that claim a larger log, where they are enough to be believed.
    fn believed_claims(&self, policy: &WitnessPolicy) -> Option<Vec<(WitnessName, u64)>> {
        let inner = self.lock();
        let claims: Vec<_> = inner
            .standings
            .iter()
            .filter_map(|(name, s)| Some((name.clone(), s.claims?)))
            .collect();
        (claims.len() >= LEAST_CLAIMS && policy.is_met_by(claims.len())).then_some(claims)
    }

    /// Waits until a checkpoint over the record at `index` is cosigned by the quorum, or for `patience`.
    fn wait_for(&self, index: u64, patience: Duration) {
        let until = Instant::now() + patience;
        let mut inner = self.lock();
        while inner.covered <= index {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.wake.notify_one();
            inner = self
                .changed
                .wait_timeout(inner, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// In the text form that Prometheus reads.
    pub(crate) fn metrics(&self) -> String {
        let inner = self.lock();
        let mut text = format!(
            "# HELP stele_witnessed_size Size of the newest checkpoint that the quorum of witnesses cosigned.\n\
             # TYPE stele_witnessed_size gauge\nstele_witnessed_size {}\n\
             # HELP stele_witness_cosigning Whether the witness's newest answer is a cosignature.\n\
             # TYPE stele_witness_cosigning gauge\n",
            inner.covered
        );
        for (name, standing) in &inner.standings {
            let _ = writeln!(
                text,
                "stele_witness_cosigning{{witness=\"{name}\"}} {}",
                u8::from(standing.kind == GOOD)
            );
        }
        text += "# HELP stele_witness_faults_total Answers of the witness that were no cosignature.\n\
                 # TYPE stele_witness_faults_total counter\n";
        for (name, standing) in &inner.standings {
            let _ = writeln!(
                text,
                "stele_witness_faults_total{{witness=\"{name}\"}} {}",
                standing.faults
            );
        }
        text
    }
}

impl Signer {
    /// What the bundle in force demands of witnesses.
    fn witness_policy(&self) -> Option<WitnessPolicy> {
        let snapshot = self.snapshot.load();
        snapshot.in_force().ok()?.bundle.authority().witness_policy().copied()
    }

    /// Before the intent of a CA certificate is recorded: whether the witnesses that it will wait for answer at all. The
    /// operators' texts in it serve once, and are not spent on an attempt that cannot succeed.
    ///
    /// # Errors
    /// When too few answer.
    pub(crate) fn require_witnesses(&self, purpose: Purpose) -> Result<(), SignerError> {
        let Some(policy) = self.policy_of(purpose) else {
            return Ok(());
        };
        let good = self
            .witnesses
            .lock()
            .standings
            .values()
            .filter(|s| s.kind == GOOD)
            .count();
        if policy.is_met_by(good) {
            return Ok(());
        }
        let why = format!(
            "a CA certificate has to be witnessed first: {good} witnesses cosign at the moment, {} are needed",
            policy.quorum
        );
        Err(Failure::new(Reason::LedgerStopped, why)
            .retry_after(Duration::from_secs(5))
            .into())
    }

    /// After it was recorded: waits until the quorum cosigned a checkpoint over it. The keeper judges whether they did.
    pub(crate) fn await_witnesses(&self, intent: u64) {
        self.witnesses.wait_for(intent, self.deadline());
    }

    /// Whether such an intent must be witnessed before it is signed.
    pub(crate) fn waits_for_witnesses(&self, purpose: Purpose) -> bool {
        self.policy_of(purpose).is_some()
    }

    fn policy_of(&self, purpose: Purpose) -> Option<WitnessPolicy> {
        let certifies_ca = matches!(purpose, Purpose::Intermediate | Purpose::Root);
        self.witness_policy().filter(|policy| certifies_ca && policy.ca_intents)
    }
}

#[cfg(test)]
mod tests;
