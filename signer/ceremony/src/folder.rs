//! The ceremony's directory. Nothing in it is overwritten; what is written is synced, whole or not there.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use crate::error::CeremonyError;

/// No file of a ceremony is larger; a signer's log beside it may be.
const MAX_FILE: u64 = 64 << 20;
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A ceremony's directory.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    /// Held while a command works here, so that two never share a keeper.
    _lock: File,
}

impl Folder {
    /// Makes the directory and those in it, where they are not there yet.
    pub(crate) fn create(path: &Path) -> Result<Self, CeremonyError> {
        for part in ["transcript", "to-sign", "state"] {
            let dir = path.join(part);
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
            made.map_err(CeremonyError::file(&dir))?;
        }
        Self::open(path)
    }

    /// Opens a directory that `init` made.
    pub(crate) fn open(path: &Path) -> Result<Self, CeremonyError> {
        let root = fs::canonicalize(path).map_err(CeremonyError::file(path))?;
        if !root.join("state").is_dir() || !root.join("transcript").is_dir() {
            let found = format!("{}: no ceremony; begin one with `stele-ceremony init`", root.display());
            return Err(CeremonyError::Order(found));
        }
        let path = root.join("state/lock");
        let lock = File::create(&path).map_err(CeremonyError::file(&path))?;
        // Waited for a little: a child of a command that was just killed may hold it until it executes the keeper.
        let free = (0..LOCK_TRIES).any(|_| {
            let got = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
            if !got {
                sleep(LOCK_PAUSE);
            }
            got
        });
        if !free {
            let found = format!(
                "{}: another stele-ceremony works here; wait for its end",
                root.display()
            );
            return Err(CeremonyError::Order(found));
        }
        Ok(Self { root, _lock: lock })
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A file of the transcript.
    pub(crate) fn transcript(&self, name: &str) -> PathBuf {
        self.root.join("transcript").join(name)
    }

    /// A file that people sign, where their signatures may lie beside it.
    pub(crate) fn to_sign(&self, name: &str) -> PathBuf {
        self.root.join("to-sign").join(name)
    }

    /// A file that is nobody's business but this machine's.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.root.join("state").join(name)
    }

    /// The hand-over.
    pub(crate) fn handover(&self) -> PathBuf {
        self.root.join("handover.json")
    }

    /// Writes a file that was not there; where the very same bytes are there already, an earlier run wrote them.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), CeremonyError> {
        if path.exists() {
            let same = fs::read(path).map_err(CeremonyError::file(path))? == bytes;
            return if same {
                Ok(())
            } else {
                Err(CeremonyError::Exists(path.to_owned()))
            };
        }
        // Beside the transcript, so that a crash leaves nothing in it that its manifest does not know.
        let unfinished = self.state("unfinished");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(CeremonyError::file(&unfinished))?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(CeremonyError::file(&unfinished))?;
        self.publish(&unfinished, path)?;
        let read = fs::read(path).map_err(CeremonyError::file(path))?;
        if read == bytes {
            Ok(())
        } else {
            Err(CeremonyError::Order(format!(
                "{}: reads back otherwise than it was written",
                path.display()
            )))
        }
    }

    /// Writes several files as one directory that was not there: all of them or none.
    pub(crate) fn write_tree(&self, path: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), CeremonyError> {
        let unfinished = self.state("unfinished-tree");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(CeremonyError::file(&unfinished))?;
        }
        for (name, bytes) in files {
            let file = unfinished.join(name);
            let dir = file.parent().unwrap_or(&unfinished);
            fs::create_dir_all(dir).map_err(CeremonyError::file(dir))?;
            self.write(&file, bytes)?;
        }
        self.publish(&unfinished, path)
    }

    fn publish(&self, from: &Path, to: &Path) -> Result<(), CeremonyError> {
        renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
            .map_err(|errno| CeremonyError::file(to)(errno.into()))?;
        let parent = to.parent().unwrap_or(&self.root);
        File::open(parent)
            .and_then(|dir| dir.sync_all())
            .map_err(CeremonyError::file(parent))
    }

    /// Every file of the transcript.
    pub(crate) fn transcript_files(&self) -> Result<BTreeMap<String, Vec<u8>>, CeremonyError> {
        read_tree(&self.root.join("transcript"))
    }
}

