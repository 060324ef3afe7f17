//! The single writer.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Transaction, TransactionBehavior};
use stele_core::checkpoint::Checkpoint;
use stele_core::checkpoint::tile::MAX_ENTRY_BYTES;
use stele_core::merkle::{self, Frontier, Subtree};
use stele_core::types::Digest;

use crate::store::{Access, Store, hash_count, integer};
use crate::{LedgerError, LedgerReader, RecentHashes};

/// A change to the keeper's judging state, which happens together with the entries that cause it or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets the value of a key.
    Put {
        /// Which table of the state.
        table: &'static str,
        /// The key.
        key: Vec<u8>,
        /// Its new value.
        value: Vec<u8>,
    },
    /// Removes a key; one that is not there is no error.
    Delete {
        /// Which table of the state.
        table: &'static str,
        /// The key.
        key: Vec<u8>,
    },
}

/// A key of the state and its value.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// The single writer of a log. It is not shared: whoever owns it is the append lock.
pub struct Ledger {
    store: Store,
    head: Head,
    recent: RecentHashes,
    /// Set where the disk could not be asked what became of a failed write; asked again before the next one.
    doubtful: bool,
    /// Locked as long as it is open; the lock ends with the process, however that ends.
    _lock: File,
}

/// What the writer keeps in memory; always read from the disk or written there first.
struct Head {
    frontier: Frontier,
    checkpoint: Option<(u64, String)>,
}

impl Head {
    /// Reads the head with a number of look-ups that grows with the logarithm of the log's size, and checks what can
    /// be checked at that price.
    fn read(store: &Store) -> Result<Self, LedgerError> {
        let size = store.size()?;
        let last_hash: Option<i64> = store
            .row("SELECT max(position) FROM hash", &[], |row| row.get(0))?
            .flatten();
        if last_hash.map_or(0, |last| last.saturating_add(1)) != integer(hash_count(size)) {
            return Err(store.corrupt(format!("the tree's hashes are not those of {size} entries")));
        }
        if let Some(last) = size.checked_sub(1) {
            store.entries(last..size)?;
        }
        let frontier = Frontier::load(size, store)?;
        let checkpoint = store.checkpoint()?;
        if let Some((at, note)) = &checkpoint {
            let signed = Checkpoint::from_note_unverified(note)?;
            if *at > size || signed.size != *at || signed.root != merkle::root(*at, store)? {
                return Err(store.corrupt(format!("its tree is not the one that was signed at size {at}")));
            }
        }
        Ok(Self { frontier, checkpoint })
    }
}

