//! PINs: from a file that only its owner can read, into memory that is wiped. Never from argv or the environment.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::error::KeeperError;

/// The longest PIN file, in bytes.
const MAX: u64 = 1024;

/// Reads a PIN; one trailing newline is not part of it.
///
/// # Errors
/// When the file cannot be read, is readable by others, or holds no PIN.
pub(crate) fn read(path: &Path) -> Result<SecretString, KeeperError> {
    let fail = |cause| KeeperError::file(path, cause);
    let file = std::fs::File::open(path).map_err(fail)?;
    let meta = file.metadata().map_err(fail)?;
    if meta.permissions().mode() & 0o077 != 0 {
        return Err(KeeperError::Config(format!(
            "{}: mode {:o}; permitted: 600; mend it with `chmod 600`",
            path.display(),
            meta.mode() & 0o777
        )));
    }
    let mut text = Zeroizing::new(String::with_capacity(1 + MAX as usize));
    file.take(MAX).read_to_string(&mut text).map_err(fail)?;
    let pin = text.strip_suffix('\n').unwrap_or(&text);
    if pin.is_empty() || pin.contains('\n') {
        return Err(KeeperError::Config(format!(
            "{}: found no PIN; permitted: the PIN alone, on one line",
            path.display()
        )));
    }
    Ok(SecretString::from(pin))
}
