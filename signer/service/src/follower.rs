//! The index follows the log in order, whoever wrote the record.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use stele_api::status::Failure;
use stele_core::door::Stored;
use stele_core::record::{Body, Record};
use stele_core::types::{CallerSan, RequestId};
use stele_index::Index;

use crate::error::SignerError;
use crate::reservations::Reserved;
use crate::signer::Signer;
use crate::snapshot::{self, Snapshot};

/// Entries in one page; the keeper sends no more.
const PAGE: u32 = 256;

/// Records that the index may be behind the answers before the one who answers helps it.
const BACKLOG: u64 = 4096;

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

    /// The outcome of these records is answered before the index has them: the worker takes many at once.
    ///
    /// # Errors
    /// When the index is far behind and cannot follow.
    pub(crate) fn answered(&self, stored: [Stored; 2]) -> Result<(), SignerError> {
        let index = stored.iter().map(|(record, _)| record.index).max().unwrap_or_default();
        self.heard.add(stored);
        self.answered.fetch_max(index.saturating_add(1), Ordering::AcqRel);
        self.grown.notify_one();
        match index.checked_sub(BACKLOG) {
            Some(old) if *self.indexed.borrow() <= old => self.follow_through(old),
            _ => Ok(()),
        }
    }

    /// Gives the index what this process wrote, as far as nothing is missing in between; whether there was any.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub(crate) fn follow_heard(&self) -> Result<bool, SignerError> {
        let mut index = self.turn();
        let mut any = false;
        loop {
            let records = self.heard.take(index.next());
            if records.is_empty() {
                return Ok(any);
            }
            self.index_records(&mut index, &records)?;
            any = true;
        }
    }

    /// Waits until the index holds everything that was answered.
    ///
    /// # Errors
    /// When the keeper or the index fails.
    pub(crate) fn follow_answered(&self) -> Result<(), SignerError> {
        match self.answered.load(Ordering::Acquire).checked_sub(1) {
            Some(newest) if *self.indexed.borrow() <= newest => self.follow_through(newest),
            _ => Ok(()),
        }
    }

    /// Reserves a request, and waits until the index knows what the one before left under it.
    ///
    /// # Errors
    /// When it is under way already, or the index cannot follow; then nothing can be decided yet.
    pub(crate) fn reserve(&self, caller: &CallerSan, id: &RequestId) -> Result<Reserved, Failure> {
        let mut reserved = self.reservations.take(caller, id)?;
        if let Some(outcome) = reserved.outcome() {
            self.follow_through(outcome)?;
            reserved.indexed();
        }
        self.catch_up()?;
        Ok(reserved)
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
            // Where only the answer was lost, the keeper may still be at work on it.
            self.keeper.settle_lost()?;
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
        let mut records = self.heard.take(index.next());
        if records.is_empty() {
            let read = self.keeper.entries(index.next(), PAGE)?.into_iter();
            records = read
                .map(|bytes| Ok((Record::decode(&bytes)?, bytes)))
                .collect::<Result<Vec<_>, SignerError>>()?;
        }
        if records.is_empty() {
            self.refresh_if_stale()?;
            return Ok(false);
        }
        self.index_records(index, &records)?;
        Ok(true)
    }

    fn index_records(&self, index: &mut Index, records: &[Stored]) -> Result<(), SignerError> {
        index.apply(records)?;
        if records.iter().any(|(record, _)| snapshot::changes(&record.body)) {
            self.stale.store(true, Ordering::Release);
        }
        if records.iter().any(|(record, _)| calls_for_crl(&record.body)) {
            self.crls_due.notify_one();
        }
        self.refresh_if_stale()?;
        self.indexed.send_replace(index.next());
        self.reservations.indexed(index.next());
        Ok(())
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
