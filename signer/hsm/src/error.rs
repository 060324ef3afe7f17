//! What can go wrong at the token, what it means for a signature, and how to mend it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cryptoki::context::Function;
use cryptoki::error::{Error as Cause, RvError};
use stele_core::types::{Digest, KeyAlgorithm, KeyName, SignatureAlgorithm};

/// A failure at the token. Each says what was found and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The module is not where the configuration says.
    #[error("PKCS#11 module {path}: no such file; set the path of the token's PKCS#11 library", path = .path.display())]
    ModuleMissing {
        /// The path as configured.
        path: PathBuf,
    },
    /// The module exists but does not load or start.
    #[error("PKCS#11 module {path} does not start ({cause}); check that it is built for this machine and that its own configuration is readable", path = .path.display())]
    ModuleUnusable {
        /// The path of the module.
        path: PathBuf,
        /// What the loader or C_Initialize said.
        #[source]
        cause: Cause,
    },
    /// Another part of this process started the module, and could stop it at any time.
    #[error("PKCS#11 module {path} was started by another part of this process; use one owner per process", path = .path.display())]
    ModuleShared {
        /// The path of the module.
        path: PathBuf,
    },
    /// No token has the label (and serial) asked for.
    #[error("no token {wanted}; present: {present}; mend the label or serial, or initialise the token")]
    NoToken {
        /// Label and serial asked for.
        wanted: String,
        /// Labels and serials of the tokens that are there.
        present: String,
    },
    /// Labels are not unique, and the serial was not given.
    #[error("{count} tokens match {wanted}: {present}; give the serial as well")]
    SeveralTokens {
        /// Label and serial asked for.
        wanted: String,
        /// How many match.
        count: usize,
        /// Labels and serials of the tokens that are there.
        present: String,
    },
    /// Initialising would make the label ambiguous.
    #[error("a token labelled `{label}` exists already (serial {serial}); choose another label")]
    TokenExists {
        /// The label asked for.
        label: String,
        /// The serial of the token that has it.
        serial: String,
    },
    /// Every token is already initialised.
    #[error(
        "no uninitialised token; present: {present}; insert one, or delete an unused one with its vendor's own tool"
    )]
    NoFreeToken {
        /// Labels and serials of the tokens that are there.
        present: String,
    },
    /// A token label that PKCS#11 cannot hold (CK_TOKEN_INFO: 32 bytes, blank padded).
    #[error("token label `{label}`: permitted: 1 to 32 printable ASCII characters, no space at either end")]
    TokenLabel {
        /// The label asked for.
        label: String,
    },
    /// The PIN's length is outside what the token accepts; it was not tried.
    #[error("the {who} PIN has {found} bytes, the token takes {min} to {max}; it was not tried")]
    PinLength {
        /// `user` or `security officer`.
        who: &'static str,
        /// Length found, in bytes.
        found: usize,
        /// Least length, in bytes.
        min: usize,
        /// Greatest length, in bytes.
        max: usize,
    },
    /// The token refused the PIN. It is not tried again.
    #[error(
        "token `{label}` refused the PIN; it is not tried again, for wrong PINs lock a token; give the right one and restart"
    )]
    PinIncorrect {
        /// The token's label.
        label: String,
    },
    /// One more wrong PIN would lock the token.
    #[error(
        "token `{label}` has one PIN attempt left (CKF_USER_PIN_FINAL_TRY); log in once by hand with the vendor's tool to reset the count"
    )]
    PinFinalTry {
        /// The token's label.
        label: String,
    },
    /// The user PIN is locked.
    #[error("the PIN of token `{label}` is locked; its security officer must set a new one (C_InitPIN)")]
    PinLocked {
        /// The token's label.
        label: String,
    },
    /// The token has no user PIN, or wants it changed before use.
    #[error(
        "token `{label}` has no usable user PIN (not set, or to be changed); its security officer must set one (C_InitPIN)"
    )]
    PinNotSet {
        /// The token's label.
        label: String,
    },
    /// Somebody in this process is logged in already, so that the PIN given cannot be checked.
    #[error(
        "token `{label}` is logged in already in this process, so the PIN cannot be checked; open a token once and share it"
    )]
    AlreadyOpen {
        /// The token's label.
        label: String,
    },
    /// The token cannot generate or use such keys.
    #[error("the token does not offer {wanted} (needs {needs}); choose another algorithm or token")]
    Unsupported {
        /// The algorithm.
        wanted: String,
        /// The PKCS#11 mechanisms or sizes that are missing.
        needs: &'static str,
    },
    /// The signature algorithm does not fit the key.
    #[error("a {key} key does not make {signature:?} signatures; choose one of the key's own algorithms")]
    AlgorithmMismatch {
        /// The key's algorithm.
        key: KeyAlgorithm,
        /// The signature algorithm asked for.
        signature: SignatureAlgorithm,
    },
    /// Generating would make the key's name ambiguous.
    #[error("a key labelled `{name}` exists already on the token; choose another name, or destroy that key first")]
    KeyExists {
        /// The name asked for.
        name: KeyName,
    },
    /// No private key has the identifier and label.
    #[error(
        "no private key `{name}` with CKA_ID {id} on the token; present: {present}; check that it is the right token"
    )]
    KeyNotFound {
        /// The key's name.
        name: KeyName,
        /// Its CKA_ID in hexadecimal.
        id: String,
        /// Labels and CKA_IDs of the private keys that are there.
        present: String,
    },
    /// CKA_ID is not unique on this token.
    #[error(
        "{count} {class} keys have CKA_ID {id}, wanted one for `{name}`; remove or renumber the others with the vendor's tool"
    )]
    SeveralKeys {
        /// The key's name.
        name: KeyName,
        /// `private` or `public`.
        class: &'static str,
        /// The CKA_ID in hexadecimal.
        id: String,
        /// How many have it.
        count: usize,
    },
    /// The key could leave the token, or was not born there.
    #[error("key `{name}` is not protected as its origin ({origin}) demands: {found}; do not use it, generate another")]
    KeyUnprotected {
        /// The key's name.
        name: KeyName,
        /// The origin that it is recorded with.
        origin: &'static str,
        /// Each attribute that does not fit, with its value.
        found: String,
    },
    /// The public key on the token is not the one recorded.
    #[error(
        "key `{name}`: the token's public key has SPKI SHA-256 {found}, recorded is {expected}; it is another key, find the right token"
    )]
    KeyDiffers {
        /// The key's name.
        name: KeyName,
        /// Digest of the SubjectPublicKeyInfo on the token.
        found: Digest,
        /// Digest that was recorded.
        expected: Digest,
    },
    /// The token describes a key in a way that Stele does not know.
    #[error("key `{name}`: {what}; permitted: {permitted}")]
    KeyMalformed {
        /// The key's name.
        name: KeyName,
        /// What was found.
        what: String,
        /// What would be accepted.
        permitted: &'static str,
    },
    /// The token answered C_Sign with something that is no signature of the algorithm.
    #[error("the token answered C_Sign with {found}; permitted: {permitted}; replace the module")]
    SignatureMalformed {
        /// What was found.
        found: String,
        /// What would be accepted.
        permitted: String,
    },
    /// Every session stayed in use until the caller's deadline.
    #[error(
        "waited {waited_ms} ms for one of {sessions} token sessions; send less, allow more sessions, or a later deadline"
    )]
    Busy {
        /// How long the caller waited, in milliseconds.
        waited_ms: u128,
        /// How many sessions there are.
        sessions: usize,
    },
    /// The token is lost and was not back when last tried.
    #[error("the token is not available ({cause}); it is tried again in {} ms", .retry_in.as_millis())]
    Unavailable {
        /// When the next attempt is made.
        retry_in: Duration,
        /// Why the last attempt failed.
        #[source]
        cause: Arc<Self>,
    },
    /// The token lets itself be opened, and fails at everything else.
    #[error(
        "{times} log-ins in a row ended before the token did any work; see the log for what failed, and the token's own diagnosis"
    )]
    Barren {
        /// How many log-ins.
        times: u32,
    },
    /// The token was lost, and logging in again was refused: there is no other attempt in this process.
    #[error("the token was lost and stays closed until a restart: {cause}")]
    Closed {
        /// Why it could not be opened again.
        #[source]
        cause: Arc<Self>,
    },
    /// A PKCS#11 call failed.
    #[error("{doing}: {cause}")]
    Call {
        /// What was being done.
        doing: &'static str,
        /// The function and its return value.
        #[source]
        cause: Cause,
    },
}

