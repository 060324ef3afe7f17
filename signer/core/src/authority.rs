//! The authority bundle: profiles, operators, quorums, callers, client CA, key ceilings and witnesses, as one numbered,
//! hashed document that the quorum of the one before has signed.

mod bundle;
pub mod ceiling;
mod diff;
mod quorum;
mod raw;
pub mod signed_file;
pub mod texts;
mod validate;

pub use bundle::Bundle;
pub use ceiling::{Ceiling, CeilingKind};
pub use diff::diff;
pub use quorum::{QuorumRule, VerifiedText, counted, quorum};

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::NoteVerifier;
use crate::profile::{Profile, Role, Seconds};
use crate::types::{CallerName, CallerSan, Digest, KeyAlgorithm, KeyName, OperatorName, ProfileName, WitnessName};

/// A decision that operators take together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Accepting the next bundle.
    Bundle,
    /// A ceremony's plan.
    Plan,
    /// Clock steps and discontinuities.
    Recovery,
    /// Ending a freeze.
    Unfreeze,
    /// Revoking a CA's certificate.
    CaRevocation,
    /// Generating or destroying a key.
    Key,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 6] = [
        Self::Bundle,
        Self::Plan,
        Self::Recovery,
        Self::Unfreeze,
        Self::CaRevocation,
        Self::Key,
    ];

    /// Its name in `[quorum]`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Plan => "plan",
            Self::Recovery => "recovery",
            Self::Unfreeze => "unfreeze",
            Self::CaRevocation => "ca_revocation",
            Self::Key => "key",
        }
    }
}

/// A person who decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Their name.
    pub name: OperatorName,
    /// Their SSH public keys, one `authorized_keys` line each.
    pub keys: Vec<String>,
    /// What they may decide.
    pub roles: BTreeSet<Role>,
    /// The callers that act for them; what those asked for they cannot approve.
    pub acts_as: BTreeSet<CallerSan>,
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallerRole {
    /// Ask for certificates under the profiles that name it.
    Request,
    /// Submit approvals, bundles and other signed texts.
    Operate,
    /// Read everything.
    Audit,
    /// Revoke leaves and freeze.
    Revoke,
}

/// A client of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its name.
    pub name: CallerName,
    /// The identity in its certificate.
    pub san: CallerSan,
    /// What it may do.
    pub roles: BTreeSet<CallerRole>,
}

/// A CA key and what it may sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaKey {
    /// Its name.
    pub name: KeyName,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki_sha256: Digest,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// The limit that the keeper holds it to, whatever a profile says.
    pub ceiling: Ceiling,
}

/// A witness of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Its name here.
    pub name: WitnessName,
    /// Its verifier key, of type cosignature/v1 (C2SP tlog-cosignature).
    pub key: NoteVerifier,
}

/// What is demanded of the witnesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WitnessPolicy {
    /// How many of them must cosign a checkpoint before it counts as witnessed.
    pub quorum: u32,
    /// Whether a CA certificate is signed only when its intent lies under a witnessed checkpoint.
    pub ca_intents: bool,
    /// How long a record may lie under no witnessed checkpoint before certificates are signed no more.
    pub max_lag: Option<Seconds>,
}

impl WitnessPolicy {
    /// Whether so many different witnesses are enough.
    #[must_use]
    pub fn is_met_by(&self, witnesses: usize) -> bool {
        u32::try_from(witnesses).is_ok_and(|witnesses| witnesses >= self.quorum.max(1))
    }
}

/// The content of a bundle, checked as a whole.
#[derive(Clone, Debug)]
pub struct Authority {
    name: String,
    quorums: BTreeMap<Action, QuorumRule>,
    operators: BTreeMap<OperatorName, Operator>,
    callers: BTreeMap<CallerName, Caller>,
    known_callers: BTreeSet<CallerSan>,
    client_ca: KeyName,
    enrolment: BTreeSet<ProfileName>,
    keys: BTreeMap<KeyName, CaKey>,
    witnesses: Vec<Witness>,
    witness_policy: Option<WitnessPolicy>,
    server_names: Vec<String>,
    profiles: BTreeMap<ProfileName, Profile>,
}

impl Authority {
    /// The name of the authority, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The profile of this name.
    #[must_use]
    pub fn profile(&self, name: &ProfileName) -> Option<&Profile> {
        self.profiles.get(name)
    }
    /// Every profile, by name.
    #[must_use]
    pub const fn profiles(&self) -> &BTreeMap<ProfileName, Profile> {
        &self.profiles
    }
    /// The caller with this identity.
    #[must_use]
    pub fn caller_by_san(&self, san: &CallerSan) -> Option<&Caller> {
        self.callers.values().find(|caller| caller.san == *san)
    }
    /// Every caller, by name.
    #[must_use]
    pub const fn callers(&self) -> &BTreeMap<CallerName, Caller> {
        &self.callers
    }
    /// The identities of all callers.
    #[must_use]
    pub const fn known_callers(&self) -> &BTreeSet<CallerSan> {
        &self.known_callers
    }
    /// The operator of this name.
    #[must_use]
    pub fn operator(&self, name: &OperatorName) -> Option<&Operator> {
        self.operators.get(name)
    }
    /// Every operator, by name.
    #[must_use]
    pub const fn operators(&self) -> &BTreeMap<OperatorName, Operator> {
        &self.operators
    }
    /// The operators who hold a role.
    pub fn operators_with<'a>(&'a self, role: &'a Role) -> impl Iterator<Item = &'a Operator> {
        self.operators.values().filter(move |o| o.roles.contains(role))
    }
    /// The operator for whom a caller acts.
    #[must_use]
    pub fn operator_acting_as(&self, san: &CallerSan) -> Option<&Operator> {
        self.operators.values().find(|o| o.acts_as.contains(san))
    }
    /// The CA key of this name.
    #[must_use]
    pub fn key(&self, name: &KeyName) -> Option<&CaKey> {
        self.keys.get(name)
    }
    /// Every CA key, by name.
    #[must_use]
    pub const fn keys(&self) -> &BTreeMap<KeyName, CaKey> {
        &self.keys
    }
    /// The ceiling of a CA key.
    #[must_use]
    pub fn ceiling(&self, name: &KeyName) -> Option<&Ceiling> {
        self.keys.get(name).map(|key| &key.ceiling)
    }
    /// The access CA: the only issuer of callers' certificates, and their trust anchor.
    #[must_use]
    pub const fn client_ca(&self) -> &KeyName {
        &self.client_ca
    }
    /// The profiles that a local user may enrol under.
    #[must_use]
    pub const fn enrolment(&self) -> &BTreeSet<ProfileName> {
        &self.enrolment
    }
    /// How many operators of which role an action takes.
    #[must_use]
    pub fn quorum_for(&self, action: Action) -> Option<&QuorumRule> {
        self.quorums.get(&action)
    }
    /// The witnesses of the log.
    #[must_use]
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }
    /// The verifier keys of the witnesses, in the same order.
    #[must_use]
    pub fn witness_keys(&self) -> Vec<NoteVerifier> {
        self.witnesses.iter().map(|witness| witness.key.clone()).collect()
    }
    /// What is demanded of the witnesses; nothing where it is absent.
    #[must_use]
    pub const fn witness_policy(&self) -> Option<&WitnessPolicy> {
        self.witness_policy.as_ref()
    }
    /// The names that the service's own certificate carries.
    #[must_use]
    pub fn server_names(&self) -> &[String] {
        &self.server_names
    }
}
