//! From the files to the checked [`Authority`]: every name resolves, and every fault is reported.

mod profiles;
mod witnesses;

use std::collections::{BTreeMap, BTreeSet};

use super::quorum::key_blob;
use super::raw::{RawAuthority, RawOperator, RawQuorums};
use super::{Action, Authority, CaKey, Caller, Operator, QuorumRule};
use crate::error::Error;
use crate::profile::source::Source;
use crate::profile::{Profile, Role};
use crate::types::{CallerSan, KeyName, OperatorName, ProfileName};

const AUTHORITY_FILE: &str = "authority.toml";

/// Reads and checks all files of the directory.
pub(super) fn validate(files: &BTreeMap<String, String>) -> Result<Authority, Vec<Error>> {
    let mut errors = Vec::new();
    let profiles = read_profiles(files, &mut errors);
    let Some(text) = files.get(AUTHORITY_FILE) else {
        errors.push(Error::malformed(
            "authority directory",
            "no authority.toml",
            "authority.toml and profiles/NAME.toml",
        ));
        return Err(errors);
    };
    let source = Source {
        file: AUTHORITY_FILE,
        text,
    };
    let raw: RawAuthority = match source.parse() {
        Ok(raw) => raw,
        Err(e) => {
            errors.push(e);
            return Err(errors);
        }
    };
    let mut check = Check { source, errors };
    let operators = check.operators(&raw.operator);
    let quorums = check.quorums(&raw.quorum, &operators);
    let callers = check.callers(&raw);
    let keys = check.keys(&raw);
    let known_callers: BTreeSet<CallerSan> = callers.values().map(|c| c.san.clone()).collect();
    check.acts_as(&raw, &known_callers);
    let (witnesses, witness_policy) = check.witnesses(&raw);
    let authority = Authority {
        name: raw.name,
        quorums,
        operators,
        callers,
        known_callers,
        client_ca: raw.client_ca.key,
        enrolment: raw.enrolment.profiles,
        keys,
        witnesses,
        witness_policy,
        server_names: raw.service.server_names,
        profiles,
    };
    check.client_ca(&authority);
    for profile in authority.profiles.values() {
        check.profile(&authority, profile, files);
    }
    if check.errors.is_empty() {
        Ok(authority)
    } else {
        Err(check.errors)
    }
}

fn read_profiles(files: &BTreeMap<String, String>, errors: &mut Vec<Error>) -> BTreeMap<ProfileName, Profile> {
    let mut out = BTreeMap::new();
    for (file, text) in files.iter().filter(|(file, _)| *file != AUTHORITY_FILE) {
        let stem = file.strip_prefix("profiles/").and_then(|f| f.strip_suffix(".toml"));
        let Some(stem) = stem else {
            errors.push(Error::malformed(
                "authority directory",
                format!("`{}`", file.escape_debug()),
                "authority.toml and profiles/NAME.toml",
            ));
            continue;
        };
        match Profile::parse(file, text) {
            Ok(profile) if profile.name().as_str() == stem => {
                out.insert(profile.name().clone(), profile);
            }
            Ok(profile) => errors.push(Source { file, text }.error(
                "name",
                format!("`{}`", profile.name()),
                format!("`{stem}`, the file's name"),
            )),
            Err(more) => errors.extend(more),
        }
    }
    out
}

struct Check<'a> {
    source: Source<'a>,
    errors: Vec<Error>,
}

