//! The token: the only user of PKCS#11 in Stele.
//!
//! [`init_token`] prepares a token, [`Token`] opens one, generates and finds keys and signs with them. Everything here
//! is synchronous; a [`Token`] is shared between plain threads, which wait for one of a bounded number of sessions.
//!
//! What callers rely on:
//! - a [`SignError`] always tells whether a signature could exist, and one that could is never asked for again;
//! - a lost session, log-in or device is mended behind the caller's back, with back-off, and never at the price of a
//!   second attempt with a refused PIN;
//! - a key is what its name, `CKA_ID`, public key and attributes say, or it is refused;
//! - a process that holds a [`Token`] does not fork: the child would share its sessions.

mod error;
mod init;
mod key;
mod mechanism;
mod module;
mod pin;
mod pool;
mod public_key;
mod signature;
mod token;

pub use error::{SignError, TokenError};
pub use init::init_token;
pub use key::{KeyOrigin, TokenKey};
pub use module::{TokenInfo, TokenSpec};
pub use pin::PinState;
pub use token::Token;
