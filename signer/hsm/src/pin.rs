//! What a token says about its user PIN, and the one attempt that Stele makes with it.

use cryptoki::error::{Error as Cause, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::TokenInfo as RawInfo;
use secrecy::{ExposeSecret, SecretString};

use crate::error::TokenError;

/// The user PIN's state as the token's flags give it (CK_TOKEN_INFO, PKCS#11 v3.0 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinState {
    /// CKF_USER_PIN_COUNT_LOW: a wrong PIN was entered since the last right one.
    pub count_low: bool,
    /// CKF_USER_PIN_FINAL_TRY: one more wrong PIN locks it.
    pub final_try: bool,
    /// CKF_USER_PIN_LOCKED.
    pub locked: bool,
    /// CKF_USER_PIN_INITIALIZED, and not CKF_USER_PIN_TO_BE_CHANGED.
    pub usable: bool,
}

impl PinState {
    pub(crate) fn of(info: &RawInfo) -> Self {
        Self {
            count_low: info.user_pin_count_low(),
            final_try: info.user_pin_final_try(),
            locked: info.user_pin_locked(),
            usable: info.user_pin_initialized() && !info.user_pin_to_be_changed(),
        }
    }

    /// Refuses a log-in that could lock the token, or cannot succeed.
    pub(crate) fn permits_log_in(self, label: &str) -> Result<(), TokenError> {
        let label = label.to_owned();
        match self {
            Self { locked: true, .. } => Err(TokenError::PinLocked { label }),
            Self { final_try: true, .. } => Err(TokenError::PinFinalTry { label }),
            Self { usable: false, .. } => Err(TokenError::PinNotSet { label }),
            _ => Ok(()),
        }
    }
}

/// Refuses a PIN that the token would not take for its length alone, without spending an attempt.
pub(crate) fn check_length(who: &'static str, pin: &SecretString, info: &RawInfo) -> Result<(), TokenError> {
    let (found, min, max) = (pin.expose_secret().len(), info.min_pin_length(), info.max_pin_length());
    if found == 0 || found < min || found > max {
        return Err(TokenError::PinLength { who, found, min, max });
    }
    Ok(())
}

/// Whether an existing log-in may stand in for ours: only once the PIN has been proved, for a second C_Login answers
/// CKR_USER_ALREADY_LOGGED_IN whatever the PIN.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The PIN is yet to be proved.
    Wanted,
    /// This PIN has logged in before.
    Given,
}

/// One attempt to log the user in; never a second.
pub(crate) fn log_in(session: &Session, info: &RawInfo, pin: &SecretString, proof: Proof) -> Result<(), TokenError> {
    PinState::of(info).permits_log_in(info.label())?;
    check_length("user", pin, info)?;
    let label = info.label().to_owned();
    match session.login(UserType::User, Some(pin)) {
        Ok(()) => Ok(()),
        Err(Cause::Pkcs11(RvError::UserAlreadyLoggedIn, _)) if proof == Proof::Given => Ok(()),
        Err(Cause::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Err(TokenError::AlreadyOpen { label }),
        Err(Cause::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
            Err(TokenError::PinIncorrect { label })
        }
        Err(Cause::Pkcs11(RvError::PinLocked, _)) => Err(TokenError::PinLocked { label }),
        Err(Cause::Pkcs11(RvError::PinExpired | RvError::UserPinNotInitialized, _)) => {
            Err(TokenError::PinNotSet { label })
        }
        Err(cause) => Err(TokenError::Call {
            doing: "log in to the token",
            cause,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: PinState = PinState {
        count_low: false,
        final_try: false,
        locked: false,
        usable: true,
    };

    #[test]
    fn the_last_attempt_is_never_spent() {
        assert!(FRESH.permits_log_in("t").is_ok());
        let low = PinState {
            count_low: true,
            ..FRESH
        };
        assert!(low.permits_log_in("t").is_ok());
        let last = PinState { final_try: true, ..low };
        assert!(matches!(last.permits_log_in("t"), Err(TokenError::PinFinalTry { .. })));
        let locked = PinState { locked: true, ..last };
        assert!(matches!(locked.permits_log_in("t"), Err(TokenError::PinLocked { .. })));
        let unset = PinState { usable: false, ..FRESH };
        assert!(matches!(unset.permits_log_in("t"), Err(TokenError::PinNotSet { .. })));
    }
}
