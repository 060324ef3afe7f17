//! What can go wrong with the index, and what mends it.

use std::path::{Path, PathBuf};

use stele_core::types::{Digest, Origin};

/// A failure of the index. None of them leaves half of a batch behind.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// SQLite failed.
    #[error("{}: the index cannot be read or written; check its directory, mode and disk; if it is damaged, delete the file and run `stele-signer reindex`", .path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        source: rusqlite::Error,
    },
    /// The file is no index of this format.
    #[error("{}: not an index of this version: {found}; delete the file and run `stele-signer reindex`", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// The file indexes another log.
    #[error("{}: the index of the log {found}, not of {expected}; check the configured paths, or delete the file and run `stele-signer reindex`", .path.display())]
    OtherLog {
        /// The file.
        path: PathBuf,
        /// The origin in it.
        found: Origin,
        /// The origin that was asked for.
        expected: Origin,
    },
    /// The log has fewer records than were once read from it: it was rolled back or replaced (design: start-up).
    #[error(
        "the log has {log} records, but {index} were read from it before: it was rolled back or replaced; restore it, and delete the index only when the shorter log is known to be the right one"
    )]
    Behind {
        /// Records in the log now.
        log: u64,
        /// Records that the index has applied.
        index: u64,
    },
    /// The log has another history than the one that was read from it.
    #[error(
        "the first {size} records of the log have the root {log}, but those read from it had {index}: it was replaced or altered; restore it, and delete the index only when this log is known to be the right one"
    )]
    Diverged {
        /// How many records.
        size: u64,
        /// The log's root over them.
        log: Digest,
        /// The root over what was applied.
        index: Digest,
    },
    /// Records were left out.
    #[error("record {found} was given, but {expected} comes next; read the log from there")]
    Gap {
        /// The index that comes next.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// The newest bundle's bytes are not in the log in full.
    #[error(
        "the bundle at record {index} cannot be put together from its chunks: {why}; adopt it again with `stele-signer apply`"
    )]
    BundleUnreadable {
        /// Index of the record.
        index: u64,
        /// What does not fit.
        why: String,
    },
    /// Something in the file does not read.
    #[error("the index is damaged; delete the file and run `stele-signer reindex`")]
    Damaged(#[from] stele_core::Error),
}

impl IndexError {
    pub(crate) fn sql(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |source| Self::Database {
            path: path.to_owned(),
            source,
        }
    }
}
