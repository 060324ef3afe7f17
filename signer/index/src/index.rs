//! The one writer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};
use stele_core::merkle::{Frontier, Hash, HashReader, leaf_hash};
use stele_core::record::Record;
use stele_core::types::{Digest, Origin};

use crate::apply::Step;
use crate::blocks::Blocks;
use crate::convert::{Int, Text};
use crate::error::IndexError;
use crate::read::Reader;
use crate::store;

/// The index of one log, open for writing.
pub struct Index {
    connection: Connection,
    path: PathBuf,
    frontier: Frontier,
}

impl Index {
    /// Opens the index of the log `origin` at `path`, or begins an empty one when there is no file. Takes constant
    /// time.
    ///
    /// # Errors
    /// When the file cannot be opened, is no index of this version, or indexes another log.
    pub fn open(path: &Path, origin: &Origin) -> Result<Self, IndexError> {
        let connection = store::open(path, origin)?;
        let frontier = load_frontier(&connection).map_err(|e| e.at(path))?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            frontier,
        })
    }

    /// The index of the first record that was not applied; also how many were.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of the Merkle tree over all records that were applied.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.frontier.root()
    }

    /// Compares the log with what was read from it before: its size now, and its root over the first
    /// [`Self::next`] records, which is asked for only when it has that many.
    ///
    /// # Errors
    /// [`IndexError::Behind`] and [`IndexError::Diverged`] when it is not a continuation; what `root_at` reports.
    pub fn check_log<E: From<IndexError>>(
        &self,
        log_size: u64,
        root_at: impl FnOnce(u64) -> Result<Digest, E>,
    ) -> Result<(), E> {
        let (size, index) = (self.next(), self.root());
        if log_size < size {
            return Err(IndexError::Behind {
                log: log_size,
                index: size,
            }
            .into());
        }
        let log = root_at(size)?;
        if log != index {
            return Err(IndexError::Diverged { size, log, index }.into());
        }
        Ok(())
    }

    /// Applies records in the log's order, each with its exact bytes, all of them or none. Those that were applied
    /// before are passed over.
    ///
    /// # Errors
    /// [`IndexError::Gap`] when a record is missing; otherwise only when the file cannot be written.
    pub fn apply(&mut self, records: &[(Record, Vec<u8>)]) -> Result<(), IndexError> {
        let mut frontier = self.frontier.clone();
        let sql = IndexError::sql(&self.path);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(&sql)?;
        let mut edge = BTreeMap::new();
        let blocks = RefCell::new(Blocks::default());
        for (record, bytes) in records {
            let expected = frontier.size();
            if record.index < expected {
                continue;
            }
            if record.index > expected {
                return Err(IndexError::Gap {
                    expected,
                    found: record.index,
                });
            }
            // Of each level only the newest subtree can be at the tree's right edge.
            edge.extend(frontier.push(leaf_hash(bytes)).iter().map(|s| (s.level, s.hash)));
            Step::new(&transaction, record, &blocks)
                .apply(&record.body)
                .map_err(&sql)?;
        }
        write_edge(&transaction, &edge).map_err(&sql)?;
        blocks.borrow().write(&transaction).map_err(&sql)?;
        transaction
            .prepare_cached("UPDATE meta SET next = ?1")
            .and_then(|mut update| update.execute([Int(frontier.size())]))
            .and_then(|_| transaction.commit())
            .map_err(&sql)?;
        self.frontier = frontier;
        Ok(())
    }

    /// A reader of the same file; it sees what was applied when each of its calls begins.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(self.path.clone())
    }
}

fn write_edge(tx: &Transaction<'_>, edge: &BTreeMap<u8, Hash>) -> rusqlite::Result<()> {
    let mut row = tx.prepare_cached("INSERT OR REPLACE INTO edge VALUES (?1, ?2)")?;
    edge.iter()
        .try_for_each(|(level, hash)| row.execute((level, Text(hash))).map(drop))
}

/// Why the frontier did not load; the path comes later.
enum LoadError {
    Sql(rusqlite::Error),
    Core(stele_core::Error),
}

impl LoadError {
    fn at(self, path: &Path) -> IndexError {
        match self {
            Self::Sql(source) => IndexError::sql(path)(source),
            Self::Core(error) => IndexError::Damaged(error),
        }
    }
}

impl From<stele_core::Error> for LoadError {
    fn from(error: stele_core::Error) -> Self {
        Self::Core(error)
    }
}

struct Edge<'a>(&'a Connection);

impl HashReader for Edge<'_> {
    type Error = LoadError;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, LoadError> {
        let hash: Option<Text<Digest>> = self
            .0
            .query_row("SELECT hash FROM edge WHERE level = ?1", [level], |row| row.get(0))
            .optional()
            .map_err(LoadError::Sql)?;
        let missing = || {
            stele_core::Error::malformed(
                "edge of the tree",
                format!("no hash of subtree {index} of level {level}"),
                "the hash of every full subtree at the edge",
            )
        };
        Ok(hash.ok_or_else(missing)?.0)
    }
}

fn load_frontier(connection: &Connection) -> Result<Frontier, LoadError> {
    let next: Int = connection
        .query_row("SELECT next FROM meta", [], |row| row.get(0))
        .map_err(LoadError::Sql)?;
    Frontier::load(next.0, &Edge(connection))
}
