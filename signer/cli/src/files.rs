//! Files: read with a limit, written once and to the disk.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::CliError;

/// The largest file that a command reads whole, in bytes.
const MOST: u64 = 16 << 20;

/// Reads a file, or standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    read_at_most(path, MOST)
}

fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>, CliError> {
    let failed = |e: &std::io::Error| CliError::file("read", path, e);
    let mut bytes = Vec::new();
    let source: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).map_err(|e| failed(&e))?)
    };
    source.take(most + 1).read_to_end(&mut bytes).map_err(|e| failed(&e))?;
    if bytes.len() as u64 > most {
        return Err(CliError::content(
            path,
            format!("found more than {most} bytes; permitted: at most that many"),
        ));
    }
    Ok(bytes)
}

/// Reads a tile. A full bundle of the largest entries is larger than other files may be.
pub(crate) fn read_tile(path: &Path) -> Result<Vec<u8>, CliError> {
    read_at_most(path, 256 * 65_537)
}

/// Reads a file of text.
pub(crate) fn read_text(path: &Path) -> Result<String, CliError> {
    String::from_utf8(read(path)?)
        .map_err(|_| CliError::content(path, "found bytes that are not UTF-8; permitted: text"))
}

/// Reads certificates: PEM blocks `CERTIFICATE`, or one certificate in DER.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<Vec<u8>>, CliError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let bytes = read(path)?;
    if bytes.first() == Some(&0x30) {
        return Ok(vec![bytes]);
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|e| CliError::content(path, e))?;
    if found.is_empty() {
        return Err(CliError::content(
            path,
            "found no certificate; permitted: PEM blocks CERTIFICATE, or one in DER",
        ));
    }
    Ok(found.into_iter().map(|der| der.to_vec()).collect())
}

/// Writes a new file and brings it to the disk, its name included.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    create_with_mode(path, bytes, 0o666)
}

/// As [`create`], readable by its owner only.
pub(crate) fn create_secret(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    create_with_mode(path, bytes, 0o600)
}

fn create_with_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CliError> {
    let failed = |e: &std::io::Error| CliError::file("create", path, e);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(|e| failed(&e))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|e| failed(&e))?;
    sync_parent(path)
}

/// Refuses, before any work is done, files that are there already.
pub(crate) fn require_absent<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<(), CliError> {
    for path in paths {
        if path.symlink_metadata().is_ok() {
            let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(CliError::file("create", path, &exists));
        }
    }
    Ok(())
}

/// Puts a file in place at once, whole or not at all, replacing an older one: for what an export may renew.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let failed = |e: &std::io::Error| CliError::file("write", path, e);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|e| failed(&e))?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partly-written");
    let temporary = path.with_file_name(name);
    let mut file = File::create(&temporary).map_err(|e| failed(&e))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(|e| failed(&e))?;
    sync_parent(path)
}

/// A file's name is durable only when its directory is (fsync(2)).
pub(crate) fn sync_parent(path: &Path) -> Result<(), CliError> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(|e| CliError::file("sync the directory", parent, &e))
}

/// One certificate or other object as a PEM block.
pub(crate) fn pem(label: &'static str, der: &[u8]) -> Result<String, CliError> {
    der::pem::encode_string(label, der::pem::LineEnding::LF, der).map_err(|e| CliError::Defect(e.to_string()))
}
