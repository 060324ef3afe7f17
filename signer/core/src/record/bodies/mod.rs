//! What a record can say. The field order in these types is the field order in the log.

mod ceremony;
mod log;
mod request;
mod signature;
mod stop;
mod witness;

pub use ceremony::*;
pub use log::*;
pub use request::*;
pub use signature::*;
pub use stop::*;
pub use witness::*;

use serde::{Deserialize, Serialize};

use super::large::Chunk;

/// Every kind of record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "snake_case")]
pub enum Body {
    /// Record 0 of every log.
    Genesis(Genesis),
    /// A part of a larger body.
    Chunk(Chunk),
    /// A process came up.
    Started(Process),
    /// A process went down in order.
    Stopped(Process),
    /// The keeper logged in to its token, or failed to.
    TokenLogin(TokenLogin),
    /// The clock moved in a way that had to be noticed.
    ClockStep(ClockStep),
    /// A key pair was generated in the token.
    KeyGenerated(KeyGenerated),
    /// An authority bundle was accepted.
    BundleAdopted(BundleAdopted),
    /// In a ceremony's log: what the online signer sent to it.
    SignerRequest(SignerRequest),
    /// In a ceremony's log: the plan whose steps may be signed.
    Plan(Plan),
    /// In a ceremony's log: something that people did or said.
    CeremonyNote(CeremonyNote),
    /// In a ceremony's log, near its end: what it left behind.
    CeremonyClosed(CeremonyClosed),
    /// In a signer's log: the ceremony's hand-over was checked and taken.
    CeremonyImported(CeremonyImported),
    /// In a signer's log: a CA certificate for a key, from a ceremony.
    CaCertificate(CaCertificate),
    /// A request waits for approval; the exact TBS is frozen.
    Proposal(Box<Proposal>),
    /// An operator approved or denied a proposal.
    Decision(Decision),
    /// The requester took a proposal back.
    Withdrawal(Withdrawal),
    /// A request was refused.
    Refusal(Refused),
    /// A peer was refused before any request of its own was looked at.
    AccessRefused(AccessRefused),
    /// Many refusals of one caller, counted.
    RefusalsCounted(RefusalsCounted),
    /// A signature is about to be made.
    Intent(Box<Intent>),
    /// The signature was made; what it is on is whole in here.
    Issued(Box<Issued>),
    /// No signature was made.
    Failed(Failed),
    /// Whether a signature was made is not known; it counts as made.
    Unknown(Unknown),
    /// A certificate was revoked.
    Revocation(Revocation),
    /// An issuer, profile or caller was frozen.
    Freeze(Freeze),
    /// A freeze was lifted by the quorum.
    Unfreeze(Unfreeze),
    /// Operators decided on a recovery.
    Recovery(Recovery),
    /// A key pair was destroyed in the token.
    KeyDestroyed(KeyDestroyed),
    /// The last record of an epoch: another log goes on.
    EpochClosed(EpochClosed),
    /// Near the beginning of an epoch that continues another: what it takes over.
    CarriedOver(CarriedOver),
    /// A witness answers otherwise than before.
    WitnessResult(WitnessResult),
    /// The witnesses' cosignatures that a CA certificate's signature waited for.
    Cosigned(Cosigned),
    /// Others saw another history of this log: nothing is signed until operators decide.
    Halted(Halted),
}

impl Body {
    /// The kind, as it stands in the record.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Genesis(_) => "genesis",
            Self::Chunk(_) => "chunk",
            Self::Started(_) => "started",
            Self::Stopped(_) => "stopped",
            Self::TokenLogin(_) => "token_login",
            Self::ClockStep(_) => "clock_step",
            Self::KeyGenerated(_) => "key_generated",
            Self::BundleAdopted(_) => "bundle_adopted",
            Self::SignerRequest(_) => "signer_request",
            Self::Plan(_) => "plan",
            Self::CeremonyNote(_) => "ceremony_note",
            Self::CeremonyClosed(_) => "ceremony_closed",
            Self::CeremonyImported(_) => "ceremony_imported",
            Self::CaCertificate(_) => "ca_certificate",
            Self::Proposal(_) => "proposal",
            Self::Decision(_) => "decision",
            Self::Withdrawal(_) => "withdrawal",
            Self::Refusal(_) => "refusal",
            Self::AccessRefused(_) => "access_refused",
            Self::RefusalsCounted(_) => "refusals_counted",
            Self::Intent(_) => "intent",
            Self::Issued(_) => "issued",
            Self::Failed(_) => "failed",
            Self::Unknown(_) => "unknown",
            Self::Revocation(_) => "revocation",
            Self::Freeze(_) => "freeze",
            Self::Unfreeze(_) => "unfreeze",
            Self::Recovery(_) => "recovery",
            Self::KeyDestroyed(_) => "key_destroyed",
            Self::EpochClosed(_) => "epoch_closed",
            Self::CarriedOver(_) => "carried_over",
            Self::WitnessResult(_) => "witness_result",
            Self::Cosigned(_) => "cosigned",
            Self::Halted(_) => "halted",
        }
    }

    /// Whether only the keeper itself may write this kind: what it alone knows, and what it must judge or do first.
    #[must_use]
    pub const fn keeper_only(&self) -> bool {
        matches!(
            self,
            Self::Genesis(_)
                | Self::TokenLogin(_)
                | Self::ClockStep(_)
                | Self::KeyGenerated(_)
                | Self::KeyDestroyed(_)
                | Self::CarriedOver(_)
                | Self::Unknown(_)
                | Self::Cosigned(_)
        )
    }
}
