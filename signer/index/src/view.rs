//! What look-ups answer. Every `index` is the index of a record in the log.

use serde::{Deserialize, Serialize};
use stele_core::crl::Reason;
use stele_core::record::{CaCertificate, FreezeTarget, Need, Purpose, RequestRef};
use stele_core::types::{CallerSan, Digest, KeyName, OperatorName, ProfileName, RequestId, Serial, SignedText, Time};

use crate::text::Name;

/// A part of a longer answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The answers, in the log's order.
    pub items: Vec<T>,
    /// What to pass as `after` for the next part; `None` after the last.
    pub next: Option<u64>,
}

/// Where the newest attempt at a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestView {
    /// Index of the first record about it; its place in lists.
    pub first: u64,
    /// Who asked.
    pub caller: CallerSan,
    /// The id that the caller chose.
    pub id: RequestId,
    /// The digest of the request; that of the last refusal while it is not bound.
    pub digest: Digest,
    /// The newest attempt that came to a proposal or intent. 0: none did, the digest is not bound and the id is free
    /// for another request.
    pub attempt: u32,
    /// The profile that judged it; none for what no profile governs.
    pub profile: Option<ProfileName>,
    /// What is to be signed; none while every attempt was refused.
    pub purpose: Option<Purpose>,
    /// The newest intent of any attempt, which the next attempt's intent names as its previous one.
    pub intent: Option<u64>,
    /// Index of the record that brought this state.
    pub last: u64,
    /// The state.
    pub state: State,
}

impl RequestView {
    /// Whether the id is taken by this digest for ever.
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        self.attempt > 0
    }
}

/// The state of a request, without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// [`State::Refused`]
    Refused,
    /// [`State::Pending`]
    Pending,
    /// [`State::Denied`]
    Denied,
    /// [`State::Withdrawn`]
    Withdrawn,
    /// [`State::Intended`]
    Intended,
    /// [`State::Issued`]
    Issued,
    /// [`State::Failed`]
    Failed,
    /// [`State::Unknown`]
    Unknown,
}

/// The state of a request. That a proposal expired or became void is the reader's judgement, from time and bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The newest attempt was refused by this record.
    Refused {
        /// The refusal.
        refusal: u64,
    },
    /// It waits for operators.
    Pending(ProposalView),
    /// An operator denied it.
    Denied {
        /// The proposal.
        proposal: u64,
        /// The decision.
        decision: u64,
    },
    /// The requester took it back.
    Withdrawn {
        /// The proposal.
        proposal: u64,
        /// The withdrawal.
        withdrawal: u64,
    },
    /// The intent is recorded, its fate is not yet.
    Intended {
        /// The intent.
        intent: u64,
    },
    /// It was signed.
    Issued {
        /// The intent.
        intent: u64,
        /// The outcome, which holds what was signed.
        outcome: u64,
        /// The key that signed.
        key: KeyName,
        /// The serial, for certificates.
        serial: Option<Serial>,
    },
    /// No signature was made.
    Failed {
        /// The intent.
        intent: u64,
        /// The outcome.
        outcome: u64,
    },
    /// Nobody knows whether a signature was made; it counts as made.
    Unknown {
        /// The intent.
        intent: u64,
        /// The outcome.
        outcome: u64,
    },
}

/// A proposal and what was decided on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalView {
    /// The proposal.
    pub index: u64,
    /// What it waits for.
    pub need: Need,
    /// Until when.
    pub expires: Time,
    /// The decisions, in the log's order; whether their makers still count is the authority's judgement.
    pub decisions: Vec<DecisionView>,
}

/// A proposal with the request that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// Whose request, and which attempt.
    pub request: RequestRef,
    /// The profile.
    pub profile: ProfileName,
    /// The proposal.
    pub proposal: ProposalView,
}

/// An operator's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionView {
    /// The decision.
    pub index: u64,
    /// Who.
    pub operator: OperatorName,
    /// Whether it is a yes.
    pub approve: bool,
    /// The signed text.
    pub text: SignedText,
}

