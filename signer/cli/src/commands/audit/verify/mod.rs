//! `stele audit verify`: a whole exported log, from its files and the verifier key alone.

mod directory;
mod run;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stele_core::audit::{Options, OtherLog, Report, Severity};
use stele_core::checkpoint::{Checkpoint, NoteVerifier, open};
use stele_core::types::Digest;

use crate::connect::ConnectionArgs;
use crate::error::CliError;
use crate::output::Answer;
use run::{Verified, verify_log};

#[derive(clap::Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The exported log: a directory with `checkpoint` and `tile/`
    directory: PathBuf,
    /// The digest that the first bundle must have, from the ceremony's minutes
    #[arg(long, value_name = "HEX")]
    bundle_digest: Option<Digest>,
    /// The ceremony's transcript, whose log issued the CAs
    #[arg(long, value_name = "DIR")]
    ceremony: Option<PathBuf>,
}

/// Something in a directory that should not be so.
#[derive(serde::Serialize)]
pub(super) struct FileFinding {
    path: String,
    found: String,
    expected: String,
}

impl FileFinding {
    pub(super) fn new(path: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            found: found.into(),
            expected: expected.into(),
        }
    }
}

/// Runs the command.
pub(super) fn run(args: &VerifyArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let verifier = connection.settings()?.required_verifier()?;
    let options = Options {
        bundle_digest: args.bundle_digest,
        anchors: Vec::new(),
    };
    let mut signer = verify_log(&args.directory, verifier, options)?;
    let ceremony = match &args.ceremony {
        Some(directory) => verify_ceremony(directory, &mut signer, &args.directory)?,
        None => None,
    };
    let (mut text, mut json) = (describe(&signer, args), to_json(&signer));
    let mut clean = signer.is_clean();
    if let Some(ceremony) = &ceremony {
        text = format!("{text}\n\nthe ceremony's log:\n{}", describe(ceremony, args));
        if let Some(all) = json.as_object_mut() {
            all.insert("ceremony".to_owned(), to_json(ceremony));
        }
        clean &= ceremony.is_clean();
    }
    let verdict = if clean {
        "RESULT: no promise is broken, as far as the log can tell"
    } else {
        "RESULT: THERE ARE FINDINGS"
    };
    if let Some(all) = json.as_object_mut() {
        all.insert("clean".to_owned(), json!(clean));
    }
    Ok(Answer {
        text: format!("{text}\n{verdict}"),
        json,
        finding: !clean,
    })
}

/// Verifies the log of the ceremony that the signer's log names, and that each holds the other.
fn verify_ceremony(directory: &Path, signer: &mut Verified, own: &Path) -> Result<Option<Verified>, CliError> {
    let Some(other) = signer.report.other_logs.first().cloned() else {
        let found = "a log that names no ceremony";
        signer.files.push(FileFinding::new(
            directory.display().to_string(),
            found,
            "no --ceremony, or its own log",
        ));
        return Ok(None);
    };
    let (verifier, _) = anchor_of(&other)?;
    // One for each hand-over: the ceremony's log must have been each of them, one after the other.
    let anchors = signer.report.other_logs.iter().map(|other| Ok(anchor_of(other)?.1));
    let options = Options {
        bundle_digest: None,
        anchors: anchors.collect::<Result<_, CliError>>()?,
    };
    let mut ceremony = verify_log(&directory.join("log"), verifier, options)?;
    for imported in &signer.report.imported {
        if !ceremony.issued.contains(&imported.certificate_sha256) {
            let found = format!(
                "a certificate of {} with sha256 {}",
                imported.key, imported.certificate_sha256
            );
            let what = format!("record {}", imported.index);
            signer
                .files
                .push(FileFinding::new(what, found, "one that the ceremony's log issued"));
        }
    }
    // The ceremony saw the signer's log in its first hours; that must be this log's beginning.
    for seen in &ceremony.report.other_logs {
        let (_, seen) = anchor_of(seen)?;
        let root = run::root_at(own, seen.size)?;
        if root != Some(seen.root) {
            let found = root.map_or("fewer entries".to_owned(), |r| format!("root {r}"));
            let expected = format!("root {} at size {}, as the ceremony saw it", seen.root, seen.size);
            ceremony
                .files
                .push(FileFinding::new("the signer's log", found, expected));
        }
    }
    Ok(Some(ceremony))
}

/// The other log's key and checkpoint, its signature verified.
fn anchor_of(other: &OtherLog) -> Result<(NoteVerifier, Checkpoint), CliError> {
    let verifier: NoteVerifier = other.vkey.parse()?;
    let (checkpoint, _) = open(&other.checkpoint, std::slice::from_ref(&verifier))?;
    Ok((verifier, checkpoint))
}

fn describe(log: &Verified, args: &VerifyArgs) -> String {
    let report = &log.report;
    let mut lines = vec![format!(
        "log {}: {} entries, root {}",
        report.origin, report.size, report.root
    )];
    for (check, count) in &report.checks {
        lines.push(format!("  checked {count:>9}  {check}"));
    }
    lines.push(format!("  checked {:>9}  files", log.file_count));
    if let Some(digest) = report.first_bundle {
        let compared = if args.bundle_digest.is_some() {
            "compared with --bundle-digest"
        } else {
            "compare it with the ceremony's minutes"
        };
        lines.push(format!("first bundle: sha256 {digest}; {compared}"));
    }
    for imported in &report.imported {
        let ceremony = if args.ceremony.is_some() {
            "looked up in the ceremony's log"
        } else {
            "issued in the ceremony's log: give --ceremony to check it there"
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
    for FileFinding { path, found, expected } in &log.files {
        lines.push(format!("error in {path}: found {found}; expected {expected}"));
    }
    lines.join("\n")
}

fn to_json(log: &Verified) -> Value {
    let Report {
        origin,
        size,
        root,
        checks,
        findings,
        findings_left_out,
        first_bundle,
        imported,
        other_logs: _,
        open_intents,
        not_checked,
    } = &log.report;
    let finding = |f: &stele_core::audit::Finding| {
        let severity = match f.severity {
            Severity::Note => "note",
            Severity::Error => "error",
        };
        json!({"index": f.index, "severity": severity, "what": f.what, "found": f.found, "expected": f.expected})
    };
    json!({
        "origin": origin,
        "size": size,
        "root": root,
        "checks": checks.iter().map(|(check, n)| ((*check).to_owned(), json!(n))).collect::<serde_json::Map<_, _>>(),
        "files": log.file_count,
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        "findings_left_out": findings_left_out,
        "file_findings": log.files,
        "first_bundle": first_bundle,
        "imported": imported.iter().map(|i| json!({"index": i.index, "key": i.key, "sha256": i.certificate_sha256})).collect::<Vec<_>>(),
        "open_intents": open_intents,
        "not_checked": not_checked,
    })
}
