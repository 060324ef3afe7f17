//! The PKCS#11 library, started once per process, and the tokens in its slots.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Cause, RvError};
use cryptoki::slot::{Slot, TokenInfo as RawInfo};

use crate::error::TokenError;

/// Which token, and how many sessions may sign on it at once.
#[derive(Clone, Debug)]
pub struct TokenSpec {
    /// Path of the PKCS#11 library.
    pub module: PathBuf,
    /// The token's label. Slots are never named by number: they move when a token is initialised.
    pub label: String,
    /// The token's serial, where the label alone is not unique.
    pub serial: Option<String>,
    /// Sessions for work, besides the one that keeps the log-in. The token's own limit narrows it.
    pub sessions: usize,
}

impl TokenSpec {
    /// Sessions when nothing else is configured.
    pub const DEFAULT_SESSIONS: usize = 8;

    /// The token labelled `label` of the library at `module`, with [`Self::DEFAULT_SESSIONS`].
    #[must_use]
    pub fn new(module: impl Into<PathBuf>, label: impl Into<String>) -> Self {
        Self {
            module: module.into(),
            label: label.into(),
            serial: None,
            sessions: Self::DEFAULT_SESSIONS,
        }
    }

    fn wanted(&self) -> String {
        match &self.serial {
            Some(serial) => format!("labelled `{}` with serial {serial}", self.label),
            None => format!("labelled `{}`", self.label),
        }
    }
}

/// What a token says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its label.
    pub label: String,
    /// Its serial number.
    pub serial: String,
    /// Its manufacturer.
    pub manufacturer: String,
    /// Its model.
    pub model: String,
    /// Its firmware version, as `major.minor`.
    pub firmware: String,
    /// Its hardware version, as `major.minor`.
    pub hardware: String,
}

impl From<&RawInfo> for TokenInfo {
    fn from(raw: &RawInfo) -> Self {
        Self {
            label: raw.label().to_owned(),
            serial: raw.serial_number().to_owned(),
            manufacturer: raw.manufacturer_id().to_owned(),
            model: raw.model().to_owned(),
            firmware: raw.firmware_version().to_string(),
            hardware: raw.hardware_version().to_string(),
        }
    }
}

/// One library that this process has started, and how many [`Module`]s use it.
struct Started {
    path: PathBuf,
    pkcs11: Pkcs11,
    users: usize,
}

/// C_Initialize and C_Finalize act on the whole process: they happen under this lock, once for all users.
static STARTED: Mutex<Vec<Started>> = Mutex::new(Vec::new());

fn started() -> MutexGuard<'static, Vec<Started>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A use of a started library; the last one to go stops it.
///
/// Every session must be dropped before: after C_Finalize the library hands out the same handle numbers again, and a
/// late C_CloseSession would close somebody else's session.
pub(crate) struct Module {
    path: PathBuf,
    pkcs11: Pkcs11,
}

impl Module {
    pub(crate) fn open(path: &Path) -> Result<Self, TokenError> {
        // One library may have several names (symbolic links), and must not be started twice.
        let path = path
            .canonicalize()
            .map_err(|_| TokenError::ModuleMissing { path: path.to_owned() })?;
        let mut all = started();
        if let Some(found) = all.iter_mut().find(|s| s.path == path) {
            found.users += 1;
            let pkcs11 = found.pkcs11.clone();
            return Ok(Self { path, pkcs11 });
        }
        let pkcs11 = start(&path)?;
        all.push(Started {
            path: path.clone(),
            pkcs11: pkcs11.clone(),
            users: 1,
        });
        Ok(Self { path, pkcs11 })
    }

    pub(crate) const fn pkcs11(&self) -> &Pkcs11 {
        &self.pkcs11
    }

    /// Stops and starts the library, so that it looks for tokens again. The caller has no session.
    ///
    /// Does nothing while another token of the same library is open: its sessions would die.
    pub(crate) fn restart(&self) -> Result<(), TokenError> {
        let all = started();
        if all.iter().any(|s| s.path == self.path && s.users > 1) {
            return Ok(());
        }
        match self.pkcs11.clone().finalize() {
            // An earlier restart may have got no further than this.
            Ok(()) | Err(Cause::Pkcs11(RvError::CryptokiNotInitialized, _)) => initialize(&self.pkcs11, &self.path),
            Err(cause) => Err(TokenError::ModuleUnusable {
                path: self.path.clone(),
                cause,
            }),
        }
    }

    /// Every token that answers. One that does not is passed over: some libraries have slots that never do.
    pub(crate) fn tokens(&self) -> Result<Vec<(Slot, RawInfo)>, TokenError> {
        // Nobody may stop or restart the library meanwhile.
        let _steady = started();
        let slots = self.pkcs11.get_slots_with_token().map_err(|cause| TokenError::Call {
            doing: "list the tokens",
            cause,
        })?;
        Ok(slots
            .into_iter()
            .filter_map(|slot| match self.pkcs11.get_token_info(slot) {
                Ok(info) => Some((slot, info)),
                Err(error) => {
                    tracing::warn!(slot = slot.id(), %error, "a slot does not describe its token; passed over");
                    None
                }
            })
            .collect())
    }

    /// The one token that `spec` names.
    pub(crate) fn find(&self, spec: &TokenSpec) -> Result<(Slot, RawInfo), TokenError> {
        let tokens = self.tokens()?;
        let present = describe(&tokens);
        let mut matching: Vec<_> = tokens
            .into_iter()
            .filter(|(_, t)| t.token_initialized() && t.label() == spec.label)
            .filter(|(_, t)| spec.serial.as_ref().is_none_or(|s| t.serial_number() == s))
            .collect();
        match (matching.pop(), matching.len()) {
            (None, _) => Err(TokenError::NoToken {
                wanted: spec.wanted(),
                present,
            }),
            (Some(found), 0) => Ok(found),
            (Some(_), others) => Err(TokenError::SeveralTokens {
                wanted: spec.wanted(),
                count: others + 1,
                present,
            }),
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        let mut all = started();
        let Some(at) = all.iter().position(|s| s.path == self.path) else {
            return;
        };
        let last = all.get_mut(at).is_some_and(|s| {
            s.users -= 1;
            s.users == 0
        });
        if last {
            let stopped = all.swap_remove(at);
            if let Err(error) = stopped.pkcs11.finalize() {
                tracing::warn!(module = %self.path.display(), %error, "the PKCS#11 module did not stop cleanly");
            }
        }
    }
}

fn start(path: &Path) -> Result<Pkcs11, TokenError> {
    let pkcs11 = Pkcs11::new(path).map_err(|cause| TokenError::ModuleUnusable {
        path: path.to_owned(),
        cause,
    })?;
    initialize(&pkcs11, path)?;
    Ok(pkcs11)
}

fn initialize(pkcs11: &Pkcs11, path: &Path) -> Result<(), TokenError> {
    let path = path.to_owned();
    match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) => Ok(()),
        Err(Cause::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Err(TokenError::ModuleShared { path }),
        Err(cause) => Err(TokenError::ModuleUnusable { path, cause }),
    }
}

/// The initialised tokens, for people.
pub(crate) fn describe(tokens: &[(Slot, RawInfo)]) -> String {
    let all: Vec<_> = tokens
        .iter()
        .filter(|(_, t)| t.token_initialized())
        .map(|(_, t)| format!("`{}` (serial {})", t.label(), t.serial_number()))
        .collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}