impl TokenError {
    /// Whether the PIN was refused or must not be tried: another attempt, by this process or the next, could lock it.
    ///
    /// A process that is started again by a supervisor must remember this, and not log in before somebody has acted.
    #[must_use]
    pub const fn forbids_another_log_in(&self) -> bool {
        matches!(
            self,
            Self::PinIncorrect { .. }
                | Self::PinLocked { .. }
                | Self::PinFinalTry { .. }
                | Self::PinLength { .. }
                | Self::PinNotSet { .. }
                | Self::Closed { .. }
        )
    }

    /// Whether the session, log-in or device is gone, so that opening it again may help.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self, Self::Call { cause, .. } if is_loss(cause))
    }
}

/// Whether a return value means that session, log-in, handle or device are gone (PKCS#11 v3.0 section 5.1).
///
/// SoftHSM reports a removed token as CKR_OBJECT_HANDLE_INVALID while its session still calls itself logged in.
pub(crate) const fn is_loss(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::Pkcs11(
            RvError::ObjectHandleInvalid
                | RvError::KeyHandleInvalid
                | RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::DeviceRemoved
                | RvError::DeviceError
                | RvError::TokenNotPresent
                | RvError::TokenNotRecognized
                | RvError::SlotIdInvalid
                | RvError::UserNotLoggedIn
                | RvError::GeneralError,
            _
        )
    )
}

