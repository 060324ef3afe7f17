//! The offline check of one certificate: proof file, certificate and verifier key, nothing else.

use stele_core::checkpoint::{Checkpoint, NoteVerifier, TlogProof};
use stele_core::record::{Body, Issued, Payload, Record};
use stele_core::types::{Digest, Position, Time};

use crate::error::CliError;

/// What a proof that verified says.
pub(crate) struct Proven {
    /// Where the outcome record stands.
    pub(crate) position: Position,
    /// When it was recorded.
    pub(crate) time: Time,
    /// The outcome.
    pub(crate) issued: Issued,
    /// The checkpoint that covers it.
    pub(crate) checkpoint: Checkpoint,
}

/// Verifies that the proof's record stands in the log of `verifier`, and that the record is of exactly this certificate.
///
/// # Errors
/// [`CliError::Refused`], saying which of it does not hold.
pub(crate) fn check(proof: &str, certificate: &[u8], verifier: NoteVerifier) -> Result<Proven, CliError> {
    let proof: TlogProof = proof.parse()?;
    let entry = proof.extra.as_deref().ok_or_else(|| {
        CliError::Refused("the proof carries no record (no `extra` line), so it proves nothing alone".to_owned())
    })?;
    let (checkpoint, _) = proof.verify(entry, &[verifier])?;
    let record = Record::decode(entry)?;
    if record.index != proof.index {
        let words = format!("the record says index {}, the proof {}", record.index, proof.index);
        return Err(CliError::Refused(words));
    }
    let Body::Issued(issued) = record.body else {
        let words = format!("the record is of kind `{}`, not `issued`", record.body.kind());
        return Err(CliError::Refused(words));
    };
    let same = match &issued.signed {
        Payload::Inline(der) => der.0 == certificate,
        Payload::Chunks { sha256, .. } => *sha256 == Digest::of(certificate),
    };
    if !same {
        let words = "the record is of another certificate than the one given";
        return Err(CliError::Refused(words.to_owned()));
    }
    let position = Position {
        origin: checkpoint.origin.clone(),
        index: record.index,
    };
    Ok(Proven {
        position,
        time: record.time,
        issued: *issued,
        checkpoint,
    })
}
