//! What a verification says: what was checked, what was found and where, and what nobody could know.

use std::collections::BTreeMap;
use std::fmt;

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::merkle::Hash;
use crate::record::Successor;
use crate::types::{Digest, KeyName, Origin};

/// Beyond so many findings they are only counted: a log of garbage must not fill the auditor's memory.
const MAX_FINDINGS: usize = 10_000;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; the log keeps its promises all the same.
    Note,
    /// A promise is broken.
    Error,
}

/// One thing that was found, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Index of the record; none for what concerns the log as a whole.
    pub index: Option<u64>,
    /// How grave it is.
    pub severity: Severity,
    /// Which field or rule.
    pub what: String,
    /// What was found.
    pub found: String,
    /// What should be there.
    pub expected: String,
}

impl Finding {
    /// A broken promise at record `index`.
    pub(super) fn at(index: u64, what: &str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            index: Some(index),
            severity: Severity::Error,
            what: what.to_owned(),
            found: found.into(),
            expected: expected.into(),
        }
    }

    /// A broken promise of the log as a whole.
    pub(super) fn of_log(what: &str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            index: None,
            ..Self::at(0, what, found, expected)
        }
    }

    /// An error of the core as a finding about `what` at record `index`.
    pub(super) fn from_error(index: u64, what: &str, error: Error) -> Self {
        match error {
            Error::Malformed {
                field,
                found,
                permitted,
            } => Self::at(index, what, format!("{field}: {found}"), permitted),
            Error::Unverified { what: object, why } => {
                Self::at(index, what, format!("{object}: {why}"), "what verifies")
            }
        }
    }

    /// The same as a note.
    pub(super) fn note(mut self) -> Self {
        self.severity = Severity::Note;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.severity {
            Severity::Error => f.write_str("error")?,
            Severity::Note => f.write_str("note")?,
        }
        match self.index {
            Some(index) => write!(f, " at {index}: ")?,
            None => f.write_str(" in the log: ")?,
        }
        write!(f, "{}: found {}; expected {}", self.what, self.found, self.expected)
    }
}

/// A CA certificate that was made in another log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Index of the record that brought it.
    pub index: u64,
    /// The key that it is for.
    pub key: KeyName,
    /// SHA-256 of that key's SPKI.
    pub spki_sha256: Digest,
    /// SHA-256 of the certificate. It was issued in the ceremony's log, and only that log can prove it.
    pub certificate_sha256: Digest,
}

/// Another log whose checkpoint this one holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherLog {
    /// Index of the record that holds it.
    pub index: u64,
    /// Its origin.
    pub origin: Origin,
    /// Its verifier key.
    pub vkey: String,
    /// The checkpoint, a signed note, verbatim. To be checked against that log, see
    /// [`Options::anchors`](super::Options::anchors).
    pub checkpoint: String,
}

/// The result of verifying a whole log.
#[derive(Clone, Debug)]
pub struct Report {
    /// The log.
    pub origin: String,
    /// How many entries were read.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// What was checked, and how often.
    pub checks: Vec<(&'static str, u64)>,
    /// What was found, in the order of the log, at most ten thousand.
    pub findings: Vec<Finding>,
    /// How many findings more there are than stand here.
    pub findings_left_out: u64,
    /// Digest of the first bundle, to be compared with the ceremony's minutes.
    pub first_bundle: Option<Digest>,
    /// CA certificates that were issued in the ceremony's log.
    pub imported: Vec<Imported>,
    /// The other logs that this one vouches for.
    pub other_logs: Vec<OtherLog>,
    /// Indexes of the intents that have no outcome yet.
    pub open_intents: Vec<u64>,
    /// The last known checkpoint of the log that this one continues.
    pub predecessor: Option<Checkpoint>,
    /// The log that goes on after this one was closed.
    pub successor: Option<Successor>,
    /// What this verification cannot know or did not look at.
    pub not_checked: Vec<String>,
}

impl Report {
    /// Whether no promise is broken; notes may remain.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings_left_out == 0 && self.findings.iter().all(|f| f.severity == Severity::Note)
    }
}

/// Counts checks and collects findings.
#[derive(Default)]
pub(super) struct Tally {
    checks: BTreeMap<&'static str, u64>,
    findings: Vec<Finding>,
    left_out: u64,
}

impl Tally {
    pub(super) fn count(&mut self, check: &'static str) {
        *self.checks.entry(check).or_default() += 1;
    }

    pub(super) fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.left_out += 1;
        }
    }

    /// Counts a check of record `index`, and keeps what it found wrong.
    pub(super) fn check<T>(&mut self, index: u64, what: &'static str, result: Result<T, Error>) -> Option<T> {
        self.count(what);
        result
            .map_err(|error| self.add(Finding::from_error(index, what, error)))
            .ok()
    }

    /// Counts a check of record `index` that two values are the same.
    pub(super) fn same<T: fmt::Display + PartialEq>(
        &mut self,
        index: u64,
        what: &'static str,
        found: &T,
        expected: &T,
    ) {
        self.count(what);
        if found != expected {
            self.add(Finding::at(index, what, found.to_string(), expected.to_string()));
        }
    }

    /// Takes over the counts of `other`; answers with its findings, for which another time comes.
    pub(super) fn take_counts(&mut self, other: Self) -> Vec<Finding> {
        for (check, count) in other.checks {
            *self.checks.entry(check).or_default() += count;
        }
        other.findings
    }

    /// The counts, the findings in the order of the log, and how many were left out.
    pub(super) fn into_parts(self) -> (Vec<(&'static str, u64)>, Vec<Finding>, u64) {
        let mut findings = self.findings;
        findings.sort_by_key(|f| f.index.unwrap_or(u64::MAX));
        (self.checks.into_iter().collect(), findings, self.left_out)
    }
}
