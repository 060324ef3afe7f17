//! From entries to the files of a static log: the plan of an export, whoever writes it and wherever entries come from.

use super::tile::{FULL_WIDTH, TileKind, TilePath, push_entry};
use crate::error::Error;
use crate::merkle::{self, Frontier, Hash};

/// A file of a static log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileFile {
    /// Its path.
    pub path: TilePath,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// The tile or bundle at the right edge of its level, while it fills.
#[derive(Clone, Debug, Default)]
struct Edge {
    index: u64,
    /// Below 256.
    width: u16,
    bytes: Vec<u8>,
}

impl Edge {
    /// Counts one more item, whose bytes have been added; returns the tile when this fills it.
    fn count(&mut self, kind: TileKind) -> Result<Option<TileFile>, Error> {
        self.width += 1;
        if u64::from(self.width) < FULL_WIDTH {
            return Ok(None);
        }
        let next = Self {
            index: self.index + 1,
            ..Self::default()
        };
        std::mem::replace(self, next).into_file(kind)
    }

    /// The tile, unless it is empty.
    fn into_file(self, kind: TileKind) -> Result<Option<TileFile>, Error> {
        if self.width == 0 {
            return Ok(None);
        }
        let path = TilePath::new(kind, self.index, self.width)?;
        Ok(Some(TileFile {
            path,
            bytes: self.bytes,
        }))
    }
}

/// Turns a log's entries, pushed in order from the first, into its tiles and bundles. It hashes everything itself, so that the
/// root at the end tells whether the entries were the ones that a checkpoint covers. Memory does not grow with the log.
#[derive(Clone, Debug, Default)]
pub struct Tiler {
    frontier: Frontier,
    entries: Edge,
    /// One for each level of hash tiles.
    hashes: Vec<Edge>,
}

impl Tiler {
    /// A tiler for a log's entries from the first on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries were pushed.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root over the entries that were pushed.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Adds the next entry; returns the full tiles and bundle that it completes.
    ///
    /// # Errors
    /// When the entry has more than 65,535 bytes; the tiler then is as before.
    pub fn push(&mut self, entry: &[u8]) -> Result<Vec<TileFile>, Error> {
        push_entry(&mut self.entries.bytes, entry)?;
        let mut full = Vec::from_iter(self.entries.count(TileKind::Entries)?);
        // Tiles hold every eighth level of the tree; a full tile's root is a hash of the tile level above.
        let tiled = self.frontier.push(merkle::leaf_hash(entry)).into_iter().step_by(8);
        for (level, subtree) in (0..).zip(tiled) {
            if self.hashes.len() <= usize::from(level) {
                self.hashes.push(Edge::default());
            }
            if let Some(edge) = self.hashes.get_mut(usize::from(level)) {
                edge.bytes.extend_from_slice(&subtree.hash.0);
                full.extend(edge.count(TileKind::Hashes(level))?);
            }
        }
        Ok(full)
    }

    /// The partial tiles and bundle at the right edge, and nothing for those that are empty.
    ///
    /// # Errors
    /// Never for a tiler that was filled by [`Tiler::push`].
    pub fn partials(self) -> Result<Vec<TileFile>, Error> {
        let hashes = (0..).map(TileKind::Hashes).zip(self.hashes);
        std::iter::once((TileKind::Entries, self.entries))
            .chain(hashes)
            .filter_map(|(kind, edge)| edge.into_file(kind).transpose())
            .collect()
    }
}
