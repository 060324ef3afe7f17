//! Counting people: who of those who signed counts, and whether they are enough.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Authority;
use crate::error::Error;
use crate::profile::Role;
use crate::types::{CallerSan, OperatorName};

/// So many different operators with this role.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuorumRule {
    /// How many; at least one.
    pub m: u32,
    /// The role that each must hold.
    pub role: Role,
}

impl Serialize for Role {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self.as_str())
    }
}

/// A text whose SSH signature was verified: which key made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedText {
    /// The key's type and base64 blob, as in the first two fields of an `authorized_keys` line.
    pub key: String,
    /// The exact text.
    pub text: String,
}

/// The operator who holds a verified key, if any does: lines are compared by key type and blob, never by comment.
fn holder<'a>(authority: &'a Authority, key: &str) -> Option<&'a super::Operator> {
    let wanted = key_blob(key);
    let holds = |o: &&super::Operator| o.keys.iter().any(|line| wanted.is_some() && key_blob(line) == wanted);
    authority.operators().values().find(holds)
}

/// The base64 key blob of an `authorized_keys` line: the field after the key type.
pub(super) fn key_blob(line: &str) -> Option<&str> {
    let mut fields = line.split_ascii_whitespace();
    let is_type = |f: &&str| ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| f.starts_with(prefix));
    fields.find(is_type)?;
    fields.next()
}

/// The different operators with `role` among the signers, without those for whom `requester` acts.
#[must_use]
pub fn counted(
    authority: &Authority,
    role: &Role,
    signers: &[VerifiedText],
    requester: Option<&CallerSan>,
) -> BTreeSet<OperatorName> {
    let holders = signers.iter().filter_map(|signer| holder(authority, &signer.key));
    holders
        .filter(|o| o.roles.contains(role) && !requester.is_some_and(|san| o.acts_as.contains(san)))
        .map(|o| o.name.clone())
        .collect()
}

/// Whether the signers are enough.
///
/// All signatures must be over `text`, verified by the caller of this function; `requester` is who asked, where someone
/// did.
///
/// # Errors
/// When a signer signed another text, or fewer than `rule.m` persons count; a rule of zero counts as one.
pub fn quorum(
    authority: &Authority,
    rule: &QuorumRule,
    text: &str,
    signers: &[VerifiedText],
    requester: Option<&CallerSan>,
) -> Result<Vec<OperatorName>, Error> {
    if signers.iter().any(|signer| signer.text != text) {
        return Err(Error::unverified("quorum", "a signature is over another text"));
    }
    let people = counted(authority, &rule.role, signers, requester);
    let needed = usize::try_from(rule.m.max(1)).unwrap_or(usize::MAX);
    if people.len() < needed {
        let named: Vec<&str> = people.iter().map(OperatorName::as_str).collect();
        return Err(Error::unverified(
            "quorum",
            format!(
                "{} of {needed} operators with role {} signed ({}); the requester's own operator and a second key of one person do not count",
                people.len(),
                rule.role,
                if named.is_empty() {
                    "nobody".to_owned()
                } else {
                    named.join(", ")
                }
            ),
        ));
    }
    Ok(people.into_iter().collect())
}
