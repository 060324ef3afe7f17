//! Several logs: each is opened with a key that another one names, and must be what the others saw of it.

use stele_core::audit::{Estate, Imported, Options, OtherLog};
use stele_core::checkpoint::{Checkpoint, NoteVerifier, open};
use stele_core::types::Digest;

use super::super::log::{FileFinding, Log, Place};
use super::run::{Observer, SMALL_LOG, Verified, first_entry, root_at, verify_log};
use super::state::State;
use crate::connect::Settings;
use crate::error::CliError;

/// Logs that were verified, the one of the given verifier key first.
pub(in crate::commands::audit) struct Chain {
    pub(in crate::commands::audit) logs: Vec<Verified>,
    /// What concerns none of them.
    pub(in crate::commands::audit) findings: Vec<FileFinding>,
}

impl Chain {
    pub(in crate::commands::audit) fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.logs.iter().all(Verified::is_clean)
    }

    /// The log that a CA certificate was imported from, where it was given: that of the last import before it.
    pub(super) fn source(&self, log: &Verified, imported: &Imported) -> Option<&Verified> {
        let before = log
            .report
            .other_logs
            .iter()
            .filter(|other| other.index < imported.index);
        let from = before.max_by_key(|other| other.index)?;
        self.logs
            .iter()
            .find(|other| other.report.origin == from.origin.as_str() && other.report.size <= SMALL_LOG)
    }
}

/// Verifies every log: the one that `verifier` opens, then those whose keys it names, and so on. The observer sees the
/// records of the first.
///
/// # Errors
/// When a place holds no log or cannot be read, or no place holds a log of `verifier`.
pub(in crate::commands::audit) fn verify_all(
    places: &[Place],
    settings: &Settings,
    verifier: NoteVerifier,
    bundle_digest: Option<Digest>,
    since: &State,
    mut observer: Option<Observer<'_>>,
) -> Result<Chain, CliError> {
    let mut waiting = Vec::new();
    for place in places {
        waiting.push((place.clone(), Log::open(place, settings)?));
    }
    let mut chain = Chain {
        logs: Vec::new(),
        findings: Vec::new(),
    };
    let mut keys = vec![(verifier, None)];
    while let Some((key, mut estate)) = keys.pop() {
        // Copies of one log are each verified.
        while let Some(at) = waiting.iter().position(|(_, log)| is_of(log, &key)) {
            let (place, log) = waiting.remove(at);
            let mut options = since.options(&key)?;
            options.bundle_digest = bundle_digest.filter(|_| chain.logs.is_empty());
            let mut verified = verify_log(place, log, (key.clone(), estate.take()), options, observer.take())?;
            let named = verified.report.other_logs.iter();
            keys.extend(named.filter_map(|o| o.vkey.parse().ok()).map(|key| (key, None)));
            // The next epoch is verified next, with what this one left.
            if let Some(key) = next_epoch(verified.estate.as_ref(), &waiting)? {
                keys.push((key, verified.estate.take()));
            }
            chain.logs.push(verified);
        }
    }
    if chain.logs.is_empty() {
        return Err(none_opens(&waiting));
    }
    for (place, log) in &waiting {
        let origin = origin_of(log);
        let words = "a log whose checkpoint's key neither --vkey nor another of the logs names";
        chain
            .findings
            .push(FileFinding::new(place.to_string(), format!("log {origin}"), words));
    }
    cross_check(&mut chain)?;
    Ok(chain)
}

/// The key of the log that continues another, where it is among those that wait.
fn next_epoch(estate: Option<&Estate>, waiting: &[(Place, Log)]) -> Result<Option<NoteVerifier>, CliError> {
    let Some(estate) = estate else { return Ok(None) };
    for (_, log) in waiting {
        if let Some(entry) = first_entry(log)?
            && let Ok(key) = estate.follow(&entry)
        {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Whether the log says that it is this key's. Whether its checkpoint verifies, the verification tells.
fn is_of(log: &Log, key: &NoteVerifier) -> bool {
    origin_of(log) == key.name()
}

fn origin_of(log: &Log) -> String {
    let first = log.note().lines().next();
    first.unwrap_or_default().to_owned()
}

fn none_opens(waiting: &[(Place, Log)]) -> CliError {
    let one = |(place, log): &(Place, Log)| format!("that in {place} is of `{}`", origin_of(log));
    let found: Vec<String> = waiting.iter().map(one).collect();
    CliError::Refused(format!("no checkpoint of the verifier key's log: {}", found.join("; ")))
}

/// Every log must be what the others saw of it, and must have issued what they imported from it.
fn cross_check(chain: &mut Chain) -> Result<(), CliError> {
    let mut found = Vec::new();
    for (at, other) in chain.logs.iter().enumerate() {
        for log in &chain.logs {
            for seen in log
                .report
                .other_logs
                .iter()
                .filter(|o| o.origin.as_str() == other.report.origin)
            {
                found.extend(compare(other, log, seen)?.map(|finding| (at, finding)));
            }
        }
    }
    for (at, log) in chain.logs.iter().enumerate() {
        for imported in &log.report.imported {
            let Some(other) = chain.source(log, imported) else {
                continue;
            };
            if !other.issued.contains(&imported.certificate_sha256) {
                let what = format!("record {}", imported.index);
                let sha256 = imported.certificate_sha256;
                let certificate = format!("a certificate of {} with sha256 {sha256}", imported.key);
                let expected = format!("one that {} issued", other.report.origin);
                found.push((at, FileFinding::new(what, certificate, expected)));
            }
        }
    }
    for (at, finding) in found {
        if let Some(log) = chain.logs.get_mut(at) {
            log.files.push(finding);
        }
    }
    Ok(())
}

/// Compares a log with the checkpoint of it that another one holds.
fn compare(log: &Verified, holder: &Verified, seen: &OtherLog) -> Result<Option<FileFinding>, CliError> {
    let who = format!("record {} of {}", seen.index, holder.report.origin);
    let checkpoint = match checkpoint(seen) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            return Ok(Some(FileFinding::new(
                who,
                error.to_string(),
                "a checkpoint of this log",
            )));
        }
    };
    let found = match root_at(&log.log, checkpoint.size) {
        Ok(Some(root)) if root == checkpoint.root => return Ok(None),
        Ok(Some(root)) => format!("root {root}"),
        Ok(None) => "fewer entries".to_owned(),
        Err(CliError::Refused(why)) => why,
        Err(other) => return Err(other),
    };
    let expected = format!("root {} at size {}, as it says", checkpoint.root, checkpoint.size);
    Ok(Some(FileFinding::new(who, found, expected)))
}

fn checkpoint(seen: &OtherLog) -> Result<Checkpoint, stele_core::Error> {
    let verifier: NoteVerifier = seen.vkey.parse()?;
    Ok(open(&seen.checkpoint, std::slice::from_ref(&verifier))?.0)
}

impl State {
    /// What is known of the log of this key.
    fn options(&self, key: &NoteVerifier) -> Result<Options, CliError> {
        let mut options = Options::default();
        if let Some(known) = self.log(key)? {
            options.verified = known.size;
            options.anchors.push(known);
        }
        Ok(options)
    }
}
