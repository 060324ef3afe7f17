//! What can go wrong with the store, and what mends it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// A failure of the store. None of them leaves half of an append behind.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A ledger was to be created over a file.
    #[error("{}: there is a file already; choose another path, or open it as a ledger", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to open.
    #[error("{}: no ledger there; check the configured path, or create the ledger with `stele-keeper init`", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Another process writes to the ledger.
    #[error("{}: another process has the ledger open for writing; stop it, a ledger has one writer", .path.display())]
    Locked {
        /// The ledger.
        path: PathBuf,
    },
    /// The file is not a ledger of this format.
    #[error("{}: not a ledger of this version: {found}; check the path, or use the version that wrote it", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// The disk is full.
    #[error("{}: no space to write; free some on its file system, then retry", .path.display())]
    Full {
        /// The ledger.
        path: PathBuf,
        /// SQLite's words.
        source: rusqlite::Error,
    },
    /// The file or its file system cannot be written.
    #[error("{}: cannot be written; check its owner, mode and mount", .path.display())]
    ReadOnly {
        /// The ledger.
        path: PathBuf,
        /// SQLite's words.
        source: rusqlite::Error,
    },
    /// The file contradicts itself.
    #[error("{}: damaged: {what}; stop writing, keep a copy of the file, and restore it from a backup or replica", .path.display())]
    Corrupt {
        /// The ledger.
        path: PathBuf,
        /// What does not fit.
        what: String,
        /// SQLite's words, where it was SQLite who noticed.
        source: Option<rusqlite::Error>,
    },
    /// Any other failure of SQLite.
    #[error("{}: the database failed: {source}; check the disk and the system's log, then restart", .path.display())]
    Database {
        /// The ledger.
        path: PathBuf,
        /// SQLite's words.
        source: rusqlite::Error,
    },
    /// A failure of the file system.
    #[error("{}: cannot {doing}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// An entry is larger than the tiles' length prefix can say.
    #[error(
        "entry {number} of the batch has {bytes} bytes; permitted: at most 65,535, larger bodies go into chunk records"
    )]
    EntryTooLarge {
        /// Zero-based place in the batch.
        number: usize,
        /// Its size.
        bytes: usize,
    },
    /// An entry, hash or size that the log does not have (yet).
    #[error("{asked} is not in the log, which has {size} entries")]
    OutOfRange {
        /// What was asked for.
        asked: String,
        /// The log's size.
        size: u64,
    },
    /// A checkpoint or an export's files contradict the log.
    #[error("{what} contradicts the log: {why}")]
    Conflict {
        /// The checkpoint or file.
        what: String,
        /// How.
        why: String,
    },
    /// Malformed arguments, as the core words it.
    #[error(transparent)]
    Core(#[from] stele_core::Error),
}

impl LedgerError {
    /// Sorts SQLite's failures by what mends them.
    pub(crate) fn sql(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path, source },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path, source },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt {
                path,
                what: "SQLite cannot make sense of the file".to_owned(),
                source: Some(source),
            },
            _ => Self::Database { path, source },
        }
    }

    pub(crate) fn corrupt(path: &Path, what: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            what: what.into(),
            source: None,
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}
