//! The log as static tiles (C2SP tlog-tiles), computed when asked for.

use stele_core::Error;
use stele_core::checkpoint::TilePath;
use stele_core::checkpoint::tile::{TileKind, encode_bundle};

use crate::error::SignerError;
use crate::signer::Signer;

/// The bytes of a tile or entry bundle.
///
/// # Errors
/// When the path is none, or the log does not have the tile.
pub(crate) fn read(signer: &Signer, path: &str) -> Result<Vec<u8>, SignerError> {
    let path: TilePath = path.parse()?;
    match path.kind() {
        TileKind::Hashes(level) => Ok(signer.keeper.tile(level, path.index(), path.width())?),
        TileKind::Entries => Ok(encode_bundle(&entries(signer, &path)?)?),
    }
}

fn entries(signer: &Signer, path: &TilePath) -> Result<Vec<Vec<u8>>, SignerError> {
    let width = usize::from(path.width());
    let mut entries = Vec::with_capacity(width);
    // The keeper cuts a page by its size, so it may take several.
    while entries.len() < width {
        let start = path.start().saturating_add(entries.len() as u64);
        let count = u32::try_from(width - entries.len()).unwrap_or(1);
        let page = signer.keeper.entries(start, count)?;
        if page.is_empty() {
            let found = format!("{} entries", entries.len());
            return Err(Error::malformed(path.to_string(), found, "a tile of the log").into());
        }
        entries.extend(page);
    }
    Ok(entries)
}
