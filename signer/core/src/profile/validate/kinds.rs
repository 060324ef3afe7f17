//! The kind of a profile, and what it demands of usages, constraints and approval.

use std::collections::BTreeSet;

use super::Checker;
use crate::names::Usage;
use crate::profile::raw::{RawKind, RawProfile, RawUsages};
use crate::profile::rules::{CaRules, Kind, UsageRule};
use crate::profile::{Approval, Seconds};

/// The longest that a proposal may wait for its approvals.
const MAX_APPROVAL_WAIT: Seconds = Seconds(90 * 86_400);

pub(super) fn usages(c: &mut Checker<'_>, raw: &RawUsages) -> UsageRule {
    let rule = match (&raw.fixed, &raw.allowed) {
        (Some(fixed), None) => {
            c.require(
                raw.required.is_none() && raw.always.is_none() && raw.default.is_none(),
                "usages",
                "`required`, `always` or `default` beside `fixed`",
                "them beside `allowed` only",
            );
            UsageRule::Fixed(fixed.clone())
        }
        (None, Some(allowed)) => UsageRule::Choice {
            allowed: allowed.clone(),
            required: raw.required.clone().unwrap_or_default(),
            always: raw.always.clone().unwrap_or_default(),
            default: raw.default.clone().unwrap_or_default(),
        },
        _ => {
            c.fault(
                "usages",
                "both or neither of `fixed` and `allowed`",
                "exactly one of them",
            );
            UsageRule::Fixed(BTreeSet::new())
        }
    };
    if let UsageRule::Choice {
        allowed,
        required,
        always,
        default,
    } = &rule
    {
        for (key, set) in [("usages.required", required), ("usages.always", always)] {
            c.require(
                set.is_subset(allowed),
                key,
                list(set),
                format!("some of {}", list(allowed)),
            );
        }
        c.require(
            default.is_subset(allowed) && required.is_subset(default),
            "usages.default",
            list(default),
            format!("some of {} with {}", list(allowed), list(required)),
        );
    }
    c.require(!rule.permitted().is_empty(), "usages", "none", "at least one usage");
    rule
}

fn list(usages: &BTreeSet<Usage>) -> String {
    usages
        .iter()
        .map(|u| format!("`{}`", u.name()))
        .collect::<Vec<_>>()
        .join(", ")
}

pub(super) fn kind(c: &mut Checker<'_>, raw: &RawProfile, usages: &UsageRule) -> Kind {
    check_approval(c, raw);
    if raw.kind == RawKind::Intermediate {
        c.require(
            usages.certain().contains(&Usage::CertSign),
            "usages",
            list(&usages.certain()),
            "`cert sign` always, for an intermediate",
        );
        c.require(
            !raw.no_rev_avail,
            "no_rev_avail",
            "true in an intermediate",
            "false (RFC 9608 section 2)",
        );
        let Some(basic) = &raw.basic_constraints else {
            c.fault(
                "basic_constraints",
                "none",
                "basic_constraints = { path_length = N } for an intermediate",
            );
            return Kind::Leaf;
        };
        let name_constraints = raw.name_constraints.clone().unwrap_or_default();
        for dns in name_constraints
            .permitted
            .dns
            .iter()
            .chain(&name_constraints.excluded.dns)
        {
            c.require(
                !dns.starts_with('.') && dns.is_ascii(),
                "name_constraints",
                format!("dns `{}`", dns.escape_debug()),
                "ASCII domains without a leading dot",
            );
        }
        return Kind::Intermediate(Box::new(CaRules {
            path_length: basic.path_length,
            name_constraints,
        }));
    }
    c.require(
        raw.basic_constraints.is_none(),
        "basic_constraints",
        "some",
        "none but in an intermediate",
    );
    c.require(
        raw.name_constraints.is_none(),
        "name_constraints",
        "some",
        "none but in an intermediate",
    );
    let signing = [Usage::CertSign, Usage::CrlSign]
        .iter()
        .any(|u| usages.permitted().contains(u));
    c.require(
        !signing,
        "usages",
        list(usages.permitted()),
        "neither `cert sign` nor `crl sign` but in an intermediate",
    );
    let need = |c: &mut Checker<'_>, usage: Usage| {
        c.require(
            usages.certain().contains(&usage),
            "usages",
            list(&usages.certain()),
            format!("`{}` always, for this kind", usage.name()),
        );
    };
    match raw.kind {
        RawKind::Caller => {
            need(c, Usage::ClientAuth);
            c.require(
                !usages.permitted().contains(&Usage::ServerAuth),
                "usages",
                list(usages.permitted()),
                "no `server auth` in a caller's certificate",
            );
            Kind::Caller
        }
        RawKind::Server => {
            need(c, Usage::ServerAuth);
            c.require(
                !usages.permitted().contains(&Usage::ClientAuth),
                "usages",
                list(usages.permitted()),
                "no `client auth` in the server's certificate, which would make it a caller",
            );
            Kind::Server
        }
        RawKind::Leaf | RawKind::Intermediate => Kind::Leaf,
    }
}

fn check_approval(c: &mut Checker<'_>, raw: &RawProfile) {
    match &raw.approval {
        Approval::Automatic => {
            let permitted = "{ m = 1 or more, role = ..., expires = ... }: a CA certificate always needs a quorum";
            c.require(raw.kind != RawKind::Intermediate, "approval", "automatic", permitted);
        }
        Approval::Quorum { m, expires, .. } => {
            c.require(*m >= 1, "approval", "m = 0", "m of at least 1");
            let fits = expires.0 > 0 && *expires <= MAX_APPROVAL_WAIT;
            c.require(
                fits,
                "approval",
                format!("expires = {expires}"),
                format!("more than nothing and at most {MAX_APPROVAL_WAIT}"),
            );
        }
    }
}
