//! The files of an exported log: what is there, what belongs, what is left over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stele_core::checkpoint::tile::{TileKind, TilePath, decode_bundle};
use stele_core::checkpoint::{Checkpoint, NoteVerifier, open};

use super::FileFinding;
use crate::error::CliError;
use crate::files;

/// A full entry bundle: 256 entries of at most 65,535 bytes with their lengths; no tile is larger.
const MAX_TILE: u64 = 256 * 65_537;

/// The files below a log's directory, sorted by what they are.
pub(super) struct Directory {
    /// The newest checkpoint's note.
    pub(super) note: String,
    /// Older ones, of an export to write-once storage, verified.
    pub(super) anchors: Vec<Checkpoint>,
    /// Every tile that is there.
    tiles: BTreeMap<TilePath, PathBuf>,
    /// How many files there are.
    pub(super) count: u64,
    /// What does not belong.
    pub(super) findings: Vec<FileFinding>,
}

impl Directory {
    /// Looks at every file's name, and reads the checkpoints.
    ///
    /// # Errors
    /// When there is no checkpoint, or the directory cannot be read.
    pub(super) fn open(root: &Path, verifier: &NoteVerifier) -> Result<Self, CliError> {
        let mut found = Self {
            note: String::new(),
            anchors: Vec::new(),
            tiles: BTreeMap::new(),
            count: 0,
            findings: Vec::new(),
        };
        let mut notes = BTreeMap::new();
        found.walk(root, "", &mut notes)?;
        let newest = notes
            .pop_last()
            .ok_or_else(|| CliError::Refused(format!("{} has no checkpoint: it is no exported log", root.display())))?;
        found.note = newest.1.1;
        for (name, note) in notes.into_values() {
            match open(&note, std::slice::from_ref(verifier)) {
                Ok((checkpoint, _)) => found.anchors.push(checkpoint),
                Err(e) => found
                    .findings
                    .push(FileFinding::new(name, e.to_string(), "a checkpoint of this log")),
            }
        }
        Ok(found)
    }

    fn walk(
        &mut self,
        directory: &Path,
        prefix: &str,
        notes: &mut BTreeMap<u64, (String, String)>,
    ) -> Result<(), CliError> {
        let failed = |e: &std::io::Error| CliError::file("read", directory, e);
        for entry in std::fs::read_dir(directory).map_err(|e| failed(&e))? {
            let entry = entry.map_err(|e| failed(&e))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(|e| failed(&e))?;
            if kind.is_dir() {
                self.walk(&entry.path(), &format!("{name}/"), notes)?;
                continue;
            }
            self.count += 1;
            if kind.is_file() {
                self.file(entry.path(), name, notes)?;
            } else {
                self.findings
                    .push(FileFinding::new(name, "a link or special file", "plain files only"));
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: PathBuf,
        name: String,
        notes: &mut BTreeMap<u64, (String, String)>,
    ) -> Result<(), CliError> {
        if let Ok(tile) = name.parse() {
            self.tiles.insert(tile, path);
        } else if name == "checkpoint" || name.strip_prefix("checkpoint.").is_some_and(is_decimal) {
            let note = files::read_text(&path)?;
            match Checkpoint::from_note_unverified(&note) {
                Ok(checkpoint) if name == "checkpoint" || name == format!("checkpoint.{}", checkpoint.size) => {
                    notes.insert(checkpoint.size, (name, note));
                }
                Ok(checkpoint) => {
                    let found = format!("a checkpoint of size {}", checkpoint.size);
                    self.findings
                        .push(FileFinding::new(name, found, "the size that its name says"));
                }
                Err(e) => self
                    .findings
                    .push(FileFinding::new(name, e.to_string(), "a checkpoint")),
            }
        } else {
            self.findings.push(FileFinding::new(
                name,
                "a file that does not belong there",
                "tiles and checkpoint only",
            ));
        }
        Ok(())
    }

    /// A tile's bytes; `None` when it is not there. Too large a file counts as its first bytes, which differ anyway.
    pub(super) fn read(&self, tile: TilePath) -> Result<Option<Vec<u8>>, CliError> {
        use std::io::Read as _;
        let Some(path) = self.tiles.get(&tile) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_TILE + 1).read_to_end(&mut bytes))
            .map_err(|e| CliError::file("read", path, &e))?;
        Ok(Some(bytes))
    }

    /// Compares a tile that the entries make with the one that is there.
    pub(super) fn compare(&mut self, tile: TilePath, bytes: &[u8]) -> Result<(), CliError> {
        let finding = match self.read(tile)? {
            Some(found) if found == bytes => None,
            Some(_) => Some("other bytes"),
            None => Some("nothing"),
        };
        if let Some(found) = finding {
            self.findings.push(FileFinding::new(
                tile.to_string(),
                found,
                "the tile that the entries make",
            ));
        }
        self.compare_leftovers(tile, bytes)
    }

    /// Partial tiles that a larger one has replaced must be its beginning.
    fn compare_leftovers(&mut self, tile: TilePath, bytes: &[u8]) -> Result<(), CliError> {
        for width in 1..tile.width() {
            let partial = TilePath::new(tile.kind(), tile.index(), width)?;
            let Some(found) = self.read(partial)? else {
                continue;
            };
            let whole = match tile.kind() {
                TileKind::Hashes(_) => found.len() == usize::from(width) * 32,
                TileKind::Entries => decode_bundle(&found).is_ok_and(|entries| entries.len() == usize::from(width)),
            };
            if !whole || !bytes.starts_with(&found) {
                let words = "a left-over partial tile that disagrees";
                self.findings.push(FileFinding::new(
                    partial.to_string(),
                    words,
                    "the beginning of the tile that replaced it",
                ));
            }
        }
        Ok(())
    }

    /// Tiles that the tree of `size` entries does not have.
    pub(super) fn beyond(&mut self, size: u64) {
        let expected = format!("tiles of the {size} entries of the checkpoint");
        for tile in self.tiles.keys().filter(|tile| !tile.is_within(size)) {
            self.findings.push(FileFinding::new(
                tile.to_string(),
                "a tile beyond the checkpoint",
                expected.clone(),
            ));
        }
    }
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
