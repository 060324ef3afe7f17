//! The log's store: an append-only Merkle log and the keeper's judging state, in one SQLite file.
//!
//! **One writer.** A [`Ledger`] holds an exclusive lock for its life; any number of [`LedgerReader`]s, each with a
//! connection of its own, read beside it. What has been read once never changes: only the size grows.
//!
//! **Durable or not at all.** An append is one transaction over entries, tree hashes and state (WAL,
//! `synchronous=FULL`), and on disk when the call returns. Memory follows the disk, never the other way round.
//!
//! What is deliberately absent: records, keys and clocks. Entries are bytes here, and a checkpoint's signature is
//! verified by whoever made it.

mod backup;
mod error;
mod export;
mod ledger;
mod reader;
mod recent;
mod store;
#[cfg(test)]
mod tests;

pub use error::LedgerError;
pub use export::export;
pub use ledger::{Change, KeyValue, Ledger};
pub use reader::LedgerReader;
pub use recent::RecentHashes;
