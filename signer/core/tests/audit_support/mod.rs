//! A log in memory, made of real keys, certificates and operators' signatures, to be verified and to be forged.
#![allow(unreachable_pub, dead_code, reason = "each test uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this is all test code"
)]

pub mod ceremony;
pub mod keys;
pub mod signer;

use stele_core::audit::{Finding, Options, Report, Severity, Verifier};
use stele_core::checkpoint::{self, Checkpoint, NoteKeyType, NoteVerifier};
use stele_core::merkle::{Frontier, HashReader, leaf_hash};
use stele_core::record::*;
use stele_core::types::{Digest, Time};

use keys::note_key;

/// 2026-11-22T00:00:00Z
pub const NOW: u64 = 1_795_305_600;
pub const DAY: u64 = 86_400;

/// Records in order; what is pushed gets its index, and a time one second after the last.
#[derive(Clone)]
pub struct Log {
    pub origin: String,
    pub seed: u8,
    pub records: Vec<Record>,
}

impl Log {
    pub fn new(origin: &str, seed: u8, purpose: LogPurpose) -> Self {
        let mut log = Self {
            origin: origin.to_owned(),
            seed,
            records: Vec::new(),
        };
        log.push(Body::Genesis(Genesis {
            origin: origin.parse().unwrap(),
            vkey: log.vkey().to_string(),
            purpose,
            predecessor: None,
            token: TokenDescription {
                label: "test".to_owned(),
                serial: "1".to_owned(),
                manufacturer: "test".to_owned(),
                model: "test".to_owned(),
                firmware: "1".to_owned(),
            },
            software: "stele test".to_owned(),
        }));
        log
    }

    pub fn vkey(&self) -> NoteVerifier {
        let key = note_key(self.seed);
        NoteVerifier::new(&self.origin, NoteKeyType::Ed25519, key.verifying_key().as_bytes()).unwrap()
    }

    /// The time of the next record.
    pub fn now(&self) -> Time {
        Time::from_secs(NOW + self.records.len() as u64)
    }

    pub fn push(&mut self, body: Body) -> u64 {
        let (index, time) = (self.records.len() as u64, self.now());
        self.records.push(Record { index, time, body });
        index
    }

    /// Changes the intent at `index`.
    pub fn intent(&mut self, index: u64, change: impl FnOnce(&mut Intent)) {
        match &mut self.records[index as usize].body {
            Body::Intent(intent) => change(intent),
            other => panic!("{} at {index}", other.kind()),
        }
    }

    /// Changes the outcome at `index`.
    pub fn issued(&mut self, index: u64, change: impl FnOnce(&mut Issued)) {
        match &mut self.records[index as usize].body {
            Body::Issued(issued) => change(issued),
            other => panic!("{} at {index}", other.kind()),
        }
    }

    pub fn raw(&self) -> Vec<Vec<u8>> {
        self.records.iter().map(|r| r.encode().unwrap()).collect()
    }

    /// A checkpoint over `entries`, signed by the log's key: a forger who has it can sign anything.
    pub fn checkpoint(&self, entries: &[Vec<u8>]) -> String {
        let mut frontier = Frontier::new();
        for entry in entries {
            frontier.push(leaf_hash(entry));
        }
        let head = Checkpoint {
            origin: self.origin.parse().unwrap(),
            size: frontier.size(),
            root: frontier.root(),
        };
        let signature = ed25519_dalek::Signer::sign(&note_key(self.seed), head.body().as_bytes());
        checkpoint::assemble(&head.body(), &self.vkey(), &signature.to_bytes()).unwrap()
    }

    /// Verifies the log under a checkpoint of its own: what is found then is found by rule, not by hash.
    pub fn verify(&self) -> Report {
        let raw = self.raw();
        let note = self.checkpoint(&raw);
        self.verify_raw(&raw, &note)
    }

    pub fn verify_raw(&self, entries: &[Vec<u8>], note: &str) -> Report {
        verify_with(self.vkey(), Options::default(), entries, note)
    }

    /// The hashes of the inclusion proof of the entry at `index`.
    pub fn inclusion(&self, index: u64) -> Vec<Digest> {
        let raw = self.raw();
        stele_core::merkle::inclusion_proof(index, raw.len() as u64, &Leaves(&raw)).unwrap()
    }
}

pub fn verify_with(vkey: NoteVerifier, options: Options, entries: &[Vec<u8>], note: &str) -> Report {
    let mut verifier = Verifier::new(vkey, options);
    for entry in entries {
        verifier.entry(entry, None);
    }
    verifier.finish(note)
}

struct Leaves<'a>(&'a [Vec<u8>]);

impl HashReader for Leaves<'_> {
    type Error = stele_core::Error;

    fn hash(&self, level: u8, index: u64) -> Result<Digest, Self::Error> {
        let mut frontier = Frontier::new();
        let width = 1usize << level;
        for entry in &self.0[index as usize * width..][..width] {
            frontier.push(leaf_hash(entry));
        }
        Ok(frontier.root())
    }
}

/// The errors of a report.
pub fn errors(report: &Report) -> Vec<&Finding> {
    report
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .collect()
}

/// Requires that the report names this place and words.
#[track_caller]
pub fn assert_found(report: &Report, index: u64, words: &str) {
    let hit = errors(report)
        .iter()
        .any(|f| f.index == Some(index) && f.to_string().contains(words));
    assert!(hit, "no error at {index} with `{words}` in {:#?}", shown(report));
}

#[track_caller]
pub fn assert_clean(report: &Report) {
    assert!(report.is_clean(), "{:#?}", shown(report));
}

pub fn shown(report: &Report) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}
