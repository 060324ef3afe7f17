//! Preparing a token: label, security officer's PIN, user's PIN.

use std::path::Path;

use cryptoki::session::UserType;
use secrecy::SecretString;

use crate::error::TokenError;
use crate::module::{Module, TokenInfo, TokenSpec, describe};
use crate::pin::check_length;

/// Initialises the first uninitialised token (C_InitToken) and sets its user PIN (C_InitPIN).
///
/// # Errors
/// When a token with this label exists, none is uninitialised, a PIN has a length that the token does not take, or a
/// call fails. A failure after C_InitToken leaves a labelled token without a user PIN, which the error says.
pub fn init_token(
    module: &Path,
    label: &str,
    so_pin: &SecretString,
    user_pin: &SecretString,
) -> Result<TokenInfo, TokenError> {
    let fits = label.len() <= 32 && label.bytes().all(|b| (b' '..=b'~').contains(&b)) && label.trim() == label;
    if label.is_empty() || !fits {
        return Err(TokenError::TokenLabel {
            label: label.escape_debug().to_string(),
        });
    }
    let module = Module::open(module)?;
    let tokens = module.tokens()?;
    if let Some((_, taken)) = tokens.iter().find(|(_, t)| t.token_initialized() && t.label() == label) {
        return Err(TokenError::TokenExists {
            label: label.to_owned(),
            serial: taken.serial_number().to_owned(),
        });
    }
    let (slot, free) = tokens
        .iter()
        .find(|(_, t)| !t.token_initialized())
        .ok_or_else(|| TokenError::NoFreeToken {
            present: describe(&tokens),
        })?;
    check_length("security officer", so_pin, free)?;
    check_length("user", user_pin, free)?;
    module
        .pkcs11()
        .init_token(*slot, so_pin, label)
        .map_err(call("initialise the token"))?;
    set_user_pin(&module, label, so_pin, user_pin)
}

fn set_user_pin(
    module: &Module,
    label: &str,
    so_pin: &SecretString,
    user_pin: &SecretString,
) -> Result<TokenInfo, TokenError> {
    // The slot's number may have changed with C_InitToken: find the token again.
    let (slot, info) = module.find(&TokenSpec::new("", label))?;
    let session = module
        .pkcs11()
        .open_rw_session(slot)
        .map_err(call("open a session on the new token"))?;
    session
        .login(UserType::So, Some(so_pin))
        .map_err(call("log in as security officer; the new token has no user PIN yet"))?;
    session
        .init_pin(user_pin)
        .map_err(call("set the user PIN; the new token has none yet"))?;
    session.logout().map_err(call("log the security officer out"))?;
    tracing::info!(label, serial = info.serial_number(), "token initialised");
    Ok(TokenInfo::from(&info))
}

fn call(doing: &'static str) -> impl FnOnce(cryptoki::error::Error) -> TokenError {
    move |cause| TokenError::Call { doing, cause }
}
