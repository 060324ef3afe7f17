//! PINs: from a file that only its owner can read, into memory that is wiped. Never from argv or the environment. A
//! failed log-in is remembered across restarts, so that a crash loop cannot lock the PIN.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use stele_hsm::{Token, TokenError, TokenSpec};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::error::KeeperError;
use crate::init::create_new;

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

/// The security officer's PIN, which only the making of a token needs.
///
/// # Errors
/// When the configuration names no file for it, or as [`read`].
pub(crate) fn read_so(config: &Config) -> Result<SecretString, KeeperError> {
    let file = config.token.so_pin_file.as_deref();
    read(file.ok_or_else(|| KeeperError::Config("token.so_pin_file: missing; init needs it".to_owned()))?)
}

/// Where a failed log-in is remembered: beside the log, which it keeps from being opened.
fn marker(config: &Config) -> PathBuf {
    let mut path = config.ledger.clone().into_os_string();
    path.push(".pin-refused");
    path.into()
}

/// Opens the token with one attempt to log in, unless an earlier one failed and nobody has acted since.
///
/// # Errors
/// When a failed attempt is remembered, or the token does not open; a refused PIN is remembered then, durably.
pub(crate) fn open_token(config: &Config, spec: &TokenSpec, pin: &SecretString) -> Result<Token, KeeperError> {
    let marker = marker(config);
    if let Ok(before) = std::fs::read_to_string(&marker) {
        return Err(KeeperError::Stopped(format!(
            "an earlier log-in failed ({}), and another could lock the PIN; check token.pin_file, then run \
             `stele-keeper check --retry-pin --config FILE`, which forgets it",
            before.trim_end()
        )));
    }
    Token::open(spec, pin).map_err(|error| {
        remember(config, &error);
        error.into()
    })
}

/// Remembers an error that forbids another log-in.
pub(crate) fn remember(config: &Config, error: &TokenError) {
    if !error.forbids_another_log_in() {
        return;
    }
    if let Err(unwritten) = create_new(&marker(config), format!("{error}\n").as_bytes()) {
        tracing::error!(%unwritten, "the failed log-in could not be remembered; do not restart before the PIN is checked");
    }
}

/// Forgets a failed log-in: somebody has checked the PIN.
///
/// # Errors
/// When the file cannot be removed.
pub(crate) fn forget(config: &Config) -> Result<bool, KeeperError> {
    let marker = marker(config);
    match std::fs::remove_file(&marker) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(KeeperError::file(&marker, cause)),
    }
}
