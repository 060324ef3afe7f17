//! Bundles, and what a ceremony and a signer record of each other.

use serde::{Deserialize, Serialize};

use crate::record::large::Payload;
use crate::types::{B64, Digest, KeyName, Origin, SignedText};

/// An authority bundle, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleAdopted {
    /// Its number.
    pub number: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// The bundle before it.
    pub predecessor: Option<Digest>,
    /// Its bytes.
    pub bundle: Payload,
    /// The quorum's signed texts.
    pub texts: Vec<SignedText>,
}

/// What the online signer gave to the ceremony.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerRequest {
    /// The origin of the signer's log.
    pub origin: Origin,
    /// The verifier key of the signer's log.
    pub vkey: String,
    /// The signer's checkpoint when it asked.
    pub checkpoint: String,
    /// The whole request file.
    pub request: Payload,
}

/// The plan of a ceremony, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// SHA-256 of the plan's bytes.
    pub sha256: Digest,
    /// The plan's bytes.
    pub plan: Payload,
    /// The quorum's signed texts.
    pub texts: Vec<SignedText>,
}

/// Something that people did or said at a ceremony.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CeremonyNote {
    /// What it is about, e.g. `clock`, `inventory`, `exception`.
    pub subject: String,
    /// The words.
    pub text: String,
}

/// The end of a ceremony.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CeremonyClosed {
    /// SHA-256 of the manifest, which names every file of the transcript but the log and itself.
    pub manifest: Digest,
}

/// A hand-over that the signer took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CeremonyImported {
    /// The origin of the ceremony's log.
    pub origin: Origin,
    /// The verifier key of the ceremony's log.
    pub vkey: String,
    /// The ceremony's final checkpoint, verbatim.
    pub checkpoint: String,
    /// SHA-256 of the hand-over file.
    pub handover_sha256: Digest,
}

/// A CA certificate that a ceremony made for a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaCertificate {
    /// The key's name; `root` for the root.
    pub key: KeyName,
    /// SHA-256 of the SPKI.
    pub spki_sha256: Digest,
    /// The certificate.
    pub certificate: B64,
    /// The certificates above it, its issuer first, the root last; empty for the root.
    pub chain: Vec<B64>,
    /// The newest CRL that the ceremony made with this key, for keys that are not ours.
    pub crl: Option<Payload>,
}