impl Check<'_> {
    fn require(&mut self, ok: bool, path: &str, found: impl Into<String>, permitted: impl Into<String>) {
        if !ok {
            let error = self.source.error(path, found, permitted);
            self.errors.push(error);
        }
    }

    fn operators(&mut self, raw: &[RawOperator]) -> BTreeMap<OperatorName, Operator> {
        let (mut out, mut blobs, mut sans) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        for (n, operator) in raw.iter().enumerate() {
            let path = format!("operator[{n}].keys");
            self.require(!operator.keys.is_empty(), &path, "none", "at least one SSH public key");
            for line in &operator.keys {
                let blob = key_blob(line);
                let fits = blob.is_some() && !line.contains(['\n', '\r']);
                self.require(
                    fits,
                    &path,
                    format!("`{}`", line.escape_debug()),
                    "an authorized_keys line: type, base64, comment",
                );
                self.require(
                    !fits || blobs.insert(blob),
                    &path,
                    "a key that an operator has already",
                    "each key once: it stands for one person",
                );
            }
            self.require(
                !operator.roles.is_empty(),
                &format!("operator[{n}].roles"),
                "none",
                "at least one role",
            );
            for san in &operator.acts_as {
                self.require(
                    sans.insert(san.clone()),
                    &format!("operator[{n}].acts_as"),
                    san.to_string(),
                    "a caller that acts for nobody else",
                );
            }
            let value = Operator {
                name: operator.name.clone(),
                keys: operator.keys.clone(),
                roles: operator.roles.clone(),
                acts_as: operator.acts_as.clone(),
            };
            let twice = out.insert(operator.name.clone(), value).is_some();
            self.require(
                !twice,
                &format!("operator[{n}].name"),
                format!("`{}` again", operator.name),
                "each operator once",
            );
        }
        out
    }

    fn quorums(
        &mut self,
        raw: &RawQuorums,
        operators: &BTreeMap<OperatorName, Operator>,
    ) -> BTreeMap<Action, QuorumRule> {
        let RawQuorums {
            bundle,
            plan,
            recovery,
            unfreeze,
            ca_revocation,
            key,
        } = raw;
        let rules = [
            (Action::Bundle, bundle),
            (Action::Plan, plan),
            (Action::Recovery, recovery),
            (Action::Unfreeze, unfreeze),
            (Action::CaRevocation, ca_revocation),
            (Action::Key, key),
        ];
        for (action, rule) in &rules {
            if let Err((found, permitted)) = reachable(rule.m, &rule.role, operators) {
                self.require(false, &format!("quorum.{}", action.name()), found, permitted);
            }
        }
        rules.into_iter().map(|(action, rule)| (action, rule.clone())).collect()
    }

    fn callers(&mut self, raw: &RawAuthority) -> BTreeMap<crate::types::CallerName, Caller> {
        let (mut out, mut sans) = (BTreeMap::new(), BTreeSet::new());
        for (n, caller) in raw.caller.iter().enumerate() {
            let path = format!("caller[{n}].san");
            let remote = !matches!(caller.san, CallerSan::Unix(_));
            self.require(
                remote,
                &path,
                caller.san.to_string(),
                "uri: or dns:, as a certificate has it",
            );
            self.require(
                sans.insert(caller.san.clone()),
                &path,
                format!("{} again", caller.san),
                "each identity once",
            );
            self.require(
                !caller.roles.is_empty(),
                &format!("caller[{n}].roles"),
                "none",
                "some of request, operate, audit, revoke",
            );
            // NIAP PP for Certification Authorities: the auditor's role excludes the others.
            let audits = caller.roles.contains(&super::CallerRole::Audit) && caller.roles.len() > 1;
            self.require(
                !audits,
                &format!("caller[{n}].roles"),
                "audit beside others",
                "audit alone: who audits does not act",
            );
            let value = Caller {
                name: caller.name.clone(),
                san: caller.san.clone(),
                roles: caller.roles.clone(),
            };
            let twice = out.insert(caller.name.clone(), value).is_some();
            self.require(
                !twice,
                &format!("caller[{n}].name"),
                format!("`{}` again", caller.name),
                "each caller once",
            );
        }
        out
    }

    fn acts_as(&mut self, raw: &RawAuthority, known: &BTreeSet<CallerSan>) {
        for (n, operator) in raw.operator.iter().enumerate() {
            for san in operator.acts_as.iter().filter(|san| !known.contains(san)) {
                self.require(
                    false,
                    &format!("operator[{n}].acts_as"),
                    san.to_string(),
                    "the san of a [[caller]]",
                );
            }
        }
    }

    fn keys(&mut self, raw: &RawAuthority) -> BTreeMap<KeyName, CaKey> {
        let (mut out, mut digests) = (BTreeMap::new(), BTreeSet::new());
        for (n, key) in raw.key.iter().enumerate() {
            self.require(
                digests.insert(key.spki_sha256),
                &format!("key[{n}].spki_sha256"),
                format!("{} again", key.spki_sha256),
                "each key once",
            );
            let path = format!("key[{n}].ceiling");
            self.require(!key.ceiling.kinds.is_empty(), &path, "no kinds", "at least one kind");
            self.require(key.ceiling.max_validity.0 > 0, &path, "max_validity = 0", "a duration");
            let extended = key.ceiling.eku.iter().all(|u| u.extended_oid().is_some());
            self.require(
                extended,
                &path,
                "a key usage in eku",
                "extended usages such as `server auth`",
            );
            let value = CaKey {
                name: key.name.clone(),
                spki_sha256: key.spki_sha256,
                algorithm: key.algorithm,
                ceiling: key.ceiling.clone(),
            };
            let twice = out.insert(key.name.clone(), value).is_some();
            self.require(
                !twice,
                &format!("key[{n}].name"),
                format!("`{}` again", key.name),
                "each key once",
            );
        }
        out
    }
}

/// Whether so many operators with the role exist; else what was found and what is permitted.
fn reachable(m: u32, role: &Role, operators: &BTreeMap<OperatorName, Operator>) -> Result<(), (String, String)> {
    let holders = operators.values().filter(|o| o.roles.contains(role)).count();
    let fits = m >= 1 && usize::try_from(m).is_ok_and(|m| m <= holders);
    let found = format!("m = {m} of role `{role}`");
    if fits {
        Ok(())
    } else {
        Err((found, format!("1 to {holders}, the number of operators with that role")))
    }
}
