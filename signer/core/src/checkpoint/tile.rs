//! C2SP tlog-tiles: the paths of tiles and entry bundles, and their bytes.

use std::fmt;
use std::str::FromStr;

use super::{decimal, malformed};
use crate::error::Error;
use crate::merkle::{self, Hash, HashReader};

/// How many hashes a full tile holds, and entries a full bundle.
pub const FULL_WIDTH: u64 = 256;
/// Levels of the tree that one level of tiles spans.
const TILE_HEIGHT: u8 = 8;
/// The highest tile level that a path can name.
const MAX_LEVEL: u8 = 63;
/// The largest entry, in bytes: its length prefix has 16 bits.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes of the given tile level: full subtrees of height `8 * level`. At most 63.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

/// The path of a tile or entry bundle: `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    /// 1 to 256; 256 is a full tile.
    width: u16,
}

impl TilePath {
    /// The path of the tile with this index and width; a width of 256 makes it full.
    ///
    /// # Errors
    /// When the level is above 63, or the width not between 1 and 256.
    pub fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, Error> {
        match kind {
            TileKind::Hashes(level) if level > MAX_LEVEL => {
                Err(Error::malformed("tile level", level.to_string(), "0 to 63"))
            }
            _ if width == 0 || u64::from(width) > FULL_WIDTH => {
                Err(Error::malformed("tile width", width.to_string(), "1 to 256"))
            }
            _ => Ok(Self { kind, index, width }),
        }
    }

    /// What the tile holds.
    #[must_use]
    pub const fn kind(&self) -> TileKind {
        self.kind
    }

    /// The index of the tile among those of its level.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries the tile holds, 1 to 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether the tile is full and so never changes again.
    #[must_use]
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == FULL_WIDTH
    }

    /// Whether a tree of `size` entries has all that this tile holds.
    #[must_use]
    pub fn is_within(&self, size: u64) -> bool {
        let level = match self.kind {
            TileKind::Hashes(level) => level,
            TileKind::Entries => 0,
        };
        let end = self
            .index
            .checked_mul(FULL_WIDTH)
            .and_then(|start| start.checked_add(self.width.into()));
        end.is_some_and(|end| end <= items(size, level))
    }

    /// The index of the first hash or entry that the tile holds. Saturates far beyond any tree.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.index.saturating_mul(FULL_WIDTH)
    }

    /// The bytes of a hash tile, its hashes read from `reader`.
    ///
    /// # Errors
    /// When this is an entry bundle or not within the tree of `size` entries, and what `reader` reports.
    pub fn hash_tile<R: HashReader>(&self, size: u64, reader: &R) -> Result<Vec<u8>, R::Error> {
        let TileKind::Hashes(level) = self.kind else {
            return Err(malformed("tile", &self.to_string(), "a hash tile").into());
        };
        self.require_within(size)?;
        let mut bytes = Vec::with_capacity(usize::from(self.width) * 32);
        for offset in 0..u64::from(self.width) {
            // A level within a tree is at most 7, an index far below 2^64.
            bytes.extend_from_slice(&reader.hash(level * TILE_HEIGHT, self.start() + offset)?.0);
        }
        Ok(bytes)
    }

    /// Refuses a tile that a tree of `size` entries does not have.
    ///
    /// # Errors
    /// When the tile is not within the tree.
    pub fn require_within(&self, size: u64) -> Result<(), Error> {
        if self.is_within(size) {
            return Ok(());
        }
        Err(malformed(
            "tile",
            &self.to_string(),
            &format!("a tile of the tree of {size} entries"),
        ))
    }
}

/// How many hashes the tile level has in a tree of `size` entries.
pub(super) fn items(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0)
}

/// All tiles and bundles that the tree of `size` entries has, full and partial; empty ones do not exist.
pub fn tiles(size: u64) -> impl Iterator<Item = TilePath> {
    let levels = (0..=MAX_LEVEL)
        .map(TileKind::Hashes)
        .take_while(move |kind| match kind {
            TileKind::Hashes(level) => items(size, *level) > 0,
            TileKind::Entries => false,
        });
    std::iter::once(TileKind::Entries).chain(levels).flat_map(move |kind| {
        let items = match kind {
            TileKind::Entries => size,
            TileKind::Hashes(level) => items(size, level),
        };
        (0..items.div_ceil(FULL_WIDTH)).map(move |index| TilePath {
            kind,
            index,
            // At most 256.
            width: (items - index * FULL_WIDTH).min(FULL_WIDTH) as u16,
        })
    })
}

