//! What is not a name: extensions, signature, validity, usages, and what makes a CA.

use std::collections::BTreeSet;

use super::{Inputs, Proposal, join};
use crate::error::Violation;
use crate::names::Usage;
use crate::profile::{Issuer, Kind, Profile, UsageRule};
use crate::tbs::CaConstraints;
use crate::types::{SignatureAlgorithm, Time};

pub(super) fn extensions(proposal: &Proposal, profile: &Profile, v: &mut Vec<Violation>) {
    for (oid, critical) in &proposal.other_extensions {
        let ignored = profile.ignored_extensions.iter().any(|known| known.to_string() == *oid);
        if !ignored {
            let found = format!("{oid}{}", if *critical { ", critical" } else { "" });
            v.push(Violation::new(
                "csr.extensions",
                "extension-not-permitted",
                found,
                format!(
                    "extensions in `ignored_extensions` of {}: {}",
                    profile.name,
                    join(&profile.ignored_extensions)
                ),
            ));
        }
    }
}

pub(super) fn signature(profile: &Profile, issuer: &Issuer, v: &mut Vec<Violation>) -> SignatureAlgorithm {
    let algorithm = profile.signature.unwrap_or(issuer.key_algorithm.default_signature());
    if !algorithm.fits(issuer.key_algorithm) {
        v.push(Violation::new(
            "signature",
            "algorithm-does-not-fit-key",
            format!("{algorithm:?}"),
            format!("an algorithm for the {} key of {}", issuer.key_algorithm, issuer.name),
        ));
    }
    algorithm
}

/// First and last second. The lifetime asked for is notAfter less notBefore, with the backdating in it, because that
/// is what the API server compares with what the kubelet asked for.
pub(super) fn validity(
    proposal: &Proposal,
    profile: &Profile,
    inputs: &Inputs<'_>,
    v: &mut Vec<Violation>,
) -> (Time, Time) {
    let (rule, issuer) = (&profile.validity, inputs.issuer);
    let now = Time::from_secs(inputs.now.secs());
    if now < issuer.not_before || now > issuer.not_after {
        v.push(Violation::new(
            "issuer",
            "issuer-not-valid",
            format!("{now}"),
            format!("a time from {} to {}", issuer.not_before, issuer.not_after),
        ));
    }
    let not_before = now.minus_secs(rule.backdate.0).max(issuer.not_before);
    let until = proposal
        .not_after
        .map(|end| end.secs().saturating_sub(not_before.secs()));
    let asked = until.or(proposal.validity_secs);
    let secs = asked.unwrap_or(rule.default.0);
    if secs < rule.min.0 || secs > rule.max.0 {
        v.push(Violation::new(
            "validity",
            "lifetime-not-permitted",
            format!("{secs} s"),
            format!("{} s to {} s ({} to {})", rule.min.0, rule.max.0, rule.min, rule.max),
        ));
    }
    let mut not_after = not_before.plus_secs(secs);
    if not_after > issuer.not_after {
        if asked.is_some() {
            v.push(Violation::new(
                "validity",
                "beyond-issuer",
                format!("until {not_after}"),
                format!("until {} at the latest", issuer.not_after),
            ));
        }
        not_after = issuer.not_after;
        let left = not_after.secs().saturating_sub(not_before.secs());
        if left < rule.min.0 {
            v.push(Violation::new(
                "validity",
                "issuer-ends-too-soon",
                format!("{left} s left"),
                format!("at least {} s: the issuer must be renewed", rule.min.0),
            ));
        }
    }
    (not_before, not_after)
}

pub(super) fn usages(proposal: &Proposal, rule: &UsageRule, v: &mut Vec<Violation>) -> Vec<Usage> {
    let asked: Option<BTreeSet<Usage>> = proposal.usages.as_ref().map(|u| u.iter().copied().collect());
    let permitted = rule.permitted();
    for usage in asked.iter().flatten().filter(|u| !permitted.contains(u)) {
        v.push(Violation::new(
            "usages",
            "usage-not-permitted",
            usage.name(),
            join(permitted.iter().map(|u| u.name())),
        ));
    }
    let chosen = match rule {
        UsageRule::Fixed(set) => set.clone(),
        UsageRule::Choice {
            required,
            always,
            default,
            ..
        } => {
            let chosen = asked.unwrap_or_else(|| default.clone());
            for usage in required.difference(&chosen) {
                v.push(Violation::new(
                    "usages",
                    "usage-missing",
                    join(chosen.iter().map(|u| u.name())),
                    format!("`{}` among them", usage.name()),
                ));
            }
            let chosen = &chosen | always;
            if chosen.is_empty() {
                v.push(Violation::new(
                    "usages",
                    "no-usage",
                    "none",
                    join(permitted.iter().map(|u| u.name())),
                ));
            }
            chosen
        }
    };
    chosen.into_iter().collect()
}

pub(super) fn ca(
    proposal: &Proposal,
    profile: &Profile,
    issuer: &Issuer,
    v: &mut Vec<Violation>,
) -> Option<CaConstraints> {
    let Kind::Intermediate(rules) = &profile.kind else {
        if let Some((true, _)) = proposal.basic_constraints {
            v.push(Violation::new(
                "basicConstraints",
                "ca-not-permitted",
                "CA true",
                format!("no CA: profile {} issues a {}", profile.name, profile.kind.name()),
            ));
        }
        return None;
    };
    let asked = match proposal.basic_constraints {
        Some((false, _)) => {
            v.push(Violation::new(
                "basicConstraints",
                "ca-required",
                "CA false",
                "CA true, or no basic constraints at all",
            ));
            None
        }
        Some((true, asked)) => asked,
        None => None,
    };
    if let Some(asked) = asked.filter(|n| *n > rules.path_length) {
        v.push(Violation::new(
            "basicConstraints.pathLength",
            "path-length-not-permitted",
            asked.to_string(),
            format!("at most {}", rules.path_length),
        ));
    }
    let path_length = asked.unwrap_or(rules.path_length);
    if let Some(limit) = issuer.path_length.filter(|limit| *limit <= path_length) {
        let permitted = match limit.checked_sub(1) {
            Some(most) => format!("at most {most}, below issuer {}", issuer.name),
            None => format!("no CA below issuer {}, whose path length is 0", issuer.name),
        };
        v.push(Violation::new(
            "basicConstraints.pathLength",
            "beyond-issuer",
            path_length.to_string(),
            permitted,
        ));
    }
    Some(CaConstraints {
        path_length: Some(path_length),
        name_constraints: rules.name_constraints.clone(),
    })
}
