//! `stele audit export`: the ledger as a directory of static tiles that anyone can verify and serve.
//!
//! Everything is hashed here as it comes. Full tiles are written once and never again; what is at the right edge
//! follows, then `checkpoint`, so that at every moment the directory is a log that verifies.

use std::path::{Path, PathBuf};

use serde_json::json;
use stele_api::v1;
use stele_core::checkpoint::tile::{FULL_WIDTH, TileKind, TilePath, decode_bundle, tiles};
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
    tiler: Tiler,
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
    check_continues(root, &head, verifier.as_ref())?;
    let mut export = Export {
        root,
        head,
        tiler: Tiler::new(),
        written: Vec::new(),
        progress: Progress::new("export"),
    };
    export.read_what_is_there()?;
    let had = export.tiler.size();
    let result = match export.download(&mut client).await {
        Ok(()) => export.check_root(),
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        export.take_back()?;
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

/// The newest checkpoint in an earlier export.
fn last_checkpoint(root: &Path) -> Result<Option<String>, CliError> {
    let mut newest: Option<(u64, PathBuf)> = None;
    let failed = |e: &std::io::Error| CliError::file("read", root, e);
    for entry in std::fs::read_dir(root).map_err(|e| failed(&e))? {
        let path = entry.map_err(|e| failed(&e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let size = match name.strip_prefix("checkpoint") {
            Some("") => Some(Checkpoint::from_note_unverified(&files::read_text(&path)?)?.size),
            Some(rest) => rest.strip_prefix('.').and_then(|n| n.parse().ok()),
            None => None,
        };
        if let Some(size) = size.filter(|size| newest.as_ref().is_none_or(|(n, _)| size > n)) {
            newest = Some((size, path));
        }
    }
    newest.map(|(_, path)| files::read_text(&path)).transpose()
}

/// Refuses a directory of another log, and a log that has gone back behind what was exported.
fn check_continues(root: &Path, head: &Checkpoint, verifier: Option<&NoteVerifier>) -> Result<(), CliError> {
    let Some(note) = last_checkpoint(root)? else {
        return Ok(());
    };
    let last = match verifier {
        Some(verifier) => open(&note, std::slice::from_ref(verifier))?.0,
        None => Checkpoint::from_note_unverified(&note)?,
    };
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
    /// Hashes the full entry bundles that an earlier run left, and checks the full hash tiles that they make.
    fn read_what_is_there(&mut self) -> Result<(), CliError> {
        for index in 0..self.head.size / FULL_WIDTH {
            let path = self
                .root
                .join(TilePath::new(TileKind::Entries, index, 256)?.to_string());
            if !path.exists() {
                break;
            }
            let bytes = files::read(&path)?;
            for entry in decode_bundle(&bytes).map_err(|e| CliError::content(&path, e))? {
                self.push(entry)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, entry: &[u8]) -> Result<(), CliError> {
        for file in self.tiler.push(entry)? {
            self.write_full(&file)?;
        }
        self.progress.at(self.tiler.size(), self.head.size);
        Ok(())
    }

    /// Writes a full tile, or compares it with the one that is there.
    fn write_full(&mut self, file: &TileFile) -> Result<(), CliError> {
        let path = self.root.join(file.path.to_string());
        if path.exists() {
            if files::read(&path)? == file.bytes {
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

    async fn download(
        &mut self,
        client: &mut v1::ledger_service_client::LedgerServiceClient<tonic::transport::Channel>,
    ) -> Result<(), CliError> {
        let start = self.tiler.size();
        let left = self.head.size - start;
        if left == 0 {
            return Ok(());
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
        Ok(())
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
    fn take_back(&mut self) -> Result<(), CliError> {
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
            } else if files::read(&path)? != file.bytes {
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
            remove_old_edges(self.root, self.head.size)?;
        }
        Ok(self.head)
    }
}

/// Removes partial tiles that the tree of `size` entries has not: a reader would find none of them by its checkpoint.
fn remove_old_edges(root: &Path, size: u64) -> Result<(), CliError> {
    let wanted: std::collections::HashSet<PathBuf> = tiles(size)
        .filter(|t| !t.is_full())
        .map(|t| root.join(t.to_string()))
        .collect();
    for directory in partial_directories(&root.join("tile"))? {
        let failed = |e: &std::io::Error| CliError::file("clean", &directory, e);
        let mut left = 0_u32;
        for entry in std::fs::read_dir(&directory).map_err(|e| failed(&e))? {
            let path = entry.map_err(|e| failed(&e))?.path();
            if wanted.contains(&path) {
                left += 1;
            } else {
                std::fs::remove_file(&path).map_err(|e| failed(&e))?;
            }
        }
        if left == 0 {
            std::fs::remove_dir(&directory).map_err(|e| failed(&e))?;
        }
    }
    Ok(())
}

/// Directories `<N>.p` below `root`.
fn partial_directories(root: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = |e: &std::io::Error| CliError::file("read", root, e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).map_err(|e| failed(&e))? {
        let path = entry.map_err(|e| failed(&e))?.path();
        if !path.is_dir() {
            continue;
        }
        if path.extension().is_some_and(|e| e == "p") {
            found.push(path);
        } else {
            found.extend(partial_directories(&path)?);
        }
    }
    Ok(found)
}
