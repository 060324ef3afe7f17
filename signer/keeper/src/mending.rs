//! What a failing disk left undone. The keeper tries again by itself, so that nobody has to restart it when the disk is
//! well again (P6).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Mending {
    failure: Mutex<Option<String>>,
    abandoned: Mutex<BTreeMap<u64, String>>,
}

impl Mending {
    /// The log could be written.
    pub(crate) fn well(&self) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The log could not be written.
    pub(crate) fn failed(&self, why: String) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Why the log cannot be written, where the last attempt failed.
    #[must_use]
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The fate of the intent at `index` is unknown for this reason, and that could not be recorded yet.
    pub(crate) fn abandon(&self, index: u64, reason: &str) {
        let mut abandoned = self.abandoned.lock().unwrap_or_else(PoisonError::into_inner);
        abandoned.entry(index).or_insert_with(|| reason.to_owned());
    }

    /// Takes what was abandoned, to try it again.
    #[must_use]
    pub(crate) fn take_abandoned(&self) -> BTreeMap<u64, String> {
        std::mem::take(&mut *self.abandoned.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
