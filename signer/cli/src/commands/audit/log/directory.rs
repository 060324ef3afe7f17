//! The files of an exported log: what is there, what belongs, what is left over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stele_core::checkpoint::tile::{TileKind, TilePath, decode_bundle};
use stele_core::checkpoint::{Checkpoint, NoteVerifier, open};

use super::{FileFinding, MAX_TILE};
use crate::error::CliError;
use crate::files;

/// The files below a log's directory, sorted by what they are.
pub(in crate::commands::audit) struct Directory {
    /// The newest checkpoint's note.
    pub(super) note: String,
    /// Older ones, of an export to write-once storage, with their files' names.
    older: Vec<(String, String)>,
    /// Every tile that is there.
    tiles: BTreeMap<TilePath, PathBuf>,
    /// How many files there are.
    pub(in crate::commands::audit) count: u64,
    /// What does not belong.
    pub(in crate::commands::audit) findings: Vec<FileFinding>,
}

impl Directory {
    /// Looks at every file's name, and reads the checkpoints.
    ///
    /// # Errors
    /// When there is no checkpoint, or the directory cannot be read.
    pub(super) fn open(root: &Path) -> Result<Self, CliError> {
        let mut found = Self {
            note: String::new(),
            older: Vec::new(),
            tiles: BTreeMap::new(),
            count: 0,
            findings: Vec::new(),
        };
        // A transcript of a ceremony has its log one directory below.
        let inner = root.join("log");
        let root = if inner.join("checkpoint").exists() {
            &inner
        } else {
            root
        };
        let mut notes = BTreeMap::new();
        found.walk(root, "", &mut notes)?;
        let newest = notes
            .pop_last()
            .ok_or_else(|| CliError::Refused(format!("{} has no checkpoint: it is no exported log", root.display())))?;
        found.note = newest.1.1;
        found.older = notes.into_values().collect();
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
            self.checkpoint(&path, name, notes)?;
        } else {
            self.findings.push(FileFinding::new(
                name,
                "a file that does not belong there",
                "tiles and checkpoint only",
            ));
        }
        Ok(())
    }

    fn checkpoint(
        &mut self,
        path: &Path,
        name: String,
        notes: &mut BTreeMap<u64, (String, String)>,
    ) -> Result<(), CliError> {
        let Ok(note) = String::from_utf8(files::read(path)?) else {
            let finding = FileFinding::new(name, "bytes that are not UTF-8", "a checkpoint");
            self.findings.push(finding);
            return Ok(());
        };
        match Checkpoint::from_note_unverified(&note) {
            Ok(checkpoint) if name == "checkpoint" || name == format!("checkpoint.{}", checkpoint.size) => {
                // Both `checkpoint` and `checkpoint.<size>` of one size: each must be a checkpoint of this log.
                if let Some(twin) = notes.insert(checkpoint.size, (name, note)) {
                    self.older.push(twin);
                }
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
        Ok(())
    }

    /// Older checkpoints whose signature verifies: the log must have been what they say. Others are findings.
    pub(in crate::commands::audit) fn anchors(&mut self, verifier: &NoteVerifier) -> Vec<Checkpoint> {
        let mut anchors = Vec::new();
        for (name, note) in std::mem::take(&mut self.older) {
            match open(&note, std::slice::from_ref(verifier)) {
                Ok((checkpoint, _)) => anchors.push(checkpoint),
                Err(e) => self
                    .findings
                    .push(FileFinding::new(name, e.to_string(), "a checkpoint of this log")),
            }
        }
        anchors
    }

    /// A tile's bytes; `None` when it is not there. Too large a file counts as its first bytes, which differ anyway.
    pub(super) fn read(&self, tile: TilePath) -> Result<Option<Vec<u8>>, CliError> {
        use std::io::Read as _;
        let Some(path) = self.tiles.get(&tile) else {
            return Ok(None);
        };
        let failed = |e: std::io::Error| CliError::file("read", path, &e);
        let file = std::fs::File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len().min(MAX_TILE);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
        file.take(MAX_TILE + 1).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }

    /// Partial tiles that a larger one has replaced must be its beginning.
    pub(in crate::commands::audit) fn compare_leftovers(
        &self,
        tile: TilePath,
        bytes: &[u8],
    ) -> Result<Vec<FileFinding>, CliError> {
        let mut findings = Vec::new();
        let narrowest = TilePath::new(tile.kind(), tile.index(), 1)?;
        for (&partial, _) in self.tiles.range(narrowest..tile) {
            let Some(found) = self.read(partial)? else {
                continue;
            };
            let whole = match tile.kind() {
                TileKind::Hashes(_) => found.len() == usize::from(partial.width()) * 32,
                TileKind::Entries => {
                    decode_bundle(&found).is_ok_and(|entries| entries.len() == usize::from(partial.width()))
                }
            };
            if !whole || !bytes.starts_with(&found) {
                let words = "a left-over partial tile that disagrees";
                findings.push(FileFinding::new(
                    partial.to_string(),
                    words,
                    "the beginning of the tile that replaced it",
                ));
            }
        }
        Ok(findings)
    }

    /// Tiles that the tree of `size` entries does not have.
    pub(in crate::commands::audit) fn beyond(&mut self, size: u64) {
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
