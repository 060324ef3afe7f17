//! The minutes: what was decided and made, and the blanks that people fill in on paper.

use std::fmt::Write as _;

use super::{Plan, Script, words};
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
    /// The log's note verifier key.
    pub vkey: &'a str,
    /// SHA-256 of the root certificate, by which everybody knows it.
    pub root_sha256: Digest,
}

const BLANK: &str = "time ________  initials ________";

/// The minutes' text. The same ceremony has the same minutes, so that a transcript's can be checked.
#[must_use]
pub fn minutes(m: &Minutes<'_>) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "Minutes: {}", m.script.title);
    if m.script.rehearsal {
        let _ = writeln!(out, "REHEARSAL: nothing made here is to be trusted.");
    }
    let _ = writeln!(
        out,
        "\nLog of the ceremony  {}\nIts verifier key     {}",
        m.plan.origin, m.vkey
    );
    let _ = writeln!(out, "For the signer       {}", m.script.signer_origin);
    let _ = writeln!(out, "Plan drawn at        {}\n", m.plan.drawn_at);
    for (what, digest) in [
        ("Script", m.plan.script_sha256),
        (
            "Authority bundle (`first_bundle` of the signer's keeper)",
            m.plan.bundle_sha256,
        ),
        ("Plan", m.plan_sha256),
        ("Root certificate", m.root_sha256),
    ] {
        let words = words(&digest).lines().map(|l| format!("    {l}\n")).collect::<String>();
        let _ = write!(out, "{what}, SHA-256\n    {digest}\n{words}");
    }
    people(&mut out, m);
    steps(&mut out, m);
    let _ = writeln!(
        out,
        "\nDifference between this machine's clock and the visible clock: ________________"
    );
    let _ = writeln!(out, "Exceptions, each with time and initials:\n\n\n\n");
    out
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