/// Reads a hash tile's bytes.
///
/// # Errors
/// When there are not 1 to 256 hashes.
pub fn decode_hashes(tile: &[u8]) -> Result<Vec<Hash>, Error> {
    let (hashes, rest) = tile.as_chunks::<32>();
    if hashes.is_empty() || hashes.len() as u64 > FULL_WIDTH || !rest.is_empty() {
        return Err(Error::malformed(
            "hash tile",
            format!("{} bytes", tile.len()),
            "1 to 256 hashes of 32 bytes",
        ));
    }
    Ok(hashes.iter().copied().map(crate::types::Digest).collect())
}

/// The bytes of an entry bundle: each entry after its length, 16 bits big-endian.
///
/// # Errors
/// When an entry has more than 65,535 bytes.
pub fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for entry in entries {
        push_entry(&mut bytes, entry.as_ref())?;
    }
    Ok(bytes)
}

pub(super) fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), Error> {
    let length = u16::try_from(entry.len())
        .map_err(|_| Error::malformed("log entry", format!("{} bytes", entry.len()), "at most 65,535 bytes"))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Reads an entry bundle's bytes.
///
/// # Errors
/// When an entry is cut off, or there are not 1 to 256 entries.
pub fn decode_bundle(bundle: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let bad = |found: String| Error::malformed("entry bundle", found, "1 to 256 entries, each after its 16-bit length");
    let (mut rest, mut entries) = (bundle, Vec::new());
    while !rest.is_empty() {
        let (entry, after) = rest
            .split_first_chunk()
            .and_then(|(length, body)| body.split_at_checked(u16::from_be_bytes(*length).into()))
            .ok_or_else(|| bad(format!("entry {} cut off", entries.len())))?;
        entries.push(entry);
        rest = after;
        if entries.len() as u64 > FULL_WIDTH {
            return Err(bad("more than 256 entries".to_owned()));
        }
    }
    if entries.is_empty() {
        return Err(bad("no entries".to_owned()));
    }
    Ok(entries)
}

/// Verifies that the entries of a bundle are those whose leaf hashes a level 0 tile holds.
///
/// # Errors
/// When their number or a hash differs.
pub fn verify_bundle(entries: &[&[u8]], leaf_hashes: &[Hash]) -> Result<(), Error> {
    let hashes = entries.iter().map(|e| merkle::leaf_hash(e));
    if hashes.eq(leaf_hashes.iter().copied()) {
        return Ok(());
    }
    Err(Error::unverified(
        "entry bundle",
        "its entries are not those of the level 0 tile",
    ))
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}")?,
            TileKind::Entries => write!(f, "tile/entries")?,
        }
        // Three digits a path element; all but the last begin with an x, so that no file is also a directory.
        let elements = self.index.checked_ilog(1000).unwrap_or(0);
        for element in (0..=elements).rev() {
            let digits = self.index / 1000_u64.pow(element) % 1000;
            write!(f, "/{}{digits:03}", if element > 0 { "x" } else { "" })?;
        }
        if self.is_full() {
            Ok(())
        } else {
            write!(f, ".p/{}", self.width)
        }
    }
}

impl FromStr for TilePath {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self, Error> {
        let bad = || {
            malformed(
                "tile path",
                path,
                "tile/<L>/<N>[.p/<W>] or tile/entries/<N>[.p/<W>] (C2SP tlog-tiles)",
            )
        };
        let rest = path.strip_prefix("tile/").ok_or_else(bad)?;
        let (kind, rest) = rest.split_once('/').ok_or_else(bad)?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(decimal("tile level", level)?.try_into().map_err(|_| bad())?),
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, decimal("tile width", width)?),
            None => (rest, FULL_WIDTH),
        };
        let mut number = 0_u64;
        for element in index.split('/') {
            let digits = element.strip_prefix('x').unwrap_or(element);
            let digits: u64 = digits.parse().ok().filter(|d| *d < 1000).ok_or_else(bad)?;
            number = number
                .checked_mul(1000)
                .and_then(|n| n.checked_add(digits))
                .ok_or_else(bad)?;
        }
        let tile = Self::new(kind, number, width.try_into().map_err(|_| bad())?)?;
        // One tile, one path: whatever is not written as we would write it is refused.
        if tile.to_string() == path { Ok(tile) } else { Err(bad()) }
    }
}
