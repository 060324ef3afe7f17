//! Lints: rules that the exact to-be-signed bytes must keep, whoever built them and whatever the profile says.
//!
//! Each has a stable id, the rule's citation, and what it permits. A profile may waive those that are advice, with a
//! reason; what RFC 5280 makes a certificate of ours unusable or dangerous without cannot be waived.

mod names;
mod pointers;
mod punycode;
mod structure;
mod usages;

use crate::error::{Refusal, Violation};
use crate::profile::Waiver;
use crate::tbs::{TbsView, parse_tbs};

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Lint {
    /// Stable identifier, e.g. `dns-syntax`.
    pub id: &'static str,
    /// Where the rule stands.
    pub citation: &'static str,
    /// The field that it is about.
    pub field: &'static str,
    /// What it permits.
    pub permitted: &'static str,
    /// Whether a profile may waive it.
    pub waivable: bool,
    /// Finds a breach: what was found.
    check: fn(&TbsView) -> Result<(), String>,
}

/// All lints.
pub fn all() -> impl Iterator<Item = &'static Lint> {
    structure::LINTS
        .iter()
        .chain(names::LINTS)
        .chain(pointers::LINTS)
        .chain(usages::LINTS)
}

/// The ids of the lints that a profile may waive.
#[must_use]
pub fn waivable_ids() -> Vec<&'static str> {
    all().filter(|lint| lint.waivable).map(|lint| lint.id).collect()
}

/// Runs every lint that is not waived over the bytes of a TBSCertificate.
///
/// # Errors
/// Every breach, the lint's id as the rule; or that the bytes do not even read. A waiver of a lint that is not waivable
/// has no effect.
pub fn lint(tbs_der: &[u8], waivers: &[Waiver]) -> Result<(), Refusal> {
    lint_view(&parse_tbs(tbs_der)?, waivers)
}

/// As [`lint`], over bytes that were read already.
///
/// # Errors
/// Every breach.
pub fn lint_view(view: &TbsView, waivers: &[Waiver]) -> Result<(), Refusal> {
    let waived = |lint: &&Lint| lint.waivable && waivers.iter().any(|w| w.lint == lint.id);
    let breach = |lint: &Lint| {
        let found = (lint.check)(view).err()?;
        let permitted = format!("{} ({})", lint.permitted, lint.citation);
        Some(Violation::new(lint.field, lint.id, found, permitted))
    };
    let violations: Vec<Violation> = all().filter(|l| !waived(l)).filter_map(breach).collect();
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Refusal { violations })
    }
}

/// `Err(found)` unless the condition holds.
fn require(ok: bool, found: impl FnOnce() -> String) -> Result<(), String> {
    if ok { Ok(()) } else { Err(found()) }
}
