//! What the log publishes, in the formats of C2SP: `tlog-checkpoint` here, `signed-note` and `tlog-cosignature` in
//! [`note`] and [`verifier`], `tlog-tiles` in [`tile`] and [`tiler`], `tlog-proof` in [`proof`].
//!
//! Everything that is read here may come from a stranger: sizes are bounded, and only the canonical form is taken, so
//! that the same statement never has two spellings.

pub mod note;
pub mod proof;
pub mod tile;
pub mod tiler;
pub mod verifier;
pub mod witness;

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Encoding};

use crate::error::Error;
use crate::merkle::Hash;
use crate::types::{Digest, Origin, Time};
pub use note::{Note, SignatureLine};
pub use proof::TlogProof;
pub use tile::TilePath;
pub use verifier::{NoteKeyType, NoteVerifier};

/// A log's head: which log, how many entries, and the root over them (C2SP tlog-checkpoint, without extension lines,
/// which no auditor can check).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: Origin,
    /// How many entries the tree has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The note text: exactly these bytes are what the log's key signs.
    #[must_use]
    pub fn body(&self) -> String {
        self.to_string()
    }

    /// Reads the checkpoint out of a note **without verifying any signature**: for one's own stored notes, and to learn
    /// which log's key to ask for.
    ///
    /// # Errors
    /// When the note or the checkpoint in it is malformed.
    pub fn from_note_unverified(note: &str) -> Result<Self, Error> {
        note.parse::<Note>()?.text().parse()
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = Base64::encode_string(&self.root.0);
        writeln!(f, "{}\n{}\n{root}", self.origin, self.size)
    }
}

impl FromStr for Checkpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut lines = text.split('\n');
        match [(); 5].map(|()| lines.next()) {
            [Some(origin), Some(size), Some(root), Some(""), None] => Ok(Self {
                origin: origin.parse()?,
                size: decimal("checkpoint tree size", size)?,
                root: base64_hash("checkpoint root hash", root)?,
            }),
            _ => Err(Error::malformed(
                "checkpoint",
                format!("{} line breaks", text.matches('\n').count()),
                "three lines, each ending in a newline: origin, tree size, root hash (C2SP tlog-checkpoint)",
            )),
        }
    }
}

/// One signature on a checkpoint that was verified.
#[derive(Clone, Copy, Debug)]
pub struct Endorsement<'v> {
    /// The key that made it.
    pub verifier: &'v NoteVerifier,
    /// When a witness says that it cosigned; `None` for a plain signature.
    pub cosigned_at: Option<Time>,
}

/// Opens a signed checkpoint: verifies each signature by one of `verifiers` over the note's text, ignores the others,
/// and reads the text. The log itself must be among the signers, under a key that bears the origin as its name:
/// witnesses vouch for a log's consistency, not that a checkpoint is its own.
///
/// # Errors
/// When the note is malformed, when a signature by a known key is wrong, and when the log's own is missing.
pub fn open<'v>(note: &str, verifiers: &'v [NoteVerifier]) -> Result<(Checkpoint, Vec<Endorsement<'v>>), Error> {
    let note: Note = note.parse()?;
    let endorsements = note.verify(verifiers)?;
    let checkpoint: Checkpoint = note.text().parse()?;
    let by_log = |e: &Endorsement<'_>| e.cosigned_at.is_none() && e.verifier.name() == checkpoint.origin.as_str();
    if !endorsements.iter().any(by_log) {
        return Err(Error::unverified(
            "checkpoint",
            format!("no signature by a known key of the log `{}`", checkpoint.origin),
        ));
    }
    Ok((checkpoint, endorsements))
}

/// Makes the signed note of `body` and one signature over it, as the token returned it, DER for ECDSA.
///
/// # Errors
/// When the signature does not verify over `body` under `verifier`.
pub fn assemble(body: &str, verifier: &NoteVerifier, signature: &[u8]) -> Result<String, Error> {
    verifier.verify(body, signature)?;
    let line = SignatureLine::new(verifier.name(), verifier.key_id(), signature.to_vec())?;
    Ok(Note::new(body, vec![line])?.to_string())
}

/// A number as C2SP writes it: ASCII decimal without leading zeros.
fn decimal(field: &str, s: &str) -> Result<u64, Error> {
    s.parse()
        .ok()
        .filter(|n: &u64| n.to_string() == s)
        .ok_or_else(|| malformed(field, s, "a decimal number below 2^64 without leading zeros"))
}

fn base64_hash(field: &str, s: &str) -> Result<Hash, Error> {
    // The decoder takes nothing but canonical base64: padded, unused bits zero.
    let mut hash = [0; 32];
    match Base64::decode(s, &mut hash) {
        Ok(bytes) if bytes.len() == 32 => Ok(Digest(hash)),
        _ => Err(malformed(field, s, "32 bytes in standard base64 with padding")),
    }
}

/// [`Error::Malformed`] that shows the beginning of foreign text, escaped.
fn malformed(field: &str, found: &str, permitted: &str) -> Error {
    let shown: String = found.chars().take(80).collect();
    Error::malformed(field, format!("`{}`", shown.escape_debug()), permitted)
}
