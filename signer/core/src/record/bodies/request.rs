//! Requests: who asked, what waits, who decided, what was refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::signature::Purpose;
use crate::error::Violation;
use crate::request::SignRequest;
use crate::types::{
    B64, CallerSan, Digest, KeyName, OperatorName, ProfileName, RequestId, Serial, SignatureAlgorithm, SignedText, Time,
};

/// Which request, whose, and which attempt at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestRef {
    /// Who asked.
    pub caller: CallerSan,
    /// The id that the caller chose.
    pub id: RequestId,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The digest of the whole request (`SignRequest::digest`).
    pub digest: Digest,
}

/// Which profile judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileRef {
    /// Its name.
    pub name: ProfileName,
    /// SHA-256 of its text.
    pub sha256: Digest,
}

/// What approval a proposal waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// How many different operators.
    pub m: u32,
    /// In which role.
    pub role: String,
}

/// A request that waits for approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// Whose request.
    pub request: RequestRef,
    /// Which profile judged it.
    pub profile: ProfileRef,
    /// Digest of the bundle that holds the profile.
    pub bundle: Digest,
    /// What is to be signed.
    pub purpose: Purpose,
    /// The issuer's key.
    pub key: KeyName,
    /// With which algorithm.
    pub algorithm: SignatureAlgorithm,
    /// The frozen TBS.
    pub tbs: B64,
    /// Its digest.
    pub tbs_sha256: Digest,
    /// The serial in it.
    pub serial: Serial,
    /// The whole request as the caller made it; `request.digest` is its digest.
    pub asked: SignRequest,
    /// What it waits for.
    pub need: Need,
    /// Until when.
    pub expires: Time,
}

/// An operator's word on a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Index of the proposal.
    pub proposal: u64,
    /// Who.
    pub operator: OperatorName,
    /// Whether it is a yes.
    pub approve: bool,
    /// The text and its signature.
    pub text: SignedText,
    /// The operator's words, if any; the signed text does not cover them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// The requester took it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// Index of the proposal.
    pub proposal: u64,
    /// By whom.
    pub caller: CallerSan,
    /// Why, in the requester's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Whose request.
    pub caller: CallerSan,
    /// Its id.
    pub id: RequestId,
    /// Its digest.
    pub digest: Digest,
    /// The profile it asked for.
    pub profile: ProfileName,
    /// The first violations.
    pub violations: Vec<Violation>,
    /// How many there were in all.
    pub total: u64,
    /// The whole request as the caller made it, where it fits in a record; `digest` is its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Box<SignRequest>>,
}

/// A refused peer or call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRefused {
    /// Who.
    pub caller: CallerSan,
    /// The method that was called.
    pub method: String,
    /// Why.
    pub reason: String,
}

/// Refusals beyond the first few of a caller and hour, which each have a record of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusalsCounted {
    /// Who was refused.
    pub caller: CallerSan,
    /// When the first of them happened.
    pub since: Time,
    /// When the last of them happened.
    pub until: Time,
    /// How many for each reason, by the reason's name in the errors.
    pub reasons: BTreeMap<String, u64>,
}
