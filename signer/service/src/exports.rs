//! Export directories that the log is held against at the start: a log behind one was rolled back.

use std::path::{Path, PathBuf};

use stele_core::Error;
use stele_core::checkpoint::{NoteVerifier, open};
use stele_core::types::{Digest, Origin};

use crate::error::SignerError;

/// Refuses a log that is not a continuation of every export there is. A directory without a checkpoint holds none yet.
///
/// # Errors
/// When a checkpoint does not read or verify, is of another log, or is ahead of this one or another history.
pub(crate) fn check(
    directories: &[PathBuf],
    (origin, vkey): (&Origin, &str),
    log_size: u64,
    root_at: impl Fn(u64) -> Result<Digest, SignerError>,
) -> Result<(), SignerError> {
    let verifiers = [vkey.parse::<NoteVerifier>()?];
    for directory in directories {
        let path = directory.join("checkpoint");
        let note = match std::fs::read_to_string(&path) {
            Ok(note) => note,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                tracing::warn!(directory = %directory.display(), "no export there yet, so the log is not held against it");
                continue;
            }
            Err(cause) => return Err(SignerError::file(&path, cause)),
        };
        let (checkpoint, _) = open(&note, &verifiers).map_err(|e| of(&path, &e))?;
        if checkpoint.origin != *origin {
            let other = Error::malformed("origin", checkpoint.origin.to_string(), origin.to_string());
            return Err(of(&path, &other));
        }
        if checkpoint.size > log_size {
            return Err(SignerError::other(format!(
                "{}: the export has {} records, the log only {log_size}: the log was set back; restore a newer copy, or \
                 begin a new epoch with a DISCONTINUITY; nothing is signed in this log",
                path.display(),
                checkpoint.size
            )));
        }
        let root = root_at(checkpoint.size)?;
        if root != checkpoint.root {
            return Err(SignerError::other(format!(
                "{}: the log had another tree at {} records: its history was rewritten; nothing is signed in this log",
                path.display(),
                checkpoint.size
            )));
        }
    }
    Ok(())
}

fn of(path: &Path, error: &Error) -> SignerError {
    SignerError::other(format!("exports: {}: {error}", path.display()))
}
