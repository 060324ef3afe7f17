//! C2SP tlog-witness: what a log sends to a witness, and what the answer means; and checkpoints with cosignatures.
//!
//! Answers come from machines of other people. Nothing of an answer counts before a signature on it was verified, but
//! for the size that a witness claims, which serves to choose the next proof and to raise an alarm.

use std::fmt;

use super::{Checkpoint, Note, NoteKeyType, NoteVerifier, SignatureLine, decimal, malformed};
use crate::error::Error;
use crate::merkle::Hash;
use base64ct::{Base64, Encoding};

/// The largest answer of a witness that is read, in bytes: many times what cosignatures take.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The content type of a 409 answer that tells a size.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";
/// The most proof lines that a request may have.
const MAX_PROOF_LINES: usize = 63;

/// The body of an `add-checkpoint` request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission<'a> {
    old: u64,
    proof: &'a [Hash],
    note: &'a Note,
}

impl<'a> Submission<'a> {
    /// A submission of `note`, a checkpoint, to a witness that cosigned the tree of `old` entries last.
    ///
    /// # Errors
    /// When the note holds no checkpoint of at least `old` entries, or the number of proof hashes cannot be right: none
    /// from an empty or equal tree, at most 63.
    pub fn new(old: u64, proof: &'a [Hash], note: &'a Note) -> Result<Self, Error> {
        let checkpoint: Checkpoint = note.text().parse()?;
        if old > checkpoint.size {
            let permitted = format!("at most {}, the checkpoint's size", checkpoint.size);
            return Err(Error::malformed("old size", old.to_string(), permitted));
        }
        let permitted = if old == 0 || old == checkpoint.size {
            0
        } else {
            MAX_PROOF_LINES
        };
        if proof.len() > permitted {
            let found = format!("{} hashes from size {old}", proof.len());
            return Err(Error::malformed(
                "consistency proof",
                found,
                format!("at most {permitted}"),
            ));
        }
        Ok(Self { old, proof, note })
    }
}

impl fmt::Display for Submission<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in self.proof {
            writeln!(f, "{}", Base64::encode_string(&hash.0))?;
        }
        write!(f, "\n{}", self.note)
    }
}

/// What a witness says to a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: signature lines, not verified.
    Cosigned(String),
    /// 409 with a size: that of the newest checkpoint that it says it cosigned.
    Latest(u64),
    /// 409 without a size: the same size with another root, as witnesses of today say it.
    OtherRoot,
    /// 422: the consistency proof does not verify against what it cosigned.
    Inconsistent,
    /// 404: it does not know this log.
    UnknownLog,
    /// 403: it trusts no key that signed the checkpoint.
    UntrustedKey,
}

impl Answer {
    /// Reads an answer: its HTTP status, content type and body.
    ///
    /// # Errors
    /// When it is none that the specification knows.
    pub fn read(status: u16, content_type: Option<&str>, body: &[u8]) -> Result<Self, Error> {
        let text = || {
            std::str::from_utf8(body)
                .ok()
                .filter(|_| body.len() <= MAX_ANSWER_BYTES)
                .ok_or_else(|| {
                    let permitted = format!("at most {MAX_ANSWER_BYTES} bytes of UTF-8");
                    Error::malformed("witness answer", format!("{} bytes", body.len()), permitted)
                })
        };
        match status {
            200 => Ok(Self::Cosigned(text()?.to_owned())),
            403 => Ok(Self::UntrustedKey),
            404 => Ok(Self::UnknownLog),
            409 if body.is_empty() => Ok(Self::OtherRoot),
            409 => told_size(content_type, text()?).map(Self::Latest),
            422 => Ok(Self::Inconsistent),
            other => Err(Error::malformed(
                "witness answer",
                format!("HTTP status {other}"),
                "200, 403, 404, 409 or 422 (C2SP tlog-witness)",
            )),
        }
    }
}

fn told_size(content_type: Option<&str>, body: &str) -> Result<u64, Error> {
    // Parameters such as a character set may follow (RFC 9110 section 8.3.1).
    let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case(SIZE_CONTENT_TYPE) {
        return Err(malformed("witness content type", kind, SIZE_CONTENT_TYPE));
    }
    let digits = body
        .strip_suffix('\n')
        .ok_or_else(|| malformed("witness tree size", body, "a decimal number and a newline"))?;
    decimal("witness tree size", digits)
}

/// The cosignatures of the witness with `key` in the lines that it answered with; lines of other keys are ignored, as
/// the specification demands.
///
/// # Errors
/// When the lines are malformed, a cosignature of this key is wrong, or there is none.
pub fn cosignatures(lines: &str, checkpoint: &Note, key: &NoteVerifier) -> Result<Vec<SignatureLine>, Error> {
    let lines = lines
        .strip_suffix('\n')
        .ok_or_else(|| malformed("witness answer", lines, "signature lines, each ending in a newline"))?;
    let lines: Vec<SignatureLine> = lines.split('\n').map(str::parse).collect::<Result<_, _>>()?;
    // The same text under the answered lines alone, so that a key of ours in them counts for nothing.
    let answered = Note::new(checkpoint.text(), lines)?;
    if answered.verify(std::slice::from_ref(key))?.is_empty() {
        let why = format!("no line by its key `{}` with id {:08x}", key.name(), key.key_id());
        return Err(Error::unverified("witness answer", why));
    }
    let is_its_own = |line: &&SignatureLine| line.name() == key.name() && line.key_id() == key.key_id();
    Ok(answered
        .signatures()
        .iter()
        .filter(is_its_own)
        .take(1)
        .cloned()
        .collect())
}

/// A checkpoint that the log signed, with the witnesses that cosigned it; every signature in it is verified.
#[derive(Clone, Debug)]
pub struct CosignedCheckpoint {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// The note, with the lines of the log and these witnesses and no others.
    pub note: Note,
    /// The keys of the witnesses that cosigned, each once.
    pub by: Vec<NoteVerifier>,
}

impl CosignedCheckpoint {
    /// Opens a note: the log's own signature must be there; lines by none of `witnesses` are dropped.
    ///
    /// # Errors
    /// When the note or the checkpoint in it is malformed, a signature by a known key is wrong, or the log's is missing.
    pub fn open(note: &str, log: &NoteVerifier, witnesses: &[NoteVerifier]) -> Result<Self, Error> {
        let known: Vec<NoteVerifier> = std::iter::once(log).chain(witnesses).cloned().collect();
        let (checkpoint, endorsements) = super::open(note, &known)?;
        let by: Vec<NoteVerifier> = endorsements
            .iter()
            .filter(|e| e.cosigned_at.is_some() && e.verifier.key_type() == NoteKeyType::CosignatureV1)
            .map(|e| e.verifier.clone())
            .collect();
        let note: Note = note.parse()?;
        let kept = |line: &&SignatureLine| {
            known
                .iter()
                .any(|k| k.name() == line.name() && k.key_id() == line.key_id())
        };
        let mut lines: Vec<SignatureLine> = Vec::new();
        for line in note.signatures().iter().filter(kept) {
            if !lines
                .iter()
                .any(|l| (l.name(), l.key_id()) == (line.name(), line.key_id()))
            {
                lines.push(line.clone());
            }
        }
        Ok(Self {
            checkpoint,
            note: Note::new(note.text(), lines)?,
            by,
        })
    }
}

#[cfg(test)]
mod tests;
