//! The index follows the log in order, whoever wrote the record.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use stele_core::record::{Body, Record};
use stele_index::Index;

use crate::error::SignerError;
use crate::signer::Signer;
use crate::snapshot::{self, Snapshot};

/// Entries in one page; the keeper sends no more.
const PAGE: u32 = 256;

/// Counts appends that failed. The record of one may be durable all the same, when only the answer was lost.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    raised: AtomicU64,
    settled: AtomicU64,
}

impl Doubts {
    /// An append failed.
    pub(crate) fn add(&self) {
        self.raised.fetch_add(1, Ordering::AcqRel);
    }
}

impl Signer {
    /// Waits until the index holds the record at `index`. Whoever gets the turn reads for all who wait.
    ///
    /// # Errors
    /// When the keeper or the index fails.
    pub(crate) fn follow_through(&self, index: u64) -> Result<(), SignerError> {
        let mut turn = self.turn();
        while turn.next() <= index && self.page(&mut turn)? {}
        Ok(())
    }

    /// Reads everything that the log has.
    ///
    /// # Errors
    /// When the keeper or the index fails.
    pub(crate) fn follow(&self) -> Result<(), SignerError> {
        let mut turn = self.turn();
        while self.page(&mut turn)? {}
        Ok(())
    }

    /// Reads the log before a look-up that decides what to append next, where an append failed since the last reading:
    /// otherwise a request whose intent is recorded would get the same attempt once more (P8).
    ///
    /// # Errors
    /// When the keeper or the index fails; then nothing can be decided yet.
    pub(crate) fn catch_up(&self) -> Result<(), SignerError> {
        let doubts = self.doubts.raised.load(Ordering::Acquire);
        if self.doubts.settled.load(Ordering::Acquire) < doubts {
            self.follow()?;
            self.doubts.settled.fetch_max(doubts, Ordering::AcqRel);
        }
        Ok(())
    }

    fn turn(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one page; `false` when there was nothing more.
    fn page(&self, index: &mut Index) -> Result<bool, SignerError> {
        let entries = self.keeper.entries(index.next(), PAGE)?;
        if entries.is_empty() {
            self.refresh_if_stale()?;
            return Ok(false);
        }
        let records = entries
            .into_iter()
            .map(|bytes| Ok((Record::decode(&bytes)?, bytes)))
            .collect::<Result<Vec<_>, SignerError>>()?;
        index.apply(&records)?;
        if records.iter().any(|(record, _)| snapshot::changes(&record.body)) {
            self.stale.store(true, Ordering::Release);
        }
        if records.iter().any(|(record, _)| calls_for_crl(&record.body)) {
            self.crls_due.notify_one();
        }
        self.refresh_if_stale()?;
        self.indexed.send_replace(index.next());
        Ok(true)
    }

    /// Reads the snapshot again after a record that changes it. When that fails it stays stale, and is tried again
    /// with the next look at the log.
    fn refresh_if_stale(&self) -> Result<(), SignerError> {
        if self.stale.load(Ordering::Acquire) {
            self.refresh()?;
            self.stale.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Reads the snapshot again.
    ///
    /// # Errors
    /// When the index cannot be read, or what it holds does not read; then the old one stays.
    pub(crate) fn refresh(&self) -> Result<(), SignerError> {
        let fresh = Snapshot::read(&self.reader, &self.held.load())?;
        self.snapshot.store(Arc::new(fresh));
        Ok(())
    }
}

/// What must stand in a CRL soon, or makes a first one possible.
const fn calls_for_crl(body: &Body) -> bool {
    matches!(body, Body::Revocation(_) | Body::Unknown(_) | Body::CaCertificate(_))
}
