//! A verification's result, for people and for programs.

use serde_json::{Value, json};
use stele_core::audit::{Finding, Report, Severity};
use stele_core::types::Digest;

use super::super::log::FileFinding;
use super::chain::Chain;
use super::run::Verified;

/// What was checked, known and found, a line each.
pub(in crate::commands::audit) fn describe(log: &Verified, chain: &Chain, digest: Option<Digest>) -> String {
    let report = &log.report;
    let mut lines = vec![format!(
        "log {} in {}: {} entries, root {}",
        report.origin, log.place, report.size, report.root
    )];
    for (check, count) in &report.checks {
        lines.push(format!("  checked {count:>9}  {check}"));
    }
    lines.push(format!("  checked {:>9}  files", log.file_count));
    if let Some(first) = report.first_bundle {
        let compared = if digest.is_some() {
            "compared with --bundle-digest"
        } else {
            "compare it with the ceremony's minutes"
        };
        lines.push(format!("first bundle: sha256 {first}; {compared}"));
    }
    if let Some(before) = &report.predecessor {
        let (origin, size, root) = (&before.origin, before.size, before.root);
        lines.push(format!(
            "continues: log {origin}, known up to {size} entries with root {root}"
        ));
    }
    if let Some(next) = &report.successor {
        lines.push(format!(
            "closed: log {} goes on, with the key {}",
            next.origin, next.vkey
        ));
    }
    for imported in &report.imported {
        let ceremony = if chain.source(log, imported).is_some() {
            "looked up in the ceremony's log"
        } else {
            "issued in the ceremony's log: give its transcript too, to check it there"
        };
        lines.push(format!(
            "imported at {}: CA {}; {ceremony}",
            imported.index, imported.key
        ));
    }
    lines.extend(report.not_checked.iter().map(|what| format!("not checked: {what}")));
    lines.extend(report.findings.iter().map(ToString::to_string));
    if report.findings_left_out > 0 {
        lines.push(format!("... and {} more findings", report.findings_left_out));
    }
    lines.extend(log.files.iter().map(file_line));
    lines.push(String::new());
    lines.join("\n")
}

/// What is wrong with a file.
pub(super) fn file_line(finding: &FileFinding) -> String {
    let FileFinding { path, found, expected } = finding;
    format!("error in {path}: found {found}; expected {expected}")
}

/// The same for programs.
pub(in crate::commands::audit) fn to_json(log: &Verified) -> Value {
    let Report {
        origin,
        size,
        root,
        checks,
        findings,
        findings_left_out,
        first_bundle,
        imported,
        open_intents,
        predecessor,
        successor,
        not_checked,
        ..
    } = &log.report;
    let imported = imported
        .iter()
        .map(|i| json!({"index": i.index, "key": i.key, "sha256": i.certificate_sha256}));
    json!({
        "place": log.place.to_string(),
        "origin": origin,
        "size": size,
        "root": root,
        "checks": checks.iter().map(|(check, n)| ((*check).to_owned(), json!(n))).collect::<serde_json::Map<_, _>>(),
        "files": log.file_count,
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        "findings_left_out": findings_left_out,
        "file_findings": log.files,
        "first_bundle": first_bundle,
        "imported": imported.collect::<Vec<_>>(),
        "open_intents": open_intents,
        "predecessor": predecessor.as_ref().map(|p| json!({"origin": p.origin, "size": p.size, "root": p.root})),
        "successor": successor,
        "not_checked": not_checked,
    })
}

fn finding(f: &Finding) -> Value {
    let severity = match f.severity {
        Severity::Note => "note",
        Severity::Error => "error",
    };
    json!({"index": f.index, "severity": severity, "what": f.what, "found": f.found, "expected": f.expected})
}
