//! From entries to the files of a static log: the plan of an export, whoever writes it and wherever entries come from.

use super::tile::{FULL_WIDTH, TileKind, TilePath, decode_bundle, decode_hashes, items, push_entry, verify_bundle};
use crate::error::Error;
use crate::merkle::{self, Frontier, Hash, HashReader};

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

/// Turns a log's leaf hashes, pushed in order, into its hash tiles. Memory does not grow with the log.
#[derive(Clone, Debug, Default)]
pub struct HashTiler {
    frontier: Frontier,
    /// One for each level of hash tiles.
    edges: Vec<Edge>,
}

impl HashTiler {
    /// A tiler for a log's leaf hashes from the first on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A tiler that goes on after `size` entries: `tile` reads the partial hash tiles of that tree, one a level at most,
    /// and nothing else. Whoever wrote them, [`HashTiler::root`] must be the root of a checkpoint that is trusted.
    ///
    /// # Errors
    /// When a tile has not the hashes that its path says, and what `tile` reports.
    pub fn resume<E: From<Error>>(size: u64, mut tile: impl FnMut(TilePath) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        let mut edges = Vec::new();
        for level in 0_u8.. {
            let (index, width) = edge_of(size, level);
            if index == 0 && width == 0 {
                break;
            }
            let mut bytes = Vec::new();
            if width > 0 {
                let path = TilePath::new(TileKind::Hashes(level), index, width)?;
                bytes = tile(path)?;
                if bytes.len() != usize::from(width) * 32 {
                    let found = format!("{} bytes", bytes.len());
                    return Err(
                        Error::malformed(path.to_string(), found, format!("{width} hashes of 32 bytes")).into(),
                    );
                }
            }
            edges.push(Edge { index, width, bytes });
        }
        let frontier = Frontier::load(size, &Edges(&edges))?;
        Ok(Self { frontier, edges })
    }

    /// How many leaf hashes there were.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root over them.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Adds the next leaf hash; returns the full tiles that it completes.
    ///
    /// # Errors
    /// Never for a tiler that this module made.
    pub fn push(&mut self, leaf: Hash) -> Result<Vec<TileFile>, Error> {
        let mut full = Vec::new();
        // Tiles hold every eighth level of the tree; a full tile's root is a hash of the tile level above.
        let tiled = self.frontier.push(leaf).into_iter().step_by(8);
        for (level, subtree) in (0..).zip(tiled) {
            if self.edges.len() <= usize::from(level) {
                self.edges.push(Edge::default());
            }
            if let Some(edge) = self.edges.get_mut(usize::from(level)) {
                edge.bytes.extend_from_slice(&subtree.hash.0);
                full.extend(edge.count(TileKind::Hashes(level))?);
            }
        }
        Ok(full)
    }

    /// The partial tiles at the right edge.
    ///
    /// # Errors
    /// Never for a tiler that this module made.
    pub fn partials(self) -> Result<Vec<TileFile>, Error> {
        let kinds = (0..).map(TileKind::Hashes);
        kinds
            .zip(self.edges)
            .filter_map(|(kind, edge)| edge.into_file(kind).transpose())
            .collect()
    }
}

/// Index and width of the tile that fills at a level of the tree of `size` entries.
fn edge_of(size: u64, level: u8) -> (u64, u16) {
    let items = items(size, level);
    // Below 256.
    (items / FULL_WIDTH, (items % FULL_WIDTH) as u16)
}

/// The hashes at the right edge, read out of partial tiles.
struct Edges<'a>(&'a [Edge]);

impl HashReader for Edges<'_> {
    type Error = Error;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Error> {
        let absent = || Error::malformed("hash tiles", "no hash of this subtree", "the tree's right edge");
        let (tile_level, height) = (level / 8, level % 8);
        let edge = self.0.get(usize::from(tile_level)).ok_or_else(absent)?;
        let start = (index << height)
            .checked_sub(edge.index * FULL_WIDTH)
            .ok_or_else(absent)?;
        let start = usize::try_from(start).map_err(|_| absent())?;
        let (hashes, _) = edge.bytes.as_chunks::<32>();
        let inside = hashes.get(start..start + (1 << height)).ok_or_else(absent)?;
        let mut subtree = Frontier::new();
        for hash in inside {
            subtree.push(crate::types::Digest(*hash));
        }
        Ok(subtree.root())
    }
}

/// Turns a log's entries, pushed in order, into its tiles and bundles. It hashes everything itself, so that the root at
/// the end tells whether the entries were the ones that a checkpoint covers. Memory does not grow with the log.
#[derive(Clone, Debug, Default)]
pub struct Tiler {
    entries: Edge,
    hashes: HashTiler,
}

impl Tiler {
    /// A tiler for a log's entries from the first on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A tiler that goes on after `size` entries: as [`HashTiler::resume`], and `tile` reads the partial entry bundle
    /// too.
    ///
    /// # Errors
    /// When the bundle's entries are not those of the hash tile, and as [`HashTiler::resume`].
    pub fn resume<E: From<Error>>(size: u64, mut tile: impl FnMut(TilePath) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        let hashes = HashTiler::resume(size, &mut tile)?;
        let (index, width) = edge_of(size, 0);
        let mut bytes = Vec::new();
        if width > 0 {
            bytes = tile(TilePath::new(TileKind::Entries, index, width)?)?;
            let leaves = hashes.edges.first().map(|edge| decode_hashes(&edge.bytes));
            verify_bundle(&decode_bundle(&bytes)?, &leaves.transpose()?.unwrap_or_default())?;
        }
        let entries = Edge { index, width, bytes };
        Ok(Self { entries, hashes })
    }

    /// How many entries there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.hashes.size()
    }

    /// The root over them.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.hashes.root()
    }

    /// Adds the next entry; returns the full tiles and bundle that it completes.
    ///
    /// # Errors
    /// When the entry has more than 65,535 bytes; the tiler then is as before.
    pub fn push(&mut self, entry: &[u8]) -> Result<Vec<TileFile>, Error> {
        push_entry(&mut self.entries.bytes, entry)?;
        let mut full = Vec::from_iter(self.entries.count(TileKind::Entries)?);
        full.extend(self.hashes.push(merkle::leaf_hash(entry))?);
        Ok(full)
    }

    /// The partial tiles and bundle at the right edge, and nothing for those that are empty.
    ///
    /// # Errors
    /// Never for a tiler that this module made.
    pub fn partials(self) -> Result<Vec<TileFile>, Error> {
        let mut files = Vec::from_iter(self.entries.into_file(TileKind::Entries)?);
        files.extend(self.hashes.partials()?);
        Ok(files)
    }
}
