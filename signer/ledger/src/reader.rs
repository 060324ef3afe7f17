//! Reading beside the writer.

use std::ops::Range;
use std::path::Path;

use stele_core::checkpoint::tile::{TileKind, TilePath, encode_bundle};
use stele_core::merkle::{self, Hash, HashReader};

use crate::LedgerError;
use crate::store::{Access, Store};

/// A reader with a read-only connection of its own; it can move to another thread. What it reads is durable and never
/// changes, so that one size may be used over several calls.
pub struct LedgerReader {
    store: Store,
}

impl LedgerReader {
    /// Opens the ledger at `path` for reading; it may have a writer.
    ///
    /// # Errors
    /// [`LedgerError::Missing`], [`LedgerError::Foreign`], and what SQLite reports.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let store = Store::open(path, Access::Read)?;
        Ok(Self { store })
    }

    /// Another reader of the same ledger, for another thread.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn try_clone(&self) -> Result<Self, LedgerError> {
        Self::open(&self.store.path)
    }

    /// Copies the ledger as it is at one moment, with the state and the newest checkpoint, into a new file of mode 0600;
    /// durable when it returns. A writer may go on meanwhile. Answers with the size of the copy.
    ///
    /// # Errors
    /// [`LedgerError::Exists`], and what the file system or SQLite report.
    pub fn backup(&self, file: &Path) -> Result<u64, LedgerError> {
        crate::backup::backup(&self.store, file)
    }

    /// Does several reads as one: SQLite takes its locks once for all of them.
    ///
    /// # Errors
    /// What `work` and SQLite report.
    pub fn together<T, E: From<LedgerError>>(&self, work: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        let transaction = self.store.connection.unchecked_transaction();
        // It only reads, so that its end has nothing to commit; dropping it ends it.
        let _transaction = transaction.map_err(|e| self.store.error(e))?;
        work(self)
    }

    /// How many entries the log has by now.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn size(&self) -> Result<u64, LedgerError> {
        self.store.size()
    }

    /// The newest stored checkpoint: its size and signed note.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn checkpoint(&self) -> Result<Option<(u64, String)>, LedgerError> {
        self.store.checkpoint()
    }

    /// The entry at `index`, compared with its leaf hash.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`], and [`LedgerError::Corrupt`] where it is not what was appended.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, LedgerError> {
        let entries = self.entries(index..index.saturating_add(1))?;
        entries.into_iter().next().ok_or_else(|| LedgerError::OutOfRange {
            asked: format!("entry {index}"),
            size: index,
        })
    }

    /// The entries of `range`, each compared with its leaf hash. All are held in memory: the caller bounds the range.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`], and [`LedgerError::Corrupt`] where one is not what was appended.
    pub fn entries(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, LedgerError> {
        self.store.entries(range)
    }

    /// The hash of the leaf at `index`.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`].
    pub fn leaf_hash(&self, index: u64) -> Result<Hash, LedgerError> {
        self.store.hash(0, index)
    }

    /// The root of the tree of the first `size` entries.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`].
    pub fn root_at(&self, size: u64) -> Result<Hash, LedgerError> {
        self.store.require_size(size)?;
        merkle::root(size, &self.store)
    }

    /// The inclusion proof of the entry at `index` in the tree of the first `size` entries.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`], and where `index` is not below `size`.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, LedgerError> {
        self.store.require_size(size)?;
        merkle::inclusion_proof(index, size, &self.store)
    }

    /// The proof that the tree of the first `m` entries is a beginning of that of the first `n`.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`], and where `m` is above `n`.
    pub fn consistency_proof(&self, m: u64, n: u64) -> Result<Vec<Hash>, LedgerError> {
        self.store.require_size(n)?;
        merkle::consistency_proof(m, n, &self.store)
    }

    /// The bytes of a hash tile or entry bundle, full or partial, of any width that the log has by now.
    ///
    /// # Errors
    /// [`LedgerError::Core`] for one that the log does not have (yet).
    pub fn tile(&self, path: &TilePath) -> Result<Vec<u8>, LedgerError> {
        let size = self.size()?;
        path.require_within(size)?;
        match path.kind() {
            TileKind::Hashes(_) => path.hash_tile(size, &self.store),
            TileKind::Entries => {
                let entries = self.entries(path.start()..path.start() + u64::from(path.width()))?;
                Ok(encode_bundle(&entries)?)
            }
        }
    }
}

impl HashReader for LedgerReader {
    type Error = LedgerError;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, LedgerError> {
        self.store.hash(level, index)
    }
}
