//! One certificate, its proof file and a verifier key: all that an offline check needs.

use crate::checkpoint::{Checkpoint, NoteVerifier, TlogProof};
use crate::error::Error;
use crate::record::{Body, Issued, Payload, Record};
use crate::types::{KeyName, Serial, Time};

/// What a proof shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofReport {
    /// The checkpoint whose tree holds the outcome.
    pub checkpoint: Checkpoint,
    /// Index of the outcome's record.
    pub index: u64,
    /// When the outcome was recorded.
    pub recorded_at: Time,
    /// Index of the intent.
    pub intent: u64,
    /// The key that signed.
    pub key: KeyName,
    /// The serial.
    pub serial: Option<Serial>,
    /// The names of the keys that signed the checkpoint, each with the time that a witness states.
    pub signers: Vec<(String, Option<Time>)>,
}

/// Checks that the certificate is the one in the outcome record that the proof carries, and that this record stands in
/// the log of one of `vkeys`.
///
/// # Errors
/// When the proof has no record, it is no outcome or one for another certificate, or proof or checkpoint does not verify.
pub fn check_proof(proof_file: &str, certificate_der: &[u8], vkeys: &[NoteVerifier]) -> Result<ProofReport, Error> {
    let proof: TlogProof = proof_file.parse()?;
    let raw = proof
        .extra
        .as_deref()
        .ok_or_else(|| Error::malformed("tlog-proof", "no `extra` line", "the outcome's record in `extra`"))?;
    let record = Record::decode(raw)?;
    if record.index != proof.index {
        let permitted = format!("{}, the index of the record", record.index);
        return Err(Error::malformed("tlog-proof index", proof.index.to_string(), permitted));
    }
    let Body::Issued(issued) = record.body else {
        let found = format!("a record of kind `{}`", record.body.kind());
        return Err(Error::malformed("tlog-proof", found, "a record of kind `issued`"));
    };
    same_certificate(&issued, certificate_der)?;
    let (checkpoint, endorsements) = proof.verify(raw, vkeys)?;
    Ok(ProofReport {
        checkpoint,
        index: record.index,
        recorded_at: record.time,
        intent: issued.intent,
        key: issued.key,
        serial: issued.serial,
        signers: endorsements
            .iter()
            .map(|e| (e.verifier.name().to_owned(), e.cosigned_at))
            .collect(),
    })
}

fn same_certificate(issued: &Issued, certificate_der: &[u8]) -> Result<(), Error> {
    let same = match &issued.signed {
        Payload::Inline(bytes) => bytes.0 == certificate_der,
        Payload::Chunks { sha256, length, .. } => {
            let digest = crate::types::Digest::of(certificate_der);
            *sha256 == digest && *length == certificate_der.len() as u64
        }
    };
    if same {
        return Ok(());
    }
    let serial = issued
        .serial
        .as_ref()
        .map_or_else(|| "none".to_owned(), ToString::to_string);
    Err(Error::unverified(
        "certificate",
        format!("the proof is for another one, with serial {serial}"),
    ))
}
