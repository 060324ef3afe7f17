//! A copy of the ledger's file.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::LedgerError;
use crate::store::{Access, Store};

/// See [`crate::LedgerReader::backup`].
pub(crate) fn backup(store: &Store, file: &Path) -> Result<u64, LedgerError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    made.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => LedgerError::Exists { path: file.to_owned() },
        _ => LedgerError::io("create the backup", file, e),
    })?;
    let name = file.to_string_lossy();
    store
        .connection
        .execute("VACUUM INTO ?1", [name.as_ref()])
        .map_err(|e| store.error(e))?;
    let copy = Store::open(file, Access::Write)?;
    // A copy begins with SQLite's own journal mode; a keeper that opens it reads beside its writer.
    copy.connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(|e| copy.error(e))?;
    let size = copy.size()?;
    drop(copy);
    let directory = file
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    for path in [file, directory] {
        File::open(path)
            .and_then(|f| f.sync_all())
            .map_err(|e| LedgerError::io("sync the backup", path, e))?;
    }
    Ok(size)
}
