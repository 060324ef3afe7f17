//! The file that carries what operators signed to where it is applied: a subject, and the texts over it.

use serde::{Deserialize, Serialize};

use super::Bundle;
use super::texts::{BundleText, CloseText, KeyText, OperatorText as _, RecoveryText, StopText, SuccessionText};
use crate::ceremony::CeremonyFile;
use crate::error::Error;
use crate::types::{Digest, SignedText};

/// The version of the form.
pub const VERSION: u8 = 1;

/// What the texts are about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Subject {
    /// The next authority bundle: its canonical bytes, which are JSON, as text.
    Bundle(String),
    /// A stop, whole in its text: an unfreezing, or the revocation of a CA's certificate.
    Stop,
    /// A recovery, with the details whose digest its text names.
    Recovery(String),
    /// The end of an epoch, whole in its text.
    Close,
    /// The beginning of an epoch: the carry-over file, which is JSON, as text.
    Succession(String),
    /// A key to be generated or destroyed, whole in its text.
    Key,
}

impl Subject {
    /// What it is, in one word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bundle(_) => "bundle",
            Self::Stop => "stop",
            Self::Recovery(_) => "recovery",
            Self::Close => "close",
            Self::Succession(_) => "succession",
            Self::Key => "key",
        }
    }

    /// The namespace that its texts are signed in.
    #[must_use]
    pub const fn namespace(&self) -> &'static str {
        match self {
            Self::Bundle(_) => BundleText::NAMESPACE,
            Self::Stop => StopText::NAMESPACE,
            Self::Recovery(_) => RecoveryText::NAMESPACE,
            Self::Close => CloseText::NAMESPACE,
            Self::Succession(_) => SuccessionText::NAMESPACE,
            Self::Key => KeyText::NAMESPACE,
        }
    }
}

/// A signed file: what `stele authority sign` writes and `stele apply` hands in. Canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedFile {
    /// [`VERSION`].
    pub v: u8,
    /// What it is about.
    pub subject: Subject,
    /// One text, signed by each operator: the same words, another signature.
    pub texts: Vec<SignedText>,
}

impl CeremonyFile for SignedFile {
    const WHAT: &'static str = "signed file";
    fn version(&self) -> u8 {
        self.v
    }
}

impl SignedFile {
    /// A file about `subject` with the operators' texts.
    ///
    /// # Errors
    /// When there is no text, the texts differ, or they do not fit the subject. Signatures are not verified here.
    pub fn new(subject: Subject, texts: Vec<SignedText>) -> Result<Self, Error> {
        let file = Self {
            v: VERSION,
            subject,
            texts,
        };
        file.check()?;
        Ok(file)
    }

    /// Checks that every text has the same words, and that these fit the subject. For a file that was read.
    ///
    /// # Errors
    /// When they do not.
    pub fn check(&self) -> Result<(), Error> {
        let bad = |found: &str, permitted: &str| Error::malformed("signed file", found, permitted);
        let first = self
            .texts
            .first()
            .ok_or_else(|| bad("no text", "one signed text for each operator"))?;
        if self.texts.iter().any(|t| t.text != first.text) {
            return Err(bad("different texts", "the same text, signed by each operator"));
        }
        match &self.subject {
            Subject::Bundle(bundle) => {
                let text: BundleText = first.text.parse()?;
                let found = Digest::of(bundle.as_bytes());
                fits("bundle-sha256", text.bundle_sha256, found)
            }
            Subject::Stop => first.text.parse::<StopText>().map(|_| ()),
            Subject::Recovery(detail) => {
                let text: RecoveryText = first.text.parse()?;
                fits("detail-sha256", text.detail_sha256, Digest::of(detail.as_bytes()))
            }
            Subject::Close => first.text.parse::<CloseText>().map(|_| ()),
            Subject::Succession(file) => {
                let text: SuccessionText = first.text.parse()?;
                fits("carry-over-sha256", text.carry_over_sha256, Digest::of(file.as_bytes()))
            }
            Subject::Key => first.text.parse::<KeyText>().map(|_| ()),
        }
    }

    /// The bundle in it, if it is about one.
    ///
    /// # Errors
    /// Every fault of the bundle.
    pub fn bundle(&self) -> Result<Option<Bundle>, Vec<Error>> {
        match &self.subject {
            Subject::Bundle(text) => Bundle::parse(text.as_bytes()).map(Some),
            _ => Ok(None),
        }
    }
}

fn fits(line: &str, signed: Digest, found: Digest) -> Result<(), Error> {
    if signed == found {
        return Ok(());
    }
    Err(Error::unverified(
        line,
        format!("the text names {signed}, but the file holds {found}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Time;

    fn signed(text: &impl ToString, signature: &str) -> SignedText {
        SignedText {
            text: text.to_string(),
            signature: signature.to_owned(),
        }
    }

    #[test]
    fn texts_must_fit_the_subject() {
        let text = |detail: &[u8]| RecoveryText {
            origin: "o".parse().unwrap(),
            action: "clock".to_owned(),
            detail_sha256: Digest::of(detail),
            expires: Time::from_secs(1),
        };
        let (one, other) = (text(b"x"), text(b"y"));
        let subject = || Subject::Recovery("x".to_owned());
        let file = SignedFile::new(subject(), vec![signed(&one, "a"), signed(&one, "b")]).unwrap();
        assert_eq!(SignedFile::decode(&file.encode().unwrap()).unwrap(), file);
        assert!(SignedFile::new(subject(), Vec::new()).is_err());
        assert!(SignedFile::new(subject(), vec![signed(&other, "a")]).is_err());
        assert!(SignedFile::new(subject(), vec![signed(&one, "a"), signed(&other, "b")]).is_err());
        assert!(SignedFile::new(Subject::Stop, vec![signed(&one, "a")]).is_err());
    }
}
