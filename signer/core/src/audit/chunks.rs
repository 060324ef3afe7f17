//! Chunk records that wait for the record that names them.

use std::collections::BTreeMap;

use crate::record::{Chunk, ChunkSource, MAX_INLINE, Payload};

use super::report::{Finding, Tally};

/// So many bytes may wait; a CRL of a million entries has about 40 MiB.
const MAX_WAITING: usize = 128 * 1024 * 1024;

/// The chunks that no record has named yet.
#[derive(Default)]
pub(super) struct Chunks {
    waiting: BTreeMap<u64, Chunk>,
    bytes: usize,
}

impl ChunkSource for Chunks {
    fn chunk(&self, index: u64) -> Option<Chunk> {
        self.waiting.get(&index).cloned()
    }
}

impl Chunks {
    pub(super) fn add(&mut self, index: u64, chunk: Chunk, tally: &mut Tally) {
        let length = chunk.data.0.len();
        if length > MAX_INLINE || length == 0 {
            let expected = format!("1 to {MAX_INLINE} bytes");
            tally.add(Finding::at(index, "chunk", format!("{length} bytes"), expected));
        }
        if self.bytes + length > MAX_WAITING {
            let expected = format!("at most {MAX_WAITING} bytes of chunks before the record that names them");
            tally.add(Finding::at(
                index,
                "chunk",
                "more chunks that no record has named",
                expected,
            ));
            return;
        }
        self.bytes += length;
        self.waiting.insert(index, chunk);
    }

    /// The whole bytes of a payload. Its chunks are named now, and go.
    pub(super) fn take(&mut self, index: u64, payload: &Payload, tally: &mut Tally) -> Option<Vec<u8>> {
        let whole = tally.check(index, "chunks", payload.resolve(self));
        if let Payload::Chunks { at, .. } = payload {
            for chunk in at.iter().filter_map(|i| self.waiting.remove(i)) {
                self.bytes = self.bytes.saturating_sub(chunk.data.0.len());
            }
        }
        whole
    }

    /// What nobody named: a process that died between the chunks and the record leaves such.
    pub(super) fn left_over(&self) -> Option<Finding> {
        let (first, _) = self.waiting.first_key_value()?;
        let found = format!(
            "{} chunks that no record names, the first of them here",
            self.waiting.len()
        );
        Some(Finding::at(*first, "chunks", found, "a later record that names each chunk").note())
    }
}
