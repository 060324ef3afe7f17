//! `stele audit export`: the ledger as a directory of static tiles that anyone can verify and serve.
//!
//! Everything is hashed here as it comes. Full tiles are written once and never again; what is at the right edge
//! follows, then `checkpoint`, so that at every moment the directory is a log that verifies. To go on, only the right
//! edge of the earlier run is read.

use std::path::{Path, PathBuf};

use serde_json::json;
use stele_api::v1;
use stele_core::checkpoint::tile::{FULL_WIDTH, TileKind, TilePath};
use stele_core::checkpoint::tiler::{TileFile, Tiler};
use stele_core::checkpoint::{Checkpoint, NoteVerifier, open};

use crate::commands::ledger;
use crate::connect::{ConnectionArgs, connect};
use crate::error::CliError;
use crate::files;
use crate::output::{Answer, Progress};

#[derive(clap::Args, Debug)]
pub(crate) struct ExportArgs {
    /// The directory; one that holds an earlier export is continued
    directory: PathBuf,
    /// For write-once storage: writes `checkpoint.SIZE` and removes nothing
    #[arg(long)]
    write_once: bool,
}

/// An export under way.
struct Export<'a> {
    root: &'a Path,
    head: Checkpoint,
    /// Entries of the earlier run.
    had: u64,
    tiler: Tiler,
    /// Whether nothing is to be written yet.
    rehearsal: bool,
    /// Full tiles of this run: without a root that fits them they are taken away again.
    written: Vec<PathBuf>,
    progress: Progress,
}

/// Runs the command.
pub(super) async fn run(args: &ExportArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let verifier = connection.settings()?.verifier()?;
    let mut client = ledger::client(connect(connection).await?);
    let (note, head) = ledger::head(&mut client, verifier.as_ref()).await?;
    let root = &args.directory;
    std::fs::create_dir_all(root).map_err(|e| CliError::file("create", root, &e))?;
    let last = last_checkpoint(root, verifier.as_ref())?;
    if let Some(last) = &last {
        require_continues(root, last, &head)?;
    }
    let had = last.as_ref().map_or(0, |last| last.size);
    let mut export = Export {
        root,
        head,
        had,
        tiler: resume(root, last.as_ref())?,
        rehearsal: args.write_once,
        written: Vec::new(),
        progress: Progress::new("export"),
    };
    if args.write_once {
        // What is written there stays. So the new entries come twice: hashed first, written when the root fits.
        let begin = export.tiler.clone();
        export.download(&mut client).await?;
        export.tiler = begin;
        export.rehearsal = false;
    }
    if let Err(error) = export.download(&mut client).await {
        export.take_back(args.write_once)?;
        return Err(error);
    }
    let head = export.finish(&note, args.write_once)?;
    let text = format!(
        "exported: {} entries of {}, {} of them new\nroot {}\nverify with: stele audit verify {} --vkey FILE",
        head.size,
        head.origin,
        head.size - had,
        head.root,
        root.display()
    );
    let json = json!({"origin": head.origin, "size": head.size, "root": head.root, "new": head.size - had});
    Ok(Answer::new(text, json))
}

/// Goes on where an earlier run stopped. Of what is there only the right edge is read, one partial tile a level, and
/// held against the checkpoint of that run: an export costs what is new.
fn resume(root: &Path, last: Option<&Checkpoint>) -> Result<Tiler, CliError> {
    let Some(last) = last else { return Ok(Tiler::new()) };
    let tiler = Tiler::resume(last.size, |tile| files::read_tile(&root.join(tile.to_string())))?;
    if tiler.root() == last.root {
        return Ok(tiler);
    }
    Err(CliError::Refused(format!(
        "{}: the tiles are not those of its checkpoint: root {} over them, {} in it; run `stele audit verify`",
        root.display(),
        tiler.root(),
        last.root
    )))
}

