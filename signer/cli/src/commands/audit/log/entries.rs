//! A log's entries in order, for whoever searches and counts: held against the checkpoint, not judged.

use std::ops::Range;

use stele_core::checkpoint::tile::{FULL_WIDTH, TileKind, TilePath, decode_bundle};
use stele_core::checkpoint::{Checkpoint, NoteVerifier, open};
use stele_core::merkle::{Frontier, Hash, leaf_hash};

use super::Log;
use crate::error::CliError;
use crate::output::Progress;
use crate::pool::{Judged, Step, pipeline};

/// Reads every entry. `look` sees each on any core, `take` what it answered, in order. Afterwards the entries are those
/// that the checkpoint covers, and its signature is the log's, where `verifier` is given.
///
/// # Errors
/// When a tile is missing or does not read, the root is another than the checkpoint's, or its signature does not
/// verify; and what `take` reports.
pub(in crate::commands::audit) fn scan<T: Send>(
    log: &Log,
    verifier: Option<&NoteVerifier>,
    look: impl Fn(u64, &[u8]) -> T + Sync,
    mut take: impl FnMut(u64, T) -> Result<(), CliError>,
) -> Result<Checkpoint, CliError> {
    let head = head(log, verifier)?;
    let mut frontier = Frontier::new();
    read(log, 0..head.size, head.size, look, |index, leaf, seen| {
        frontier.push(leaf);
        take(index, seen)
    })?;
    if frontier.root() == head.root {
        return Ok(head);
    }
    Err(CliError::Refused(format!(
        "the entries are not those of the checkpoint: root {} over them, {} in it; run `stele audit verify`",
        frontier.root(),
        head.root
    )))
}

/// Reads the entries of `range` that there are, without comparing them with anything.
///
/// # Errors
/// As [`scan`], but for the root.
pub(in crate::commands::audit) fn scan_from<T: Send>(
    log: &Log,
    verifier: Option<&NoteVerifier>,
    range: Range<u64>,
    look: impl Fn(u64, &[u8]) -> T + Sync,
    mut take: impl FnMut(u64, T) -> Result<(), CliError>,
) -> Result<Checkpoint, CliError> {
    let head = head(log, verifier)?;
    read(log, range, head.size, look, |index, _, seen| take(index, seen))?;
    Ok(head)
}

fn head(log: &Log, verifier: Option<&NoteVerifier>) -> Result<Checkpoint, CliError> {
    Ok(match verifier {
        Some(verifier) => open(log.note(), std::slice::from_ref(verifier))?.0,
        None => Checkpoint::from_note_unverified(log.note())?,
    })
}

fn read<T: Send>(
    log: &Log,
    range: Range<u64>,
    size: u64,
    look: impl Fn(u64, &[u8]) -> T + Sync,
    mut take: impl FnMut(u64, Hash, T) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut progress = Progress::new("read");
    let bundle = |number: u64| -> Result<Vec<(u64, Hash, T)>, CliError> {
        let width = u16::try_from((size - number * FULL_WIDTH).min(FULL_WIDTH)).unwrap_or(256);
        let path = TilePath::new(TileKind::Entries, number, width)?;
        let bytes = log
            .read(path)?
            .ok_or_else(|| CliError::Refused(format!("{path} is not there")))?;
        let entries = decode_bundle(&bytes).map_err(|e| CliError::Refused(format!("{path}: {e}")))?;
        if entries.len() != usize::from(width) {
            let found = entries.len();
            return Err(CliError::Refused(format!(
                "{path}: found {found} entries; expected {width}"
            )));
        }
        let entries = (path.start()..).zip(entries).filter(|(index, _)| range.contains(index));
        Ok(entries
            .map(|(index, entry)| (index, leaf_hash(entry), look(index, entry)))
            .collect())
    };
    let judge = |step: Step<_, ()>| {
        if let Step::Next(bundle) = step {
            for (index, leaf, seen) in bundle? {
                take(index, leaf, seen)?;
                progress.at(index, size);
            }
        }
        Ok(Judged::<()>::More(Vec::new()))
    };
    let numbers = range.start.min(size) / FULL_WIDTH..range.end.min(size).div_ceil(FULL_WIDTH);
    pipeline(numbers, log.threads(), bundle, |()| (), judge)
}
