//! The log's tree, read through the keeper's tiles.

use stele_core::Error;
use stele_core::checkpoint::Checkpoint;
use stele_core::checkpoint::tile::decode_hashes;
use stele_core::merkle::{self, Hash, HashReader, node_hash};
use stele_core::record::{Body, Chunk, ChunkSource, Payload};
use stele_core::types::Digest;
use stele_keeper_client::Client;

use crate::error::SignerError;

/// Hashes of full subtrees, computed from hash tiles.
pub(crate) struct TileHashes<'k>(pub(crate) &'k Client);

impl HashReader for TileHashes<'_> {
    type Error = SignerError;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, SignerError> {
        // A tile of level t holds the roots of subtrees of height 8t; a subtree of another height is a run of them.
        let (tile_level, height) = (level / 8, u32::from(level % 8));
        let run = 1u64 << height;
        let first = index.saturating_mul(run);
        let offset = first % 256;
        let missing = || Error::malformed("subtree", format!("{index} of level {level}"), "a subtree of the log");
        let width = u16::try_from(offset + run).map_err(|_| missing())?;
        let tile = self.0.tile(tile_level, first / 256, width)?;
        let mut hashes: Vec<Hash> = decode_hashes(&tile)?
            .into_iter()
            .skip(usize::try_from(offset).unwrap_or(usize::MAX))
            .collect();
        while hashes.len() > 1 {
            hashes = hashes
                .chunks(2)
                .filter_map(|pair| pair.first().zip(pair.get(1)))
                .map(|(left, right)| node_hash(left, right))
                .collect();
        }
        Ok(hashes.first().copied().ok_or_else(missing)?)
    }
}

/// The root of the log's first `size` entries.
///
/// # Errors
/// When the keeper has no such tree.
pub(crate) fn root(keeper: &Client, size: u64) -> Result<Digest, SignerError> {
    merkle::root(size, &TileHashes(keeper))
}

/// The newest checkpoint, as a note and read.
///
/// # Errors
/// When the keeper gives none.
pub(crate) fn checkpoint(keeper: &Client) -> Result<(String, Checkpoint), SignerError> {
    let note = keeper.checkpoint()?;
    let checkpoint = Checkpoint::from_note_unverified(&note)?;
    Ok((note, checkpoint))
}

/// The checkpoint for the public, as a note and read.
///
/// # Errors
/// When the keeper gives none.
pub(crate) fn published(keeper: &Client) -> Result<(String, Checkpoint), SignerError> {
    let note = keeper.published()?;
    let checkpoint = Checkpoint::from_note_unverified(&note)?;
    Ok((note, checkpoint))
}

/// Chunks, read from the log.
pub(crate) struct LogChunks<'k>(pub(crate) &'k Client);

impl ChunkSource for LogChunks<'_> {
    fn chunk(&self, index: u64) -> Option<Chunk> {
        match self.0.record(index).ok()?.body {
            Body::Chunk(chunk) => Some(chunk),
            _ => None,
        }
    }
}

/// The whole of a payload.
///
/// # Errors
/// When the log does not hold it.
pub(crate) fn resolve(keeper: &Client, payload: &Payload) -> Result<Vec<u8>, SignerError> {
    Ok(payload.resolve(&LogChunks(keeper))?)
}
