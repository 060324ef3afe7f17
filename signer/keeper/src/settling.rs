//! Intents without an outcome: what nobody can sign any more is recorded as unknown.

use std::sync::PoisonError;

use stele_core::record::{Body, Unknown};

use crate::error::KeeperError;
use crate::examine::Asker;
use crate::keeper::Keeper;

impl Keeper {
    /// Records that the fate of an intent is not known. When that cannot be recorded now, the keeper goes on trying.
    ///
    /// # Errors
    /// When the intent has an outcome, or the key is being called at this moment; when it is not recorded yet.
    pub(crate) fn unknown(&self, index: u64, reason: &str) -> Result<(), KeeperError> {
        self.shared.lives.abandon(index)?;
        let open = self
            .shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .open
            .get(&index)
            .cloned();
        let open = open.ok_or_else(|| KeeperError::refused(format!("the intent at {index} is not open")))?;
        let unknown = Unknown {
            intent: index,
            key: open.key,
            serial: open.serial,
            not_after: open.not_after,
            reason: reason.chars().take(500).collect(),
        };
        let recorded = self.append(Body::Unknown(unknown), Asker::Itself).map(drop);
        if recorded.is_err() {
            self.shared.mending.abandon(index, reason);
        }
        recorded
    }

    /// Tries again what a failing disk left undone.
    pub(crate) fn mend(&self) {
        if self.shared.mending.failure().is_some() {
            self.try_again();
        }
        for (index, reason) in self.shared.mending.take_abandoned() {
            if let Err(error) = self.unknown(index, &reason) {
                tracing::debug!(index, %error, "an abandoned intent is not settled yet");
            }
        }
    }

    /// Records as unknown every intent that is open in the log: at the start, before the socket exists.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub(crate) fn settle_open(&self, reason: &str) -> Result<usize, KeeperError> {
        let open: Vec<u64> = self
            .shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .open
            .keys()
            .copied()
            .collect();
        open.iter().try_for_each(|index| self.unknown(*index, reason))?;
        Ok(open.len())
    }

    /// A connection ended: what it left open is unknown.
    pub(crate) fn connection_lost(&self, connection: u64) {
        for index in self.shared.lives.of_connection(connection) {
            if let Err(error) = self.unknown(index, "the caller's connection was lost") {
                tracing::warn!(index, %error, "an abandoned intent is not settled yet");
            }
        }
    }
}
