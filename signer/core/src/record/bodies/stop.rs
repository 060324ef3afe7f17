//! What stops, and what operators decide about it.

use serde::{Deserialize, Serialize};

use crate::crl::Reason;
use crate::types::{CallerSan, KeyName, ProfileName, Serial, SignedText, Time};

/// A revoked certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// The key that issued it.
    pub key: KeyName,
    /// Its serial.
    pub serial: Serial,
    /// The end of its validity.
    pub not_after: Time,
    /// Why.
    pub reason: Reason,
    /// Who asked.
    pub by: CallerSan,
    /// The quorum's texts, where the certificate is a CA's.
    pub texts: Vec<SignedText>,
    /// What else the one who asked had to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What can be frozen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreezeTarget {
    /// A CA key: it then signs CRLs and OCSP responses only.
    Issuer(KeyName),
    /// A profile.
    Profile(ProfileName),
    /// A caller.
    Caller(CallerSan),
}

/// A freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// What.
    pub target: FreezeTarget,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub by: CallerSan,
}

/// A lifted freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unfreeze {
    /// What.
    pub target: FreezeTarget,
    /// The quorum's texts.
    pub texts: Vec<SignedText>,
}

/// A recovery that operators decided on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// What they decided, e.g. `clock`.
    pub action: String,
    /// The quorum's texts.
    pub texts: Vec<SignedText>,
}
