//! Bodies too large for one entry are split into chunk records, written before the record that names them, so that
//! the tiles alone still hold everything.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::types::{B64, Digest};

/// The most bytes that stand inside a record; more are chunked. Base64 makes 32 KiB of them 43 KiB of JSON, which
/// leaves room for the rest of a record under [`super::MAX_RECORD`].
pub const MAX_INLINE: usize = 32 * 1024;

/// A part of a large body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    /// SHA-256 of the whole body.
    pub sha256: Digest,
    /// Zero-based number of this part.
    pub part: u32,
    /// The part's bytes, at most [`MAX_INLINE`].
    pub data: B64,
}

/// Bytes that stand here, or in the chunk records named here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// The bytes themselves.
    Inline(B64),
    /// The whole is the concatenation of the chunk records at these indexes.
    Chunks {
        /// SHA-256 of the whole.
        sha256: Digest,
        /// Length of the whole in bytes.
        length: u64,
        /// Indexes of the chunk records, in order.
        at: Vec<u64>,
    },
}

/// Where chunk records are read from: the log itself.
pub trait ChunkSource {
    /// The chunk recorded at `index`, or `None` when there is no chunk record there.
    fn chunk(&self, index: u64) -> Option<Chunk>;
}

impl Payload {
    /// The whole bytes; chunks are fetched and checked against the named length and digest.
    ///
    /// # Errors
    /// When a chunk is missing, out of order, or the whole does not have the named digest.
    pub fn resolve(&self, source: &dyn ChunkSource) -> Result<Vec<u8>, Error> {
        let (sha256, length, at) = match self {
            Self::Inline(bytes) => return Ok(bytes.0.clone()),
            Self::Chunks { sha256, length, at } => (sha256, *length, at),
        };
        let mut whole = Vec::new();
        for (part, index) in at.iter().enumerate() {
            let chunk = source.chunk(*index).ok_or_else(|| {
                Error::malformed(
                    "payload",
                    format!("no chunk at index {index}"),
                    "chunk records written before the record that names them",
                )
            })?;
            if chunk.sha256 != *sha256 || usize::try_from(chunk.part) != Ok(part) || chunk.data.0.len() > MAX_INLINE {
                return Err(Error::malformed(
                    "payload",
                    format!("another body's chunk at index {index}"),
                    format!("part {part} of {sha256}"),
                ));
            }
            whole.extend_from_slice(&chunk.data.0);
        }
        if whole.len() as u64 != length || Digest::of(&whole) != *sha256 {
            return Err(Error::unverified(
                "payload",
                format!(
                    "{} bytes with digest {}, not {length} with {sha256}",
                    whole.len(),
                    Digest::of(&whole)
                ),
            ));
        }
        Ok(whole)
    }

    /// Splits `whole` when it must be: the chunks to append first, in order, and a function that makes the payload
    /// from the indexes that they got.
    #[must_use]
    pub fn split(whole: &[u8]) -> Vec<Chunk> {
        if whole.len() <= MAX_INLINE {
            return Vec::new();
        }
        let sha256 = Digest::of(whole);
        (0u32..)
            .zip(whole.chunks(MAX_INLINE))
            .map(|(part, data)| Chunk {
                sha256,
                part,
                data: B64(data.to_vec()),
            })
            .collect()
    }

    /// The payload of `whole`, whose chunks (if [`Payload::split`] made any) stand at `at`.
    #[must_use]
    pub fn of(whole: &[u8], at: Vec<u64>) -> Self {
        if at.is_empty() {
            Self::Inline(B64(whole.to_vec()))
        } else {
            Self::Chunks {
                sha256: Digest::of(whole),
                length: whole.len() as u64,
                at,
            }
        }
    }
}