/// Why there is no signature, and whether there could be one all the same. The difference decides what a retry may do.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The token was never asked to sign: no signature exists.
    #[error("not signed: {0}")]
    NotCalled(#[source] TokenError),
    /// The token was asked and did not answer with a signature: one may exist. Never retry it.
    #[error("the signature's fate is unknown: {0}")]
    FateUnknown(#[source] TokenError),
}

impl SignError {
    /// Judges a failure of C_SignInit and C_Sign.
    ///
    /// C_SignInit computes nothing. Of C_Sign's return values only these state that the call was refused as it came in
    /// (PKCS#11 v3.0 sections 5.1.1 to 5.1.6); after any other the device may have computed a signature.
    pub(crate) fn of_sign(cause: Cause) -> Self {
        let refused_on_entry = matches!(
            cause,
            Cause::Pkcs11(_, Function::SignInit)
                | Cause::Pkcs11(
                    RvError::SessionHandleInvalid | RvError::CryptokiNotInitialized | RvError::OperationNotInitialized,
                    Function::Sign
                )
                | Cause::NullFunctionPointer
        );
        let error = TokenError::Call {
            doing: "sign with the token",
            cause,
        };
        if refused_on_entry {
            Self::NotCalled(error)
        } else {
            Self::FateUnknown(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_call_refused_on_entry_leaves_no_signature_behind() {
        for (rv, function, called) in [
            (RvError::ObjectHandleInvalid, Function::SignInit, false),
            (RvError::UserNotLoggedIn, Function::SignInit, false),
            (RvError::SessionHandleInvalid, Function::Sign, false),
            (RvError::SessionClosed, Function::Sign, true),
            (RvError::DeviceRemoved, Function::Sign, true),
            (RvError::GeneralError, Function::Sign, true),
            (RvError::BufferTooSmall, Function::Sign, true),
        ] {
            let judged = SignError::of_sign(Cause::Pkcs11(rv, function));
            assert_eq!(
                matches!(judged, SignError::FateUnknown(_)),
                called,
                "{rv:?} {function:?}"
            );
        }
    }

    #[test]
    fn a_wrong_pin_is_not_a_loss_that_reopening_mends() {
        assert!(!is_loss(&Cause::Pkcs11(RvError::PinIncorrect, Function::Login)));
        assert!(is_loss(&Cause::Pkcs11(RvError::DeviceRemoved, Function::SignInit)));
    }
}
