//! C2SP signed-note: a text and the signatures under it.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Encoding};

use super::{Endorsement, NoteVerifier, malformed};
use crate::error::Error;

/// The largest note we read, in bytes: room for 16 post-quantum signatures and more, as the specification asks.
const MAX_NOTE_BYTES: usize = 1_000_000;
/// The most signatures we read; the specification wants at least 16 accepted.
const MAX_SIGNATURES: usize = 100;
const LINE_START: &str = "\u{2014} ";

/// Whether `name` may name a key: not empty, without Unicode spaces and plus signs.
pub(super) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// One signature line of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine {
    name: String,
    key_id: u32,
    signature: Vec<u8>,
}

impl SignatureLine {
    /// A line for `signature` by the key with this name and id.
    ///
    /// # Errors
    /// When the name cannot name a key or the signature is empty.
    pub fn new(name: &str, key_id: u32, signature: Vec<u8>) -> Result<Self, Error> {
        if !is_key_name(name) {
            return Err(malformed("key name", name, "a name without spaces and plus signs"));
        }
        if signature.is_empty() {
            return Err(malformed("note signature", "", "at least one byte"));
        }
        Ok(Self {
            name: name.to_owned(),
            key_id,
            signature,
        })
    }

    /// The name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the key.
    #[must_use]
    pub const fn key_id(&self) -> u32 {
        self.key_id
    }

    /// The signature, without the key id; its form is the business of the key's type.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl fmt::Display for SignatureLine {
    /// The line without its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_id.to_be_bytes(), self.signature.as_slice()].concat();
        write!(f, "{LINE_START}{} {}", self.name, Base64::encode_string(&bytes))
    }
}

impl FromStr for SignatureLine {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self, Error> {
        let bad = || {
            malformed(
                "note signature line",
                line,
                "an em dash, a space, the key name, a space, and base64 of the key id and signature",
            )
        };
        let rest = line.strip_prefix(LINE_START).ok_or_else(bad)?;
        let (name, base64) = rest.split_once(' ').ok_or_else(bad)?;
        let bytes = Base64::decode_vec(base64).map_err(|_| bad())?;
        let (key_id, signature) = bytes.split_first_chunk().ok_or_else(bad)?;
        Self::new(name, u32::from_be_bytes(*key_id), signature.to_vec())
    }
}

/// A signed note. Its text means nothing before [`Note::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl Note {
    /// A note of `text` with `signatures`, which are not verified here.
    ///
    /// # Errors
    /// When the text or the number of signatures is not what a note may have.
    pub fn new(text: &str, signatures: Vec<SignatureLine>) -> Result<Self, Error> {
        if !text.ends_with('\n') || text.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(malformed(
                "note text",
                text,
                "text ending in a newline, without other ASCII control characters",
            ));
        }
        if signatures.is_empty() || signatures.len() > MAX_SIGNATURES {
            let permitted = format!("1 to {MAX_SIGNATURES} signature lines");
            return Err(Error::malformed(
                "note",
                format!("{} signature lines", signatures.len()),
                permitted,
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// The text that is signed, with its final newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, in their order.
    #[must_use]
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Verifies every signature whose key name and id belong to one of `verifiers` and ignores the others.
    /// Returns one [`Endorsement`] for each, possibly none.
    ///
    /// # Errors
    /// When a signature by a known key is wrong: such a note is rejected whole.
    pub fn verify<'v>(&self, verifiers: &'v [NoteVerifier]) -> Result<Vec<Endorsement<'v>>, Error> {
        let mut endorsements: Vec<Endorsement<'v>> = Vec::new();
        for line in &self.signatures {
            let known = |v: &&NoteVerifier| v.key_id() == line.key_id && v.name() == line.name;
            if let Some(verifier) = verifiers.iter().find(known) {
                let cosigned_at = verifier.verify(&self.text, &line.signature)?;
                // The same key twice is one witness, not two.
                if !endorsements.iter().any(|e| std::ptr::eq(e.verifier, verifier)) {
                    endorsements.push(Endorsement { verifier, cosigned_at });
                }
            }
        }
        Ok(endorsements)
    }

    /// This note with more signature lines, as a witness returns them; lines that are there already are left out.
    ///
    /// # Errors
    /// When a line is malformed or there are too many.
    pub fn with_lines(&self, lines: &str) -> Result<Self, Error> {
        if lines.len() > MAX_NOTE_BYTES {
            let permitted = format!("at most {MAX_NOTE_BYTES} bytes");
            return Err(Error::malformed(
                "note",
                format!("{} bytes of signature lines", lines.len()),
                permitted,
            ));
        }
        let mut signatures = self.signatures.clone();
        for line in lines.lines().take(MAX_SIGNATURES + 1) {
            let line: SignatureLine = line.parse()?;
            if !signatures.contains(&line) {
                signatures.push(line);
            }
        }
        Self::new(&self.text, signatures)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Note {
    type Err = Error;

    fn from_str(note: &str) -> Result<Self, Error> {
        if note.len() > MAX_NOTE_BYTES {
            let permitted = format!("at most {MAX_NOTE_BYTES} bytes");
            return Err(Error::malformed("note", format!("{} bytes", note.len()), permitted));
        }
        // The text may hold empty lines: the last one is what separates it from the signatures.
        let (text, lines) = note
            .rfind("\n\n")
            .and_then(|at| note.split_at_checked(at + 1))
            .and_then(|(text, rest)| Some((text, rest.strip_prefix('\n')?.strip_suffix('\n')?)))
            .ok_or_else(|| {
                malformed(
                    "note",
                    note,
                    "a text, an empty line and signature lines (C2SP signed-note)",
                )
            })?;
        let signatures: Result<_, _> = lines.split('\n').take(MAX_SIGNATURES + 1).map(str::parse).collect();
        Self::new(text, signatures?)
    }
}