/// An intent that is not known to have been signed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntentView {
    /// The intent.
    pub index: u64,
    /// When it was recorded.
    pub time: Time,
    /// Whose request.
    pub caller: CallerSan,
    /// Its id.
    pub id: RequestId,
    /// The attempt.
    pub attempt: u32,
    /// What is to be signed.
    pub purpose: Purpose,
    /// With which key.
    pub key: KeyName,
    /// The serial, for certificates.
    pub serial: Option<Serial>,
    /// The end of validity, for certificates.
    pub not_after: Option<Time>,
}

/// Which requests to list; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Of this caller.
    pub caller: Option<CallerSan>,
    /// In this state.
    pub state: Option<StateKind>,
    /// Under this profile.
    pub profile: Option<ProfileName>,
}

/// Which records to find; all that is stated must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this kind, e.g. `issued` (`Body::kind`).
    pub kind: Option<String>,
    /// About a request of this caller, or made by them.
    pub caller: Option<CallerSan>,
    /// About the request with this id.
    pub request: Option<RequestId>,
    /// Under this profile.
    pub profile: Option<ProfileName>,
    /// About this key.
    pub key: Option<KeyName>,
    /// About the certificate with this serial.
    pub serial: Option<Serial>,
    /// Holding a certificate with this name.
    pub name: Option<Name>,
    /// Recorded at this time or later.
    pub from: Option<Time>,
    /// Recorded before this time.
    pub until: Option<Time>,
}

/// What the index knows of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordView {
    /// Its index.
    pub index: u64,
    /// Its time.
    pub time: Time,
    /// Its kind.
    pub kind: String,
    /// Whose request it is about, or who made it.
    pub caller: Option<CallerSan>,
    /// The id of that request.
    pub request: Option<RequestId>,
    /// The profile.
    pub profile: Option<ProfileName>,
    /// The key that signs; of a `ca_certificate` or `key_generated`, the key that it is about.
    pub key: Option<KeyName>,
    /// The serial.
    pub serial: Option<Serial>,
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateView {
    /// The outcome that holds it.
    pub index: u64,
    /// The key that signed it.
    pub key: KeyName,
    /// Its serial.
    pub serial: Serial,
    /// The end of its validity.
    pub not_after: Time,
    /// The certificate.
    pub der: Vec<u8>,
}

/// What is known of a certificate that an earlier log issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The end of its validity.
    pub not_after: Time,
    /// Whether it is a CA's.
    pub ca: bool,
}

/// A CA certificate from a ceremony.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaView {
    /// The record.
    pub index: u64,
    /// What it says.
    pub ca: CaCertificate,
}

/// A key's newest CRL: the one with the highest number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlView {
    /// The record that holds it: an outcome, or the CA certificate that came with it.
    pub index: u64,
    /// Its CRL number.
    pub number: u64,
    /// Its thisUpdate.
    pub this_update: Time,
    /// Its nextUpdate.
    pub next_update: Time,
    /// The CRL.
    pub der: Vec<u8>,
}

/// A revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The first record that revoked it.
    pub index: u64,
    /// When.
    pub time: Time,
    /// The end of the certificate's validity.
    pub not_after: Time,
    /// Why.
    pub reason: Reason,
}

/// A serial that a CRL must list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The serial.
    pub serial: Serial,
    /// The record that says so: a revocation, or an outcome `unknown`.
    pub index: u64,
    /// When it was recorded.
    pub time: Time,
    /// The end of validity; none where an unknown signature's is not recorded.
    pub not_after: Option<Time>,
    /// Why; none where it is not known whether the certificate exists.
    pub reason: Option<Reason>,
}

/// A freeze in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// What.
    pub target: FreezeTarget,
    /// The first freeze since it was last lifted.
    pub index: u64,
}

/// The newest bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleView {
    /// The record.
    pub index: u64,
    /// Its number.
    pub number: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A record that contradicts the records before it, or holds what does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// The record.
    pub index: u64,
    /// What does not fit.
    pub what: String,
}
