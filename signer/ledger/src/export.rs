//! A static copy of the log in the layout of C2SP tlog-tiles, which any web server can serve.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use stele_core::checkpoint::Checkpoint;
use stele_core::checkpoint::tile::{self, FULL_WIDTH, TilePath};
use stele_core::checkpoint::tiler::{TileFile, Tiler};

use crate::{LedgerError, LedgerReader};

/// Ends the name of a file that is not complete yet.
const TEMPORARY: &str = ".tmp";

/// Writes the log's first `size` entries as a static log into `dir`: all tiles and entry bundles, then `checkpoint`.
/// An older export there is continued: full tiles must agree and stay, the older size's partial tiles go at the end.
/// At any moment the files serve the checkpoint that is there. The caller has verified `note`'s signatures.
///
/// # Errors
/// [`LedgerError::Conflict`] when note, log and what is in `dir` contradict each other, e.g. because the log was set back;
/// nothing that is there is changed then. And what SQLite or the file system report.
pub fn export(reader: &LedgerReader, size: u64, note: &str, dir: &Path) -> Result<(), LedgerError> {
    let signed = Checkpoint::from_note_unverified(note)?;
    if signed.size != size || reader.root_at(size)? != signed.root {
        return Err(conflict(
            "the checkpoint to export",
            format!("the log's tree of {size} is not the one it signs"),
        ));
    }
    let checkpoint_path = dir.join("checkpoint");
    if let Some(older) = read(&checkpoint_path)? {
        require_continuation(reader, &older, &signed)?;
    }
    let tiler = write_full_tiles(reader, size, dir)?;
    if tiler.root() != signed.root {
        return Err(conflict(
            "an entry of the log",
            "the entries do not hash to the checkpoint's root".to_owned(),
        ));
    }
    for file in tiler.partials()? {
        write_tile(dir, &file)?;
    }
    write(&checkpoint_path, note.as_bytes())?;
    let kept: HashSet<TilePath> = tile::tiles(size).filter(|t| !t.is_full()).collect();
    remove_leftovers(dir, &dir.join("tile"), &kept)
}

/// Refuses to replace a checkpoint that is not a beginning of `signed`'s log.
fn require_continuation(reader: &LedgerReader, older: &[u8], signed: &Checkpoint) -> Result<(), LedgerError> {
    let note = std::str::from_utf8(older).unwrap_or_default();
    let older = Checkpoint::from_note_unverified(note)?;
    let why = if older.origin != signed.origin {
        format!("it is of the log `{}`, not `{}`", older.origin, signed.origin)
    } else if older.size > signed.size {
        format!(
            "it has {} entries, the log only {}: the log was set back",
            older.size, signed.size
        )
    } else if reader.root_at(older.size)? != older.root {
        format!(
            "the log had another tree at size {}: its history was rewritten",
            older.size
        )
    } else {
        return Ok(());
    };
    Err(conflict("the checkpoint of the existing export", why))
}

fn write_full_tiles(reader: &LedgerReader, size: u64, dir: &Path) -> Result<Tiler, LedgerError> {
    let mut tiler = Tiler::new();
    while tiler.size() < size {
        let end = size.min(tiler.size() + FULL_WIDTH);
        for entry in reader.entries(tiler.size()..end)? {
            for file in tiler.push(&entry)? {
                write_tile(dir, &file)?;
            }
        }
    }
    Ok(tiler)
}

/// Writes a tile, or compares it with the one that is there: a tile never changes.
fn write_tile(dir: &Path, file: &TileFile) -> Result<(), LedgerError> {
    let path = dir.join(file.path.to_string());
    match read(&path)? {
        Some(there) if there == file.bytes => Ok(()),
        Some(_) => Err(conflict(
            &path.display().to_string(),
            "it has other bytes; move it away and export again".into(),
        )),
        None => write(&path, &file.bytes),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, LedgerError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(LedgerError::io("read the export's file", path, e)),
    }
}

/// Puts a whole file in its place at once: whoever reads meanwhile sees the old bytes or the new, and so does whoever
/// comes after a power cut.
fn write(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(TEMPORARY);
    let temporary = PathBuf::from(temporary);
    let directory = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let run = || {
        create_directory(directory)?;
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(directory)?.sync_all()
    };
    run().map_err(|e| LedgerError::io("write the export's file", path, e))
}

/// Creates a directory and those above it, each durable before the next.
fn create_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    create_directory(parent)?;
    fs::create_dir(directory)?;
    File::open(parent)?.sync_all()
}

/// Removes partial tiles that are not in `kept` and unfinished files of an export that was cut short. Anything that
/// is not ours is left alone.
fn remove_leftovers(root: &Path, directory: &Path, kept: &HashSet<TilePath>) -> Result<(), LedgerError> {
    let run = || -> io::Result<Vec<fs::DirEntry>> { fs::read_dir(directory)?.collect() };
    let entries = match run() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|e| LedgerError::io("list the export's directory", directory, e))?,
    };
    for entry in entries {
        let path = entry.path();
        let failed = |e| LedgerError::io("remove a left-over file of the export", &path, e);
        if entry.file_type().map_err(failed)?.is_dir() {
            remove_leftovers(root, &path, kept)?;
            continue;
        }
        let name = path.strip_prefix(root).ok().and_then(Path::to_str).unwrap_or_default();
        let tile = name.strip_suffix(TEMPORARY).unwrap_or(name).parse::<TilePath>();
        if tile.is_ok_and(|t| name.ends_with(TEMPORARY) || (!t.is_full() && !kept.contains(&t))) {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    if directory.extension().is_some_and(|e| e == "p") {
        // One that still holds a tile stays.
        let _ = fs::remove_dir(directory);
    }
    Ok(())
}

fn conflict(what: &str, why: String) -> LedgerError {
    LedgerError::Conflict {
        what: what.to_owned(),
        why,
    }
}
