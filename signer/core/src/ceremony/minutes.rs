//! The minutes: what was decided and made, and the blanks that people fill in on paper.

use std::fmt::Write as _;

use super::{Facts, Outcome, Plan, Script, words};
use crate::error::Error;
use crate::types::Digest;

/// What minutes are written from.
#[derive(Clone, Copy, Debug)]
pub struct Minutes<'a> {
    /// The script.
    pub script: &'a Script,
    /// The plan.
    pub plan: &'a Plan,
    /// SHA-256 of the plan's file.
    pub plan_sha256: Digest,
    /// The log.
    pub facts: &'a Facts,
    /// SHA-256 of the root certificate, by which everybody knows it.
    pub root_sha256: Digest,
}

const BLANK: &str = "time ________  initials ________";

/// The minutes' text. The same ceremony has the same minutes, so that a transcript's can be checked.
///
/// # Errors
/// When something in the log does not read.
pub fn minutes(m: &Minutes<'_>) -> Result<String, Error> {
    let mut out = String::new();
    let _ = writeln!(out, "Minutes: {}", m.script.title);
    if m.script.rehearsal {
        let _ = writeln!(out, "REHEARSAL: nothing made here is to be trusted.");
    }
    let _ = writeln!(
        out,
        "\nLog of the ceremony  {}\nIts verifier key     {}",
        m.plan.origin, m.facts.genesis.vkey
    );
    let _ = writeln!(out, "For the signer       {}", m.script.signer_origin);
    let _ = writeln!(out, "Plan drawn at        {}\n", m.plan.drawn_at);
    let bundle = if m.facts.bundles.len() > 1 {
        "Authority bundle, the newest that the signer's log had adopted"
    } else {
        "Authority bundle (`first_bundle` of the signer's keeper)"
    };
    for (what, digest) in [
        ("Script", m.plan.script_sha256),
        (bundle, m.plan.bundle_sha256),
        ("Plan", m.plan_sha256),
        ("Root certificate", m.root_sha256),
    ] {
        let words = words(&digest).lines().map(|l| format!("    {l}\n")).collect::<String>();
        let _ = write!(out, "{what}, SHA-256\n    {digest}\n{words}");
    }
    before(&mut out, m);
    people(&mut out, m);
    steps(&mut out, m);
    let _ = writeln!(
        out,
        "\nDifference between this machine's clock and the visible clock: ________________"
    );
    let _ = writeln!(out, "Exceptions, each with time and initials:\n\n\n\n");
    Ok(out)
}

/// What a later ceremony found: the ceremonies before it, what they left open, and what came from the signer.
fn before(out: &mut String, m: &Minutes<'_>) {
    if m.facts.earlier.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nCeremony {} of this log. Before it", m.facts.number());
    for (number, sitting) in (1..).zip(&m.facts.earlier) {
        let end = sitting
            .closed
            .map_or("interrupted, nothing was handed over".to_owned(), |manifest| {
                format!("closed over the manifest {manifest}")
            });
        let _ = writeln!(out, "  ceremony {number}: {end}");
        for attempt in sitting.attempts.values().flatten() {
            let serial = attempt
                .intent
                .body
                .serial
                .as_ref()
                .map_or("a CRL".to_owned(), ToString::to_string);
            if let Some(Outcome::Unknown(_)) = attempt.outcome {
                let _ = writeln!(out, "    fate unknown, so it counts as issued: {serial}");
            }
        }
    }
    let here = |index: u64| index >= m.facts.sitting.begins;
    for found in m.facts.bundles.iter().filter(|found| here(found.index)) {
        let _ = writeln!(
            out,
            "  authority bundle {} adopted: {}",
            found.body.number, found.body.sha256
        );
    }
    for found in m.facts.revocations.iter().filter(|found| here(found.index)) {
        let (serial, reason) = (&found.body.serial, found.body.reason.name());
        let _ = writeln!(out, "  revoked: {serial} ({reason})");
    }
}

fn people(out: &mut String, m: &Minutes<'_>) {
    let _ = writeln!(
        out,
        "\nTaking part. Whoever does not agree with what was done writes so beside their name."
    );
    for person in &m.script.participants {
        let _ = writeln!(
            out,
            "  {:<15}{:<40}signature ________________",
            person.role.name(),
            person.name
        );
    }
    if !m.script.inventory.is_empty() {
        let _ = writeln!(out, "\nLooked at, before and after");
    }
    for item in &m.script.inventory {
        let _ = writeln!(out, "  {item}\n    before {BLANK}\n    after  {BLANK}");
    }
}

fn steps(out: &mut String, m: &Minutes<'_>) {
    let _ = writeln!(out, "\nSteps");
    let before = [
        "Script read aloud and agreed",
        "Clock compared and confirmed",
        "Bundle and plan read, their hashes read aloud, signed",
    ];
    let after = [
        "Outputs verified with a second implementation",
        "Media written, read again, hashes compared",
    ];
    for step in before {
        let _ = writeln!(out, "  {step}\n    {BLANK}");
    }
    for step in &m.plan.steps {
        let _ = writeln!(
            out,
            "  Plan step {}: {:?} for `{}` by `{}`, TBS {}\n    {BLANK}",
            step.step, step.purpose, step.subject_key, step.key, step.tbs_sha256
        );
    }
    for step in after {
        let _ = writeln!(out, "  {step}\n    {BLANK}");
    }
}