impl Ledger {
    /// Creates an empty ledger, in a file of mode 0600.
    ///
    /// # Errors
    /// [`LedgerError::Exists`] where there is a file, and what the file system or SQLite report.
    pub fn create(path: &Path) -> Result<Self, LedgerError> {
        let lock = lock(path)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        file.map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => LedgerError::Exists { path: path.to_owned() },
            _ => LedgerError::io("create the ledger", path, e),
        })?;
        let store = Store::create(path)?;
        // SQLite syncs the file, nobody yet the directory entry by which it is found.
        let directory = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(directory)
            .and_then(|d| d.sync_all())
            .map_err(|e| LedgerError::io("sync the ledger's directory", directory, e))?;
        Self::start(store, lock)
    }

    /// Opens a ledger for writing. Takes the same time for a log of any size.
    ///
    /// # Errors
    /// [`LedgerError::Missing`], [`LedgerError::Locked`], [`LedgerError::Foreign`]; [`LedgerError::Corrupt`] where the
    /// end of the log, its tree or its checkpoint contradict each other; and what SQLite reports.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        if !path.exists() {
            return Err(LedgerError::Missing { path: path.to_owned() });
        }
        let lock = lock(path)?;
        let store = Store::open(path, Access::Write)?;
        // A commit whose sync failed before a crash may be in the page cache only. Copying the write-ahead log into the
        // database writes and syncs it anew, so what is read from here on is on the disk.
        store
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|e| store.error(e))?;
        Self::start(store, lock)
    }

    fn start(store: Store, lock: File) -> Result<Self, LedgerError> {
        Ok(Self {
            head: Head::read(&store)?,
            recent: RecentHashes::default(),
            store,
            doubtful: false,
            _lock: lock,
        })
    }

    /// How many entries the log has. Costs nothing.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.head.frontier.size()
    }

    /// The root over all entries. Costs at most 63 hashes.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.head.frontier.root()
    }

    /// Appends entries and changes the state, both or neither, durable when it returns. Returns the index of the first
    /// entry.
    ///
    /// # Errors
    /// Nothing has happened then, in memory as on disk. One exception is nobody's to exclude: when the disk fails in the
    /// very sync and the machine then stops, a restart may find the entries.
    pub fn append(&mut self, entries: &[Vec<u8>], changes: &[Change]) -> Result<u64, LedgerError> {
        if let Some((number, entry)) = entries.iter().enumerate().find(|(_, e)| e.len() > MAX_ENTRY_BYTES) {
            let bytes = entry.len();
            return Err(LedgerError::EntryTooLarge { number, bytes });
        }
        self.settle()?;
        let first = self.size();
        let (mut frontier, mut completed) = (self.head.frontier.clone(), Vec::new());
        self.write(|transaction| {
            completed = write_entries(transaction, &mut frontier, entries)?;
            write_changes(transaction, changes)
        })?;
        self.head.frontier = frontier;
        self.recent.add(completed);
        Ok(first)
    }

    /// The tree's newest hashes, which grow with every append.
    #[must_use]
    pub fn recent_hashes(&self) -> RecentHashes {
        self.recent.clone()
    }

    /// Stores the newest checkpoint, durable when it returns; one of the same size replaces it, as when witnesses have
    /// cosigned. The caller has verified the signatures.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] when the checkpoint is not of this log's tree at `size`, or older than the stored one.
    pub fn set_checkpoint(&mut self, size: u64, note: &str) -> Result<(), LedgerError> {
        self.settle()?;
        let conflict = |why: String| LedgerError::Conflict {
            what: format!("the checkpoint of size {size}"),
            why,
        };
        let signed = Checkpoint::from_note_unverified(note)?;
        if signed.size != size {
            return Err(conflict(format!("its note has the size {}", signed.size)));
        }
        if let Some((newest, _)) = self.head.checkpoint.as_ref().filter(|(newest, _)| *newest > size) {
            return Err(conflict(format!("there is a newer one, of size {newest}")));
        }
        self.store.require_size(size)?;
        if merkle::root(size, &self.store)? != signed.root {
            return Err(conflict("the root is another".to_owned()));
        }
        self.write(|transaction| {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO checkpoint (only, size, note) VALUES (0, ?1, ?2)")?
                .execute((integer(size), note))
                .map(drop)
        })?;
        self.head.checkpoint = Some((size, note.to_owned()));
        Ok(())
    }

    /// The newest stored checkpoint: its size and signed note.
    #[must_use]
    pub fn checkpoint(&self) -> Option<(u64, String)> {
        self.head.checkpoint.clone()
    }

    /// The value of a key of the state.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn get_state(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        let sql = "SELECT value FROM state WHERE tbl = ?1 AND key = ?2";
        self.store.row(sql, &[&table, &key], |row| row.get(0))
    }

    /// All keys of a table of the state that begin with `prefix`, with their values, in the order of the keys' bytes.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn scan_state(&self, table: &str, prefix: &[u8]) -> Result<Vec<KeyValue>, LedgerError> {
        let sql = "SELECT key, value FROM state WHERE tbl = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3) ORDER BY key";
        let end = after_prefix(prefix);
        self.store
            .rows(sql, &[&table, &prefix, &end], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// A reader with a connection of its own, for another thread.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn reader(&self) -> Result<LedgerReader, LedgerError> {
        LedgerReader::open(&self.store.path)
    }

    /// Runs one durable transaction. Where that fails, the head is read again from the disk, which alone knows.
    fn write(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> Result<(), LedgerError> {
        let run = || {
            let transaction = self
                .store
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            work(&transaction)?;
            transaction.commit()
        };
        run().map_err(|source| {
            self.doubtful = true;
            // When the disk cannot be asked now, the next write asks again, and refuses until it is answered.
            let _ = self.settle();
            self.store.error(source)
        })
    }

    fn settle(&mut self) -> Result<(), LedgerError> {
        if self.doubtful {
            if !self.store.connection.is_autocommit() {
                self.store
                    .connection
                    .execute_batch("ROLLBACK")
                    .map_err(|e| self.store.error(e))?;
            }
            self.head = Head::read(&self.store)?;
            self.doubtful = false;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) const fn connection(&self) -> &rusqlite::Connection {
        &self.store.connection
    }
}

/// Writes entries and the hashes of the subtrees that they complete; returns those.
fn write_entries(
    transaction: &Transaction<'_>,
    frontier: &mut Frontier,
    entries: &[Vec<u8>],
) -> rusqlite::Result<Vec<Subtree>> {
    let mut written = Vec::with_capacity(2 * entries.len());
    let mut entry_row = transaction.prepare_cached("INSERT INTO entry (idx, body) VALUES (?1, ?2)")?;
    let mut hash_row = transaction.prepare_cached("INSERT INTO hash (position, hash) VALUES (?1, ?2)")?;
    for entry in entries {
        let index = frontier.size();
        entry_row.execute((integer(index), entry))?;
        let completed = frontier.push(merkle::leaf_hash(entry));
        for (position, subtree) in (hash_count(index)..).zip(&completed) {
            hash_row.execute((integer(position), subtree.hash.0))?;
        }
        written.extend(completed);
    }
    Ok(written)
}

fn write_changes(transaction: &Transaction<'_>, changes: &[Change]) -> rusqlite::Result<()> {
    for change in changes {
        match change {
            Change::Put { table, key, value } => transaction
                .prepare_cached("INSERT OR REPLACE INTO state (tbl, key, value) VALUES (?1, ?2, ?3)")?
                .execute((table, key, value))?,
            Change::Delete { table, key } => transaction
                .prepare_cached("DELETE FROM state WHERE tbl = ?1 AND key = ?2")?
                .execute((table, key))?,
        };
    }
    Ok(())
}

/// The first key after all that begin with `prefix`; `None` where there is none such.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let end = prefix.iter().rposition(|b| *b != 0xff)?;
    let mut after = prefix.get(..=end)?.to_vec();
    *after.last_mut()? += 1;
    Some(after)
}

/// Takes the writer's lock, on a file beside the ledger, since SQLite itself locks and unlocks the ledger's file.
fn lock(path: &Path) -> Result<File, LedgerError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(|e| LedgerError::io("open the ledger's lock file", &lock_path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(e)) => Err(LedgerError::io("lock the ledger", &lock_path, e)),
    }
}
