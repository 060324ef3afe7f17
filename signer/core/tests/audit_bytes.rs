//! Bytes flipped, dropped, swapped, cut off or appended: found, with their place, and never a panic.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod audit_support;

use audit_support::{assert_clean, assert_found, errors, signer};
use proptest::prelude::*;
use stele_core::audit::{Options, Report, Verifier};
use stele_core::checkpoint::NoteVerifier;
use stele_core::merkle::leaf_hash;

/// The export of a log: entries, the leaf hashes of its level 0 tiles, checkpoint.
struct Export {
    vkey: NoteVerifier,
    entries: Vec<Vec<u8>>,
    tiles: Vec<stele_core::types::Digest>,
    note: String,
}

impl Export {
    fn new() -> Self {
        let log = signer::build().log;
        let entries = log.raw();
        Self {
            vkey: log.vkey(),
            tiles: entries.iter().map(|e| leaf_hash(e)).collect(),
            note: log.checkpoint(&entries),
            entries,
        }
    }

    fn verify(&self) -> Report {
        let mut verifier = Verifier::new(self.vkey.clone(), Options::default());
        for (index, entry) in self.entries.iter().enumerate() {
            verifier.entry(entry, self.tiles.get(index).copied());
        }
        verifier.finish(&self.note)
    }
}

#[test]
fn an_untouched_export_verifies() {
    assert_clean(&Export::new().verify());
}

#[test]
fn a_flipped_byte_is_found_in_every_entry() {
    let clean = Export::new();
    for index in 0..clean.entries.len() {
        let mut export = Export::new();
        let middle = export.entries[index].len() / 2;
        export.entries[index][middle] ^= 0x20;
        assert_found(&export.verify(), index as u64, "hash tile");
    }
}

#[test]
fn every_byte_of_a_record_counts() {
    let export = Export::new();
    let at = 1;
    for position in 0..export.entries[at].len() {
        for bit in [0x01, 0x20, 0x80] {
            let mut raw = export.entries[at].clone();
            raw[position] ^= bit;
            let mut verifier = Verifier::new(export.vkey.clone(), Options::default());
            for (index, entry) in export.entries.iter().enumerate() {
                verifier.entry(if index == at { &raw } else { entry }, None);
            }
            assert!(!verifier.finish(&export.note).is_clean(), "byte {position}");
        }
    }
}

#[test]
fn a_dropped_entry_is_found() {
    let mut export = Export::new();
    export.entries.remove(8);
    let report = export.verify();
    assert_found(&report, 8, "index");
    assert_found(&report, export.entries.len() as u64, "tree size");
}

#[test]
fn swapped_entries_are_found() {
    let mut export = Export::new();
    export.entries.swap(8, 9);
    let report = export.verify();
    assert_found(&report, 8, "index");
    assert_found(&report, 9, "index");
}

#[test]
fn a_truncated_log_is_found() {
    let mut export = Export::new();
    export.entries.truncate(20);
    assert_found(&export.verify(), 20, "tree size");
}

#[test]
fn an_appended_entry_is_found() {
    let mut export = Export::new();
    let size = export.entries.len() as u64;
    export.entries.push(export.entries[3].clone());
    let report = export.verify();
    assert_found(&report, size, "tree size");
    assert_found(&report, size, "index");
}

#[test]
fn an_altered_checkpoint_is_found() {
    let clean = Export::new();
    for from in ["signer.example", "\n\n", "\u{2014} "] {
        let mut export = Export::new();
        export.note = clean.note.replacen(from, "x", 1);
        assert!(
            errors(&export.verify()).iter().any(|f| f.what == "checkpoint"),
            "{from:?}"
        );
    }
}

#[test]
fn garbage_has_a_place_and_verification_goes_on() {
    let mut export = Export::new();
    let last = export.entries.len() - 1;
    export.entries[5] = b"garbage".to_vec();
    export.entries[last] = vec![0xff; 65_535];
    let report = export.verify();
    assert_found(&report, 5, "record");
    assert_found(&report, last as u64, "record");
    assert_eq!(report.size, export.entries.len() as u64);
}

#[test]
fn white_space_and_unknown_fields_are_found() {
    for (from, to) in [
        ("{\"v\":1,", "{\"v\":1, "),
        ("{\"v\":1,", "{\"v\":1,\"x\":1,"),
        ("{\"v\":1,", "{\"v\":2,"),
    ] {
        let mut export = Export::new();
        let text = String::from_utf8(export.entries[6].clone()).unwrap();
        assert!(text.contains(from));
        export.entries[6] = text.replacen(from, to, 1).into_bytes();
        assert_found(&export.verify(), 6, "record");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_examined_without_a_panic(raw in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let mut verifier = Verifier::new(Export::new().vkey, Options::default());
        verifier.entry(&raw, None);
        prop_assert!(!verifier.finish("").is_clean());
    }

    #[test]
    fn a_record_with_mutated_bytes_is_admitted_without_a_panic(
        index in 0usize..30,
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut export = Export::new();
        let index = index % export.entries.len();
        let entry = &mut export.entries[index];
        let before = entry.clone();
        for (at, byte) in cuts {
            let at = at.index(entry.len());
            entry[at] = byte;
        }
        let changed = *entry != before;
        prop_assert_eq!(export.verify().is_clean(), !changed);
    }
}
