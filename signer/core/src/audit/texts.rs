//! The texts that operators sign, read without help from the code that wrote them.

use crate::error::Error;
use crate::sshsig::{self, SshPublicKey};
use crate::types::SignedText;

/// What a text is for, which is also the namespace of its SSH signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Namespace {
    Approval,
    Plan,
    Bundle,
    Stop,
    Recovery,
}

impl Namespace {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Approval => "stele-approval",
            Self::Plan => "stele-plan",
            Self::Bundle => "stele-bundle",
            Self::Stop => "stele-stop",
            Self::Recovery => "stele-recovery",
        }
    }
}

/// A signed text whose signature verified, and the key that made it.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) signer: SshPublicKey,
    pub(super) text: Text,
}

/// Verifies the signature and reads the text.
pub(super) fn open(signed: &SignedText, namespace: Namespace) -> Result<Signed, Error> {
    let text = Text::parse(&signed.text, namespace)?;
    let signed = sshsig::SignedText {
        text: signed.text.clone(),
        signature: signed.signature.clone(),
    };
    Ok(Signed {
        signer: sshsig::verify(&signed, namespace.name())?,
        text,
    })
}

/// A text: a first line that names its kind and version, then `name: value` lines.
#[derive(Clone, Debug)]
pub(super) struct Text(Vec<(String, String)>);

impl Text {
    fn parse(text: &str, namespace: Namespace) -> Result<Self, Error> {
        let header = format!("{}-v1", namespace.name());
        let bad = |found: &str| {
            let shown: String = found.chars().take(80).collect();
            let permitted = format!("the line `{header}` and lines `name: value`, each ending in a newline");
            Error::malformed("signed text", format!("`{}`", shown.escape_debug()), permitted)
        };
        let mut lines = text.strip_suffix('\n').ok_or_else(|| bad(text))?.split('\n');
        let first = lines.next().unwrap_or_default();
        if first != header {
            return Err(bad(first));
        }
        lines
            .map(|line| {
                let (name, value) = line.split_once(": ").ok_or_else(|| bad(line))?;
                Ok((name.to_owned(), value.to_owned()))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Requires that the field stands there exactly once, with this value.
    pub(super) fn require(&self, name: &str, value: &str) -> Result<(), Error> {
        let found = self.field(name)?;
        if found == value {
            return Ok(());
        }
        Err(Error::malformed(
            format!("signed text, {name}"),
            format!("`{}`", found.escape_debug()),
            format!("`{value}`"),
        ))
    }

    /// The value of a field that stands there exactly once.
    pub(super) fn field(&self, name: &str) -> Result<&str, Error> {
        let mut values = self.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str());
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (found, _) => Err(Error::malformed(
                format!("signed text, {name}"),
                if found.is_some() { "two of them" } else { "none" },
                "exactly one",
            )),
        }
    }

    /// Requires that some value holds `word` as a whole word.
    pub(super) fn require_word(&self, word: &str) -> Result<(), Error> {
        let holds = |value: &str| value.split(' ').any(|w| w == word);
        if self.0.iter().any(|(_, value)| holds(value)) {
            return Ok(());
        }
        let permitted = format!("a text that names `{word}`");
        Err(Error::malformed(
            "signed text",
            "a text about something else",
            permitted,
        ))
    }
}
