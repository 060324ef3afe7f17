//! What is done with the log's file beside a running keeper: it is copied and exported.

use std::path::Path;

use stele_ledger::LedgerReader;

use crate::config::Config;
use crate::error::KeeperError;

/// Copies the log, whole and durable, into a new file.
///
/// # Errors
/// When there is no log, or a file in the way.
pub(crate) fn backup(config: &Config, file: &Path) -> Result<(), KeeperError> {
    let size = LedgerReader::open(&config.ledger)?.backup(file)?;
    println!("{}: {size} records", file.display());
    Ok(())
}

/// Exports the log up to its newest stored checkpoint.
///
/// # Errors
/// When there is no log or no checkpoint, or an older export there contradicts it.
pub(crate) fn export(config: &Config, directory: &Path) -> Result<(), KeeperError> {
    let reader = LedgerReader::open(&config.ledger)?;
    let (size, note) = newest(&reader)?;
    stele_ledger::export(&reader, size, &note, directory)?;
    println!("{}: {size} of {} records", directory.display(), reader.size()?);
    Ok(())
}

fn newest(reader: &LedgerReader) -> Result<(u64, String), KeeperError> {
    reader
        .checkpoint()?
        .ok_or_else(|| KeeperError::Stopped("the log has no stored checkpoint; start the keeper once".to_owned()))
}
