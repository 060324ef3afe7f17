//! Reading the log: read-only connections, and chunks from them.

use std::sync::{Mutex, PoisonError};

use stele_core::record::{Body, Chunk, ChunkSource, Record};
use stele_ledger::LedgerReader;

/// Connections that are kept for the next reader. Each has a cache of its own; reading is short, so few serve many
/// threads, and one more is opened where they do not.
const IDLE: usize = 4;

/// The log as a source of chunk records.
pub(crate) struct Chunks<'r>(pub &'r LedgerReader);

impl ChunkSource for Chunks<'_> {
    fn chunk(&self, index: u64) -> Option<Chunk> {
        match Record::decode(&self.0.entry(index).ok()?).ok()?.body {
            Body::Chunk(chunk) => Some(chunk),
            _ => None,
        }
    }
}

/// Readers that threads borrow.
pub(crate) struct Readers {
    idle: Mutex<Vec<LedgerReader>>,
    path: std::path::PathBuf,
}

impl Readers {
    /// Readers of the log at `path`.
    #[must_use]
    pub(crate) fn new(path: std::path::PathBuf) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            path,
        }
    }

    /// Runs `read` with a reader of its own.
    ///
    /// # Errors
    /// What opening or `read` says.
    pub(crate) fn with<T, E: From<stele_ledger::LedgerError>>(
        &self,
        read: impl FnOnce(&LedgerReader) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => LedgerReader::open(&self.path)?,
        };
        let result = reader.together(read)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(reader);
        }
        Ok(result)
    }
}
