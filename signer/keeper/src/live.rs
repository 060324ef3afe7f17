//! The intents of this life of the process: each may be signed once, and only here. A restart forgets them all, and
//! that is the point: what was open then is `unknown`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stele_core::crl::CrlView;
use stele_core::record::Intent;

use crate::error::KeeperError;

/// How far an intent has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Appended; the key was not called.
    Fresh,
    /// The key is being called.
    Called,
    /// The key gave this signature.
    Signed(Vec<u8>),
    /// The key was not called, and will not be.
    NotSigned,
    /// The key was called and gave no clear answer.
    Unclear,
}

/// An open intent.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// The intent.
    pub(crate) intent: Arc<Intent>,
    /// The exact bytes to be signed.
    pub(crate) tbs: Arc<Vec<u8>>,
    /// The CRL to be, where it is one.
    pub(crate) crl: Option<Arc<CrlView>>,
    /// The connection that appended it.
    pub(crate) connection: u64,
    /// How far it has come.
    pub(crate) phase: Phase,
}

/// All open intents of this life.
#[derive(Debug, Default)]
pub(crate) struct LiveIntents(Mutex<HashMap<u64, Live>>);

impl LiveIntents {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Live>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one; it is durable.
    pub(crate) fn add(&self, index: u64, live: Live) {
        self.lock().insert(index, live);
    }

    /// A look at one.
    #[must_use]
    pub(crate) fn get(&self, index: u64) -> Option<Live> {
        self.lock().get(&index).cloned()
    }

    /// Takes the right to call the key, which each intent gives once.
    ///
    /// # Errors
    /// When the intent is not of this life, has an outcome, or gave the right already.
    pub(crate) fn call(&self, index: u64) -> Result<(), KeeperError> {
        let mut lives = self.lock();
        let live = lives.get_mut(&index).ok_or_else(|| {
            KeeperError::refused(format!(
                "record {index} is no open intent of this life of the keeper; a retry is a new attempt"
            ))
        })?;
        if live.phase != Phase::Fresh {
            return Err(KeeperError::refused(format!(
                "the intent at {index} was already used; each is signed at most once"
            )));
        }
        live.phase = Phase::Called;
        Ok(())
    }

    /// Notes how the call went.
    pub(crate) fn called(&self, index: u64, phase: Phase) {
        if let Some(live) = self.lock().get_mut(&index) {
            live.phase = phase;
        }
    }

    /// Gives one up: from now on it is neither signed nor takes an outcome but `unknown`.
    ///
    /// # Errors
    /// When the key is being called at this moment.
    pub(crate) fn abandon(&self, index: u64) -> Result<(), KeeperError> {
        match self.lock().get_mut(&index) {
            Some(live) if live.phase == Phase::Called => Err(KeeperError::Busy(format!(
                "the key is being called for the intent at {index}"
            ))),
            Some(live) => {
                live.phase = Phase::Unclear;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Closes one: its outcome is durable.
    pub(crate) fn close(&self, index: u64) {
        self.lock().remove(&index);
    }

    /// The intents that a connection left open, none of them being signed at this moment.
    #[must_use]
    pub(crate) fn of_connection(&self, connection: u64) -> Vec<u64> {
        self.lock()
            .iter()
            .filter(|(_, l)| l.connection == connection && l.phase != Phase::Called)
            .map(|(i, _)| *i)
            .collect()
    }
}
