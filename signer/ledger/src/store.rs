//! One connection to the file: its format, and everything that only reads.
//!
//! Hashes of full subtrees are numbered in the order in which they come to be, so that an append only ever adds rows
//! at the end of its tables.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, ToSql};
use stele_core::merkle::{Hash, HashReader, leaf_hash};
use stele_core::types::Digest;

use crate::LedgerError;

/// "STLE", SQLite's application id of a ledger.
const APPLICATION_ID: i32 = 0x5354_4c45;
const FORMAT_VERSION: i32 = 1;
/// Far above any log, and far enough below 2^64 for the arithmetic of its hashes.
const MAX_SIZE: u64 = 1 << 62;
/// Only recovery after a crash makes connections wait for each other.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages in the write-ahead log before SQLite copies them into the file (16 MiB; its default is 1,000 pages). The tables grow
/// at their ends, so that the longer it waits the more often has each page been overwritten in between.
const WAL_PAGES: i32 = 4_000;

/// SQLite's `cache_size` of a reader, negative in KiB. There may be a reader for each caller, and the system caches the
/// file as well.
const READER_CACHE: i32 = -256;

const SCHEMA: &str = "
    CREATE TABLE entry (idx INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE hash (position INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
    CREATE TABLE state (tbl TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (tbl, key))
        STRICT, WITHOUT ROWID;
    CREATE TABLE checkpoint (only INTEGER PRIMARY KEY CHECK (only = 0), size INTEGER NOT NULL, note TEXT NOT NULL)
        STRICT;";

/// What a connection may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A connection to a ledger's file.
pub(crate) struct Store {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
}

impl Store {
    /// Lays out a ledger in the empty file at `path`.
    pub(crate) fn create(path: &Path) -> Result<Self, LedgerError> {
        let mut store = Self::connect(path, Access::Write)?;
        store.initialise().map_err(|e| LedgerError::sql(path, e))?;
        Ok(store)
    }

    fn initialise(&mut self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        let transaction = self.connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", FORMAT_VERSION)?;
        transaction.commit()
    }

    /// Connects to the ledger at `path`.
    pub(crate) fn open(path: &Path, access: Access) -> Result<Self, LedgerError> {
        if !path.exists() {
            return Err(LedgerError::Missing { path: path.to_owned() });
        }
        let store = Self::connect(path, access)?;
        let number = |name| -> Result<i32, LedgerError> {
            let value = store.connection.pragma_query_value(None, name, |row| row.get(0));
            value.map_err(|e| store.error(e))
        };
        match (number("application_id")?, number("user_version")?) {
            (APPLICATION_ID, FORMAT_VERSION) => Ok(store),
            (APPLICATION_ID, other) => Err(store.foreign(format!("format version {other}, not {FORMAT_VERSION}"))),
            _ => Err(store.foreign("no ledger's mark in the file, or its creation was cut short".to_owned())),
        }
    }

    fn connect(path: &Path, access: Access) -> Result<Self, LedgerError> {
        let mode = match access {
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let connect = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            // FULL: the write-ahead log is synced at every commit, so that a commit that returned survives a power cut.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "trusted_schema", false)?;
            connection.pragma_update(None, "cell_size_check", true)?;
            match access {
                Access::Read => connection.pragma_update(None, "cache_size", READER_CACHE)?,
                Access::Write => connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?,
            }
            Ok(connection)
        };
        Ok(Self {
            connection: connect().map_err(|e| LedgerError::sql(path, e))?,
            path: path.to_owned(),
        })
    }

    pub(crate) fn error(&self, source: rusqlite::Error) -> LedgerError {
        LedgerError::sql(&self.path, source)
    }

    pub(crate) fn corrupt(&self, what: impl Into<String>) -> LedgerError {
        LedgerError::corrupt(&self.path, what)
    }

    fn foreign(&self, found: String) -> LedgerError {
        LedgerError::Foreign {
            path: self.path.clone(),
            found,
        }
    }

    /// The one row of a query, if any.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        parameters: &[&dyn ToSql],
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, LedgerError> {
        let run = || {
            self.connection
                .prepare_cached(sql)?
                .query_row(parameters, read)
                .optional()
        };
        run().map_err(|e| self.error(e))
    }

    /// All rows of a query.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        parameters: &[&dyn ToSql],
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LedgerError> {
        let run = || {
            self.connection
                .prepare_cached(sql)?
                .query_map(parameters, read)?
                .collect::<rusqlite::Result<_>>()
        };
        run().map_err(|e| self.error(e))
    }

    /// How many entries there are.
    pub(crate) fn size(&self) -> Result<u64, LedgerError> {
        let last: Option<i64> = self.row("SELECT max(idx) FROM entry", &[], |row| row.get(0))?.flatten();
        match last.map(u64::try_from) {
            None => Ok(0),
            Some(Ok(last)) if last < MAX_SIZE => Ok(last + 1),
            _ => Err(self.corrupt(format!("its last entry has the index {last:?}"))),
        }
    }

    /// The entries of `range`, each compared with its leaf hash.
    pub(crate) fn entries(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, LedgerError> {
        self.require_size(range.end)?;
        let rows: Vec<(i64, Vec<u8>)> = self.rows(
            "SELECT idx, body FROM entry WHERE idx >= ?1 AND idx < ?2 ORDER BY idx",
            &[&integer(range.start), &integer(range.end)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if rows.len() as u64 != range.end.saturating_sub(range.start) {
            return Err(self.corrupt(format!("an entry of {}..{} is missing", range.start, range.end)));
        }
        rows.into_iter()
            .zip(range)
            .map(|((index, body), expected)| {
                if index == integer(expected) && leaf_hash(&body) == self.hash(0, expected)? {
                    return Ok(body);
                }
                Err(self.corrupt(format!("entry {expected} is not the one that was logged")))
            })
            .collect()
    }

    /// Refuses what a log of its present size does not have yet.
    pub(crate) fn require_size(&self, end: u64) -> Result<(), LedgerError> {
        match self.size()? {
            size if end <= size => Ok(()),
            size => Err(LedgerError::OutOfRange {
                asked: format!("what takes {end} entries"),
                size,
            }),
        }
    }

    /// Why something that belongs to a tree of `end` entries is not there.
    fn absent(&self, asked: String, end: u64) -> Result<LedgerError, LedgerError> {
        let size = self.size()?;
        if end <= size {
            return Ok(self.corrupt(format!("{asked} is missing")));
        }
        Ok(LedgerError::OutOfRange { asked, size })
    }

    /// The newest checkpoint: its size and note.
    pub(crate) fn checkpoint(&self) -> Result<Option<(u64, String)>, LedgerError> {
        let row: Option<(i64, String)> = self.row("SELECT size, note FROM checkpoint", &[], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        row.map(|(size, note)| match u64::try_from(size) {
            Ok(size) => Ok((size, note)),
            Err(_) => Err(self.corrupt(format!("the checkpoint has the size {size}"))),
        })
        .transpose()
    }
}

impl HashReader for Store {
    type Error = LedgerError;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, LedgerError> {
        let asked = || format!("the hash of subtree {index} of level {level}");
        let end = subtree_end(level, index).ok_or_else(|| LedgerError::OutOfRange {
            asked: asked(),
            size: i64::MAX as u64,
        })?;
        let hash: Option<Vec<u8>> = self.row(
            "SELECT hash FROM hash WHERE position = ?1",
            &[&integer(position(level, end))],
            |row| row.get(0),
        )?;
        match hash.map(<[u8; 32]>::try_from) {
            Some(Ok(hash)) => Ok(Digest(hash)),
            Some(Err(_)) => Err(self.corrupt(format!("{} has not 32 bytes", asked()))),
            None => Err(self.absent(asked(), end)?),
        }
    }
}

/// SQLite's integers have 63 bits; no log has more entries, so beyond them nothing is found.
pub(crate) fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// How many entries a log must have to have this full subtree; `None` where no log reaches.
fn subtree_end(level: u8, index: u64) -> Option<u64> {
    let leaves = 1_u64.checked_shl(level.into())?;
    index.checked_add(1)?.checked_mul(leaves).filter(|end| *end <= MAX_SIZE)
}

/// How many hashes a log of `size` entries has: a full subtree of each level for every `2^level` entries.
pub(crate) fn hash_count(size: u64) -> u64 {
    2 * size - u64::from(size.count_ones())
}

/// The number of a full subtree's hash, where `end` is the size of the log that the subtree completes: its last leaf
/// comes after all hashes of the log before, and the subtree `level` places after that leaf.
fn position(level: u8, end: u64) -> u64 {
    hash_count(end - 1) + u64::from(level)
}
