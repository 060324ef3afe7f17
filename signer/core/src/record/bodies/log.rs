//! What a log says of itself: its beginning and end, the processes, the clock, the keys.

use serde::{Deserialize, Serialize};

use super::signature::Authority;
use crate::record::large::Payload;
use crate::types::{B64, Digest, KeyAlgorithm, KeyName, Origin, SignedText, Time};

/// What a log is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogPurpose {
    /// The log of an online signer.
    Signer,
    /// The log of a ceremony.
    Ceremony,
}

/// The first record of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The log's origin.
    pub origin: Origin,
    /// The note verifier key of its checkpoints (C2SP signed-note).
    pub vkey: String,
    /// What the log is for.
    pub purpose: LogPurpose,
    /// The log that this one continues, if any.
    pub predecessor: Option<Predecessor>,
    /// The token that holds the keys.
    pub token: TokenDescription,
    /// Name and version of the software.
    pub software: String,
}

/// The last that is known of the log before this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predecessor {
    /// Its origin.
    pub origin: Origin,
    /// Its verifier key.
    pub vkey: String,
    /// Its last known checkpoint, verbatim.
    pub checkpoint: String,
    /// SHA-256 of what is carried over, which follows in a `carried_over` record.
    pub carry_over_sha256: Digest,
    /// The quorum's signed texts (`stele-succession-v1`): whether the change was planned, or what is missing.
    pub texts: Vec<SignedText>,
}

/// What a token says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenDescription {
    /// Its label.
    pub label: String,
    /// Its serial number.
    pub serial: String,
    /// Its manufacturer.
    pub manufacturer: String,
    /// Its model.
    pub model: String,
    /// Its firmware version.
    pub firmware: String,
}

/// A process that came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// `keeper` or `signer`.
    pub process: String,
    /// Random hexadecimal name of this life of the process.
    pub instance: String,
    /// Version of the software.
    pub version: String,
    /// The configuration's digest at the start; the reason at the end.
    pub detail: String,
}

/// A log-in to the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenLogin {
    /// The token.
    pub token: TokenDescription,
    /// `ok`, or why it failed.
    pub outcome: String,
}

/// A step of the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockStep {
    /// The clock's old reading.
    pub from: Time,
    /// The clock's new reading.
    pub to: Time,
    /// What was concluded.
    pub judgement: String,
}

/// A key pair in the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyGenerated {
    /// Its name, which is its label in the token.
    pub key: KeyName,
    /// What it signs.
    pub role: KeyRole,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// The public key, SPKI in DER.
    pub spki: B64,
    /// SHA-256 of the SPKI.
    pub spki_sha256: Digest,
    /// CKA_ID in hexadecimal.
    pub cka_id: String,
    /// How the private key came into the token; `generated` means there, never extractable, read back so.
    pub provenance: String,
    /// Under which authority.
    pub authority: Authority,
}

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRole {
    /// Certificates, CRLs and the like.
    Ca,
    /// The log's checkpoints and nothing else.
    Checkpoint,
}

/// A key pair that is no longer in the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyDestroyed {
    /// Its name; no later key of this log has it.
    pub key: KeyName,
    /// SHA-256 of its SPKI.
    pub spki_sha256: Digest,
    /// The quorum's texts (`stele-key-v1`).
    pub texts: Vec<SignedText>,
}

/// The log that goes on after this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Successor {
    /// Its origin.
    pub origin: Origin,
    /// Its verifier key.
    pub vkey: String,
}

/// The end of an epoch: nothing follows in this log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochClosed {
    /// Where it goes on.
    pub successor: Successor,
    /// The quorum's texts (`stele-close-v1`).
    pub texts: Vec<SignedText>,
}

/// What a log takes over from its predecessor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedOver {
    /// The carry-over file (`epoch::CarryOver`), whose digest stands in the genesis and in the texts there.
    pub carry_over: Payload,
}
