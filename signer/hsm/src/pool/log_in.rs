//! One log-in to the token.

use std::collections::HashMap;

use cryptoki::session::Session;
use cryptoki::slot::{Limit, Slot};
use secrecy::SecretString;

use crate::error::TokenError;
use crate::key::Pair;
use crate::module::{Module, TokenSpec};
use crate::pin::{Proof, log_in};

/// A log-in, alive as long as its anchor session.
pub(super) struct LogIn {
    _anchor: Session,
    pub(super) slot: Slot,
    /// Where each key is, by CKA_ID.
    pub(super) keys: HashMap<Vec<u8>, Pair>,
    /// Whether any work succeeded under it.
    pub(super) proven: bool,
}

/// Finds the token, opens the anchor session and logs in.
pub(super) fn enter(module: &Module, spec: &TokenSpec, pin: &SecretString, proof: Proof) -> Result<LogIn, TokenError> {
    let (slot, info) = match module.find(spec) {
        // Many libraries look for tokens only when they start (SoftHSM does). Nobody has a session now.
        Err(_) if proof == Proof::Given => {
            module.restart()?;
            module.find(spec)?
        }
        found => found?,
    };
    let anchor = module
        .pkcs11()
        .open_rw_session(slot)
        .map_err(|cause| TokenError::Call {
            doing: "open a session to log in",
            cause,
        })?;
    log_in(&anchor, &info, pin, proof)?;
    Ok(LogIn {
        _anchor: anchor,
        slot,
        keys: HashMap::new(),
        proven: false,
    })
}

/// What was configured, within what the token allows besides the anchor; at least one.
pub(super) fn session_limit(module: &Module, spec: &TokenSpec, slot: Slot) -> Result<usize, TokenError> {
    let info = module.pkcs11().get_token_info(slot).map_err(|cause| TokenError::Call {
        doing: "read the token's session limit",
        cause,
    })?;
    let allowed = [info.max_rw_session_count(), info.max_session_count()]
        .into_iter()
        .filter_map(|limit| match limit {
            Limit::Max(n) => usize::try_from(n).ok()?.checked_sub(1),
            Limit::Infinite | Limit::Unavailable => None,
        })
        .fold(spec.sessions, usize::min);
    Ok(allowed.max(1))
}
