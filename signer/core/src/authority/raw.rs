//! `authority.toml`, as TOML has it.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{CallerRole, Ceiling, QuorumRule};
use crate::profile::{Role, Seconds};
use crate::types::{CallerName, CallerSan, Digest, KeyAlgorithm, KeyName, OperatorName, ProfileName, WitnessName};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuthority {
    pub(super) name: String,
    pub(super) quorum: RawQuorums,
    pub(super) operator: Vec<RawOperator>,
    #[serde(default)]
    pub(super) caller: Vec<RawCaller>,
    pub(super) client_ca: RawClientCa,
    #[serde(default)]
    pub(super) enrolment: RawEnrolment,
    pub(super) key: Vec<RawKey>,
    #[serde(default)]
    pub(super) witness: Vec<RawWitness>,
    pub(super) witness_policy: Option<RawWitnessPolicy>,
    #[serde(default)]
    pub(super) service: RawService,
}

/// Every action has to be there: an absent quorum must not mean that nobody is needed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawQuorums {
    pub(super) bundle: QuorumRule,
    pub(super) plan: QuorumRule,
    pub(super) recovery: QuorumRule,
    pub(super) unfreeze: QuorumRule,
    pub(super) ca_revocation: QuorumRule,
    pub(super) key: QuorumRule,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOperator {
    pub(super) name: OperatorName,
    pub(super) keys: Vec<String>,
    pub(super) roles: BTreeSet<Role>,
    #[serde(default)]
    pub(super) acts_as: BTreeSet<CallerSan>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCaller {
    pub(super) name: CallerName,
    pub(super) san: CallerSan,
    pub(super) roles: BTreeSet<CallerRole>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClientCa {
    pub(super) key: KeyName,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEnrolment {
    pub(super) profiles: BTreeSet<ProfileName>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKey {
    pub(super) name: KeyName,
    pub(super) spki_sha256: Digest,
    pub(super) algorithm: KeyAlgorithm,
    pub(super) ceiling: Ceiling,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWitness {
    pub(super) name: WitnessName,
    pub(super) vkey: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWitnessPolicy {
    pub(super) quorum: u32,
    #[serde(default)]
    pub(super) ca_intents: bool,
    pub(super) max_lag: Option<Seconds>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawService {
    #[serde(default)]
    pub(super) server_names: Vec<String>,
}