/// Reads a file of at most 64 MiB.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CeremonyError> {
    let length = fs::metadata(path).map_err(CeremonyError::file(path))?.len();
    if length > MAX_FILE {
        return Err(CeremonyError::Order(format!(
            "{}: {length} bytes; permitted: at most {MAX_FILE}",
            path.display()
        )));
    }
    fs::read(path).map_err(CeremonyError::file(path))
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path) -> Result<String, CeremonyError> {
    String::from_utf8(read(path)?).map_err(|_| CeremonyError::Order(format!("{}: is no UTF-8 text", path.display())))
}

/// Every file below a directory, by its path with `/`. A symbolic link or device has no place there.
pub(crate) fn read_tree(dir: &Path) -> Result<BTreeMap<String, Vec<u8>>, CeremonyError> {
    let (mut files, mut open) = (BTreeMap::new(), vec![(dir.to_owned(), String::new())]);
    while let Some((dir, prefix)) = open.pop() {
        for entry in fs::read_dir(&dir).map_err(CeremonyError::file(&dir))? {
            let entry = entry.map_err(CeremonyError::file(&dir))?;
            let path = entry.path();
            let name = entry
                .file_name()
                .into_string()
                .map_err(|_| CeremonyError::Order(format!("{}: the name is no UTF-8", path.display())))?;
            let kind = entry.file_type().map_err(CeremonyError::file(&path))?;
            if kind.is_dir() {
                open.push((path, format!("{prefix}{name}/")));
            } else if kind.is_file() {
                files.insert(format!("{prefix}{name}"), read(&path)?);
            } else {
                return Err(CeremonyError::Order(format!(
                    "{}: is neither a file nor a directory",
                    path.display()
                )));
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(&dir.path().join("c")).unwrap();
        (dir, folder)
    }

    #[test]
    fn nothing_is_overwritten_and_a_repetition_is_no_fault() {
        let (_dir, folder) = folder();
        let path = folder.transcript("a.txt");
        folder.write(&path, b"one").unwrap();
        folder.write(&path, b"one").unwrap();
        assert!(matches!(folder.write(&path, b"two"), Err(CeremonyError::Exists(_))));
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn a_tree_is_there_as_a_whole_or_not_at_all() {
        let (_dir, folder) = folder();
        // What a crash left of an earlier try must not get into the tree.
        fs::create_dir(folder.state("unfinished-tree")).unwrap();
        fs::write(folder.state("unfinished-tree").join("stale"), b"x").unwrap();
        let files = BTreeMap::from([
            ("checkpoint".to_owned(), b"c".to_vec()),
            ("tile/0/000.p/1".to_owned(), b"t".to_vec()),
        ]);
        folder.write_tree(&folder.transcript("log"), &files).unwrap();
        assert_eq!(read_tree(&folder.transcript("log")).unwrap(), files);
        assert!(folder.write_tree(&folder.transcript("log"), &files).is_err());
    }

    #[test]
    fn two_commands_never_work_in_one_directory() {
        let (dir, folder) = folder();
        let second = Folder::open(&dir.path().join("c")).unwrap_err();
        assert!(second.to_string().contains("another stele-ceremony"), "{second}");
        drop(folder);
        Folder::open(&dir.path().join("c")).unwrap();
    }

    #[test]
    fn links_are_refused() {
        let (_dir, folder) = folder();
        std::os::unix::fs::symlink("/etc/passwd", folder.transcript("root.pem")).unwrap();
        assert!(folder.transcript_files().unwrap_err().to_string().contains("root.pem"));
    }
}