/// The newest checkpoint in an earlier export.
fn last_checkpoint(root: &Path, verifier: Option<&NoteVerifier>) -> Result<Option<Checkpoint>, CliError> {
    let mut newest: Option<Checkpoint> = None;
    let failed = |e: &std::io::Error| CliError::file("read", root, e);
    for entry in std::fs::read_dir(root).map_err(|e| failed(&e))? {
        let path = entry.map_err(|e| failed(&e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(suffix) = name.strip_prefix("checkpoint") else {
            continue;
        };
        let size = suffix.strip_prefix('.').map(str::parse::<u64>);
        if !suffix.is_empty() && !matches!(size, Some(Ok(_))) {
            continue;
        }
        let note = files::read_text(&path)?;
        let found = match verifier {
            Some(verifier) => open(&note, std::slice::from_ref(verifier))?.0,
            None => Checkpoint::from_note_unverified(&note)?,
        };
        if size.is_some_and(|size| size != Ok(found.size)) {
            let words = format!(
                "found a checkpoint of size {}; permitted: the size that its name says",
                found.size
            );
            return Err(CliError::content(&path, words));
        }
        if newest.as_ref().is_none_or(|newest| newest.size < found.size) {
            newest = Some(found);
        }
    }
    Ok(newest)
}

/// Refuses a directory of another log, and a log that has gone back behind what was exported. A longer log is held
/// against the export by what it makes of its right edge.
fn require_continues(root: &Path, last: &Checkpoint, head: &Checkpoint) -> Result<(), CliError> {
    let refused = if last.origin != head.origin {
        format!("{} holds the log {}, not {}", root.display(), last.origin, head.origin)
    } else if last.size > head.size {
        format!(
            "THE LOG WENT BACK: {} entries were exported, the server has {}",
            last.size, head.size
        )
    } else if last.size == head.size && last.root != head.root {
        format!(
            "TWO HISTORIES: at {} entries the server has another root than was exported",
            head.size
        )
    } else {
        return Ok(());
    };
    Err(CliError::Refused(refused))
}

impl Export<'_> {
    fn push(&mut self, entry: &[u8]) -> Result<(), CliError> {
        for file in self.tiler.push(entry)? {
            if !self.rehearsal {
                self.write_full(&file)?;
            }
        }
        self.progress.at(self.tiler.size(), self.head.size);
        Ok(())
    }

    /// Writes a full tile, or compares it with the one that is there.
    fn write_full(&mut self, file: &TileFile) -> Result<(), CliError> {
        let path = self.root.join(file.path.to_string());
        if path.exists() {
            if files::read_tile(&path)? == file.bytes {
                return Ok(());
            }
            let words = format!(
                "{} was exported with other bytes than the log has now; nothing was changed",
                path.display()
            );
            return Err(CliError::Refused(words));
        }
        files::replace(&path, &file.bytes)?;
        self.written.push(path);
        Ok(())
    }

    /// Takes the entries that are new, which must be those of the checkpoint.
    async fn download(
        &mut self,
        client: &mut v1::ledger_service_client::LedgerServiceClient<tonic::transport::Channel>,
    ) -> Result<(), CliError> {
        let start = self.tiler.size();
        let left = self.head.size - start;
        if left == 0 {
            return self.check_root();
        }
        let wire = v1::StreamEntriesRequest {
            origin: Some(self.head.origin.to_string()),
            start,
            limit: Some(left),
            follow: false,
        };
        let mut stream = client.stream_entries(wire).await?.into_inner();
        while let Some(part) = stream.message().await? {
            for entry in part.entries {
                let index = entry.position.map(|p| p.index);
                if index != Some(self.tiler.size()) || self.tiler.size() >= self.head.size {
                    return Err(CliError::answer(format!(
                        "entry {index:?} where {} should be",
                        self.tiler.size()
                    )));
                }
                self.push(&entry.record)?;
            }
        }
        self.check_root()
    }

    fn check_root(&self) -> Result<(), CliError> {
        if (self.tiler.size(), self.tiler.root()) == (self.head.size, self.head.root) {
            return Ok(());
        }
        Err(CliError::Refused(format!(
            "THE ENTRIES ARE NOT THOSE OF THE CHECKPOINT: it has {} entries with root {}; received and exported before \
             were {} with root {}",
            self.head.size,
            self.head.root,
            self.tiler.size(),
            self.tiler.root()
        )))
    }

    /// Removes what this run wrote before it turned out not to be the checkpoint's.
    fn take_back(&mut self, write_once: bool) -> Result<(), CliError> {
        if write_once {
            return Ok(());
        }
        for path in self.written.drain(..) {
            std::fs::remove_file(&path).map_err(|e| CliError::file("remove", &path, &e))?;
        }
        Ok(())
    }

    /// The right edge, then the checkpoint, then away with edges of earlier runs.
    fn finish(self, note: &str, write_once: bool) -> Result<Checkpoint, CliError> {
        for file in self.tiler.partials()? {
            let path = self.root.join(file.path.to_string());
            if !path.exists() {
                files::replace(&path, &file.bytes)?;
            } else if files::read_tile(&path)? != file.bytes {
                let words = format!("{} was exported with other bytes than the log has now", path.display());
                return Err(CliError::Refused(words));
            }
        }
        if write_once {
            let path = self.root.join(format!("checkpoint.{}", self.head.size));
            if !path.exists() {
                files::create(&path, note.as_bytes())?;
            }
        } else {
            files::replace(&self.root.join("checkpoint"), note.as_bytes())?;
            remove_old_edge(self.root, self.had, self.head.size)?;
        }
        Ok(self.head)
    }
}

/// Removes the partial tiles at the right edge of the tree of `old` entries, which a reader of the newer checkpoint does
/// not look for. What a run that ended early leaves behind is the beginning of what replaced it, and does no harm.
fn remove_old_edge(root: &Path, old: u64, new: u64) -> Result<(), CliError> {
    let still: Vec<TilePath> = edge(new)?;
    for tile in edge(old)?.into_iter().filter(|tile| !still.contains(tile)) {
        let path = root.join(tile.to_string());
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(CliError::file("remove", &path, &e)),
        }
        if let Some(directory) = path.parent() {
            // Others may still be in it; then it stays.
            let _ = std::fs::remove_dir(directory);
        }
    }
    Ok(())
}

/// The partial tiles of a tree.
fn edge(size: u64) -> Result<Vec<TilePath>, CliError> {
    let mut tiles = Vec::new();
    for level in 0..8_u8 {
        let items = size >> (level * 8);
        let width = u16::try_from(items % FULL_WIDTH).unwrap_or(0);
        if width == 0 {
            continue;
        }
        tiles.push(TilePath::new(TileKind::Hashes(level), items / FULL_WIDTH, width)?);
        if level == 0 {
            tiles.push(TilePath::new(TileKind::Entries, items / FULL_WIDTH, width)?);
        }
    }
    Ok(tiles)
}

#[cfg(test)]
mod tests {
    use stele_core::checkpoint::tile::tiles;

    use super::*;

    #[test]
    fn the_edge_is_what_is_partial() {
        for size in [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000, 1 << 24] {
            let mut partial: Vec<_> = tiles(size).filter(|t| !t.is_full()).collect();
            let mut found = edge(size).unwrap();
            partial.sort();
            found.sort();
            assert_eq!(found, partial, "{size}");
        }
    }
}
