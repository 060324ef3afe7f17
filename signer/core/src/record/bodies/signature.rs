//! Signatures: the intent before the key is called, and what came of it.

use serde::{Deserialize, Serialize};

use super::request::{ProfileRef, RequestRef};
use crate::record::large::Payload;
use crate::request::SignRequest;
use crate::types::{Digest, KeyName, Serial, SignatureAlgorithm, SignedText, Time};

/// What is to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// An end-entity certificate.
    Leaf,
    /// A certificate of a subordinate CA.
    Intermediate,
    /// A self-signed certificate.
    Root,
    /// A PKCS#10 request for a CA key of our own.
    Csr,
    /// A certificate revocation list.
    Crl,
}

/// The authority under which a key signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// `stele-keeper init`, before there is a bundle.
    Bootstrap,
    /// A profile of the bundle that approves by itself.
    Policy,
    /// Operators' signed texts over this very TBS.
    Approvals(Vec<SignedText>),
    /// The quorum's texts in this log's genesis, which name the predecessor.
    Succession,
    /// A step of the plan recorded at an index of this log.
    Plan {
        /// Index of the plan's record.
        plan: u64,
        /// Number of the step, from 1.
        step: u32,
    },
}

/// The intent to sign: recorded, durable, before the key is used (P1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// What is to be signed.
    pub purpose: Purpose,
    /// Whose request.
    pub request: RequestRef,
    /// Which profile judged it; none for what no profile governs (root, CSR, CRL, plan).
    pub profile: Option<ProfileRef>,
    /// Digest of the bundle that judged it; none before there is one.
    pub bundle: Option<Digest>,
    /// The key that is to sign.
    pub key: KeyName,
    /// SHA-256 of its SPKI.
    pub spki_sha256: Digest,
    /// With which algorithm.
    pub algorithm: SignatureAlgorithm,
    /// The exact bytes to be signed.
    pub tbs: Payload,
    /// Their digest.
    pub tbs_sha256: Digest,
    /// The serial in them, for certificates.
    pub serial: Option<Serial>,
    /// The end of validity in them, for certificates.
    pub not_after: Option<Time>,
    /// The whole request as the caller made it, for certificates on request; `request.digest` is its digest.
    pub asked: Option<SignRequest>,
    /// Index of the proposal that was approved.
    pub proposal: Option<u64>,
    /// Index of the intent of the attempt before this one.
    pub previous: Option<u64>,
    /// Under which authority.
    pub authority: Authority,
}

/// A signature that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// Index of the intent.
    pub intent: u64,
    /// Whose request.
    pub request: RequestRef,
    /// What was signed.
    pub purpose: Purpose,
    /// The key that signed.
    pub key: KeyName,
    /// The serial, for certificates.
    pub serial: Option<Serial>,
    /// SHA-256 of the whole.
    pub sha256: Digest,
    /// The whole certificate, CRL or PKCS#10 request in DER.
    pub signed: Payload,
}

/// No signature was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// Index of the intent.
    pub intent: u64,
    /// Why.
    pub reason: String,
}

/// Whether a signature was made is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unknown {
    /// Index of the intent.
    pub intent: u64,
    /// The key that may have signed.
    pub key: KeyName,
    /// The serial that may exist.
    pub serial: Option<Serial>,
    /// The end of its validity.
    pub not_after: Option<Time>,
    /// Why nobody knows.
    pub reason: String,
}

impl Intent {
    /// Whether fields that only certificates have stand in an intent for something else.
    #[must_use]
    pub const fn certificate_fields_stray(&self) -> bool {
        matches!(self.purpose, Purpose::Csr | Purpose::Crl) && (self.serial.is_some() || self.not_after.is_some())
    }
}
