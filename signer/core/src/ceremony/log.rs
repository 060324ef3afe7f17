//! A whole log in memory, and as the files of a static one: ceremonies have a few dozen records.

use std::collections::{BTreeMap, HashMap};

use crate::checkpoint::tile::{TileKind, decode_bundle};
use crate::checkpoint::tiler::Tiler;
use crate::checkpoint::{self, Checkpoint, NoteVerifier, TlogProof, tile};
use crate::error::Error;
use crate::merkle::{self, Frontier, Hash, HashReader};
use crate::record::Record;

/// Where the checkpoint lies in an exported log.
const CHECKPOINT: &str = "checkpoint";

/// A log whose entries are those of its signed checkpoint.
#[derive(Clone, Debug)]
pub struct WholeLog {
    note: String,
    checkpoint: Checkpoint,
    entries: Vec<Vec<u8>>,
    hashes: HashMap<(u8, u64), Hash>,
}

impl HashReader for WholeLog {
    type Error = Error;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Error> {
        let missing = || Error::malformed("tree", format!("no hash {level}/{index}"), "a full subtree");
        self.hashes.get(&(level, index)).copied().ok_or_else(missing)
    }
}

impl WholeLog {
    /// Joins entries and the checkpoint over them.
    ///
    /// # Errors
    /// When the checkpoint is not signed by `vkey` or is one over other entries.
    pub fn new(note: String, vkey: &str, entries: Vec<Vec<u8>>) -> Result<Self, Error> {
        let verifiers = [vkey.parse::<NoteVerifier>()?];
        let (checkpoint, _) = checkpoint::open(&note, &verifiers)?;
        let (mut frontier, mut hashes) = (Frontier::new(), HashMap::new());
        for entry in &entries {
            let completed = frontier.push(merkle::leaf_hash(entry));
            hashes.extend(completed.into_iter().map(|s| ((s.level, s.index), s.hash)));
        }
        if frontier.size() != checkpoint.size || frontier.root() != checkpoint.root {
            let why = format!(
                "it is over {} entries with another root, not over these {}",
                checkpoint.size,
                entries.len()
            );
            return Err(Error::unverified("checkpoint", why));
        }
        Ok(Self {
            note,
            checkpoint,
            entries,
            hashes,
        })
    }

    /// Reads the files of a static log: paths relative to its directory, and their bytes.
    ///
    /// # Errors
    /// When a file is missing, altered or one too many, or the checkpoint does not open.
    pub fn from_files(files: &BTreeMap<String, Vec<u8>>, vkey: &str) -> Result<Self, Error> {
        let missing = |path: &str| Error::malformed("log", format!("no file `{path}`"), "every file of the export");
        let note = files.get(CHECKPOINT).ok_or_else(|| missing(CHECKPOINT))?;
        let note = String::from_utf8(note.clone())
            .map_err(|_| Error::malformed("checkpoint", "bytes that are no UTF-8", "a signed note"))?;
        // The size is not trusted yet, but no larger than the files that are there.
        let size = Checkpoint::from_note_unverified(&note)?.size;
        let mut entries = Vec::new();
        for path in tile::tiles(size).take_while(|path| path.kind() == TileKind::Entries) {
            let path = path.to_string();
            let bundle = files.get(&path).ok_or_else(|| missing(&path))?;
            entries.extend(decode_bundle(bundle)?.into_iter().map(<[u8]>::to_vec));
        }
        let log = Self::new(note, vkey, entries)?;
        let expected = log.files()?;
        match files
            .keys()
            .chain(expected.keys())
            .find(|path| files.get(*path) != expected.get(*path))
        {
            None => Ok(log),
            Some(path) => Err(Error::unverified(
                format!("log, file `{path}`"),
                "it is missing, altered or does not belong to this checkpoint",
            )),
        }
    }

    /// The files of the static log (C2SP tlog-tiles).
    ///
    /// # Errors
    /// Never for entries that came from a log.
    pub fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let (mut tiler, mut tiles) = (Tiler::new(), Vec::new());
        for entry in &self.entries {
            tiles.extend(tiler.push(entry)?);
        }
        tiles.extend(tiler.partials()?);
        let tiles = tiles.into_iter().map(|tile| (tile.path.to_string(), tile.bytes));
        Ok(tiles
            .chain([(CHECKPOINT.to_owned(), self.note.clone().into_bytes())])
            .collect())
    }

    /// The signed checkpoint.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// What the checkpoint says.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }

    /// The records.
    ///
    /// # Errors
    /// Naming the first entry that is no canonical record, or one of another index.
    pub fn records(&self) -> Result<Vec<Record>, Error> {
        (0..)
            .zip(&self.entries)
            .map(|(index, entry)| record_at(index, entry))
            .collect()
    }

    /// The root of the tree of the first `size` entries.
    ///
    /// # Errors
    /// When it has fewer.
    pub fn root_at(&self, size: u64) -> Result<Hash, Error> {
        merkle::root(size, self)
    }

    /// The proof that an entry stands in the log, with the entry itself.
    ///
    /// # Errors
    /// When there is none at `index`.
    pub fn proof(&self, index: u64) -> Result<TlogProof, Error> {
        let place = usize::try_from(index).ok();
        Ok(TlogProof {
            extra: place.and_then(|i| self.entries.get(i)).cloned(),
            index,
            hashes: merkle::inclusion_proof(index, self.checkpoint.size, self)?,
            checkpoint: self.note.clone(),
        })
    }
}

/// The record of an entry, whose index must be its place.
///
/// # Errors
/// When it is not canonical or names another index.
pub fn record_at(index: u64, entry: &[u8]) -> Result<Record, Error> {
    let record = Record::decode(entry)?;
    if record.index != index {
        let found = format!("a record that says it is {}", record.index);
        return Err(Error::malformed(format!("entry {index}"), found, "its own index"));
    }
    Ok(record)
}
