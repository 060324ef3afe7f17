//! The texts that operators sign, each with the key that signed it.

use crate::authority::VerifiedText;
use crate::authority::texts::OperatorText;
use crate::error::Error;
use crate::sshsig;
use crate::types::{Digest, SignedText};

/// A text whose SSH signature was verified, in the namespace of its kind.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    /// The key's type and blob, and the text.
    pub(super) verified: VerifiedText,
    /// Names this text by this key, whatever the armor looks like: ECDSA signatures are not unique.
    pub(super) mark: Digest,
}

/// Verifies a signature. Whether the key is an operator's is judged later, by the bundle in force.
pub(super) fn open(signed: &SignedText, namespace: &str) -> Result<Signed, Error> {
    let key = sshsig::verify(signed, namespace)?;
    Ok(Signed {
        mark: Digest::of(&[signed.text.as_bytes(), key.blob()].concat()),
        verified: VerifiedText {
            key: key.to_string(),
            text: signed.text.clone(),
        },
    })
}

impl Signed {
    /// The text as one of its kind.
    pub(super) fn read<T: OperatorText>(&self) -> Result<T, Error> {
        self.verified.text.parse()
    }
}

/// Refuses unless a line of a text is what it must be.
pub(super) fn line<T: PartialEq + std::fmt::Display>(name: &str, found: &T, expected: &T) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    let field = format!("signed text, {name}");
    Err(Error::malformed(field, format!("`{found}`"), format!("`{expected}`")))
}
