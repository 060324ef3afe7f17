//! The profiles against the rest of the bundle: callers, issuers, ceilings and people.

use std::collections::BTreeMap;

use super::{Check, reachable};
use crate::authority::{Authority, CaKey, CeilingKind};
use crate::profile::source::Source;
use crate::profile::{Approval, Kind, Profile};

impl Check<'_> {
    pub(super) fn client_ca(&mut self, authority: &Authority) {
        let key = &authority.client_ca;
        self.require(
            authority.keys.contains_key(key),
            "client_ca.key",
            format!("`{key}`"),
            "the name of a [[key]]",
        );
        if let Some(ceiling) = authority.ceiling(key) {
            // A CA below it could make callers that no profile and no bundle lists.
            let leaves_only = !ceiling.kinds.contains(&CeilingKind::Intermediate);
            self.require(
                leaves_only,
                "client_ca.key",
                format!("`{key}` with intermediates in its ceiling"),
                "a key that signs no CA",
            );
        }
        for name in &authority.enrolment {
            let fits = authority
                .profile(name)
                .is_some_and(|p| matches!(p.kind, Kind::Caller | Kind::Server));
            self.require(
                fits,
                "enrolment.profiles",
                format!("`{name}`"),
                "profiles of kind caller or server",
            );
        }
    }

    pub(super) fn profile(&mut self, authority: &Authority, profile: &Profile, files: &BTreeMap<String, String>) {
        let file = format!("profiles/{}.toml", profile.name());
        let text = files.get(&file).map(String::as_str).unwrap_or_default();
        let mut check = Check {
            source: Source { file: &file, text },
            errors: Vec::new(),
        };
        for caller in profile.callers.iter().filter(|c| !authority.callers.contains_key(*c)) {
            check.require(false, "callers", format!("`{caller}`"), "names of [[caller]]s");
        }
        for issuer in &profile.issuers {
            match authority.keys.get(issuer) {
                None => check.require(false, "issuers", format!("`{issuer}`"), "names of [[key]]s"),
                Some(key) => check.issuer(authority, profile, key),
            }
        }
        if let Approval::Quorum { m, role, .. } = &profile.approval
            && let Err((found, permitted)) = reachable(*m, role, &authority.operators)
        {
            check.require(false, "approval", found, permitted);
        }
        self.errors.append(&mut check.errors);
    }

    fn issuer(&mut self, authority: &Authority, profile: &Profile, key: &CaKey) {
        let (name, ceiling, access) = (&key.name, &key.ceiling, key.name == authority.client_ca);
        let for_access = matches!(profile.kind, Kind::Caller | Kind::Server);
        let word = profile.kind.name();
        self.require(
            access == for_access,
            "issuers",
            format!("`{name}` in a profile of kind {word}"),
            format!(
                "the client CA `{}` for kinds caller and server, and only for them",
                authority.client_ca
            ),
        );
        let (wanted, path_length) = match &profile.kind {
            Kind::Intermediate(rules) => (CeilingKind::Intermediate, Some(rules.path_length)),
            _ => (CeilingKind::Leaf, None),
        };
        self.require(
            ceiling.kinds.contains(&wanted),
            "kind",
            word,
            format!("what the ceiling of `{name}` permits: {:?}", ceiling.kinds),
        );
        self.require(
            path_length <= ceiling.path_length,
            "basic_constraints",
            format!("path length {path_length:?}"),
            format!("within the ceiling of `{name}`: {:?}", ceiling.path_length),
        );
        self.require(
            profile.validity.max <= ceiling.max_validity,
            "validity.max",
            profile.validity.max.to_string(),
            format!("at most {}, the ceiling of `{name}`", ceiling.max_validity),
        );
        for usage in profile.usages.permitted().iter().filter(|u| u.extended_oid().is_some()) {
            self.require(
                ceiling.eku.contains(usage),
                "usages",
                usage.name(),
                format!("extended usages in the ceiling of `{name}`"),
            );
        }
        if let Some(signature) = profile.signature {
            self.require(
                signature.fits(key.algorithm),
                "signature",
                format!("{signature:?}"),
                format!("an algorithm for the {} key `{name}`", key.algorithm),
            );
        }
    }
}
