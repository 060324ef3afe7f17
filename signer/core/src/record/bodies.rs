//! What a record can say. The field order here is the field order in the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::large::{Chunk, Payload};
use crate::crl::Reason;
use crate::error::Violation;
use crate::request::SignRequest;
use crate::types::{
    B64, CallerSan, Digest, KeyAlgorithm, KeyName, OperatorName, Origin, ProfileName, RequestId, Serial,
    SignatureAlgorithm, SignedText, Time, WitnessName,
};

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

/// What a witness answers now; recorded when it changes, not each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessResult {
    /// The witness.
    pub witness: WitnessName,
    /// The size of the checkpoint that it was asked to cosign.
    pub size: u64,
    /// `cosigned`, or what is wrong.
    pub result: String,
}

/// A checkpoint over a CA certificate's intent that enough witnesses cosigned; written before the key is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosigned {
    /// Index of the intent.
    pub intent: u64,
    /// The checkpoint with its cosignatures, verbatim.
    pub checkpoint: String,
}

/// Why the log is not what others saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltReason {
    /// There is a checkpoint under the log's own key with another root at a size that the log has.
    ConflictingCheckpoint,
    /// There is a checkpoint under the log's own key over more entries than the log has, or witnesses say that they
    /// cosigned one.
    LargerLog,
}

/// Nothing is signed from here on, until operators confirm this history with a `history` recovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Halted {
    /// Why.
    pub reason: HaltReason,
    /// In words: what was found, and where.
    pub found: String,
    /// The other history's checkpoint, verbatim, where one was seen.
    pub checkpoint: Option<String>,
}

impl Intent {
    /// Whether fields that only certificates have stand in an intent for something else.
    #[must_use]
    pub const fn certificate_fields_stray(&self) -> bool {
        matches!(self.purpose, Purpose::Csr | Purpose::Crl) && (self.serial.is_some() || self.not_after.is_some())
    }
}
