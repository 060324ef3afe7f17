//! The store against the core's arithmetic; [`failures`] against failing disks and damaged files.

mod failures;

use std::collections::HashMap;
use std::path::PathBuf;

use proptest::prelude::*;
use stele_core::checkpoint::tile::{self, TileKind};
use stele_core::checkpoint::{Checkpoint, Note, SignatureLine};
use stele_core::merkle::{self, Frontier, Hash, HashReader};
use tempfile::TempDir;

use crate::{Change, Ledger, LedgerError, LedgerReader};

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.sqlite");
    (dir, path)
}

fn entry(i: u64) -> Vec<u8> {
    format!("entry {i} {}", "x".repeat(usize::try_from(i % 300).unwrap())).into_bytes()
}

fn entries(range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    range.map(entry).collect()
}

fn frontier(size: u64) -> Frontier {
    let mut frontier = Frontier::new();
    (0..size).for_each(|i| drop(frontier.push(merkle::leaf_hash(&entry(i)))));
    frontier
}

fn put(key: &[u8], value: &[u8]) -> Change {
    Change::Put {
        table: "serial",
        key: key.to_vec(),
        value: value.to_vec(),
    }
}

/// A note whose signature is none: the store does not verify it.
fn note(size: u64, root: Hash) -> String {
    let origin = "log.example/1".parse().unwrap();
    let body = Checkpoint { origin, size, root }.body();
    let line = SignatureLine::new("log.example/1", 7, vec![1; 64]).unwrap();
    Note::new(&body, vec![line]).unwrap().to_string()
}

/// Memory, disk and the core agree on the first `size` entries.
#[track_caller]
fn assert_log(ledger: &Ledger, size: u64) {
    assert_eq!(ledger.size(), size);
    assert_eq!(ledger.root(), frontier(size).root());
    let reader = ledger.reader().unwrap();
    assert_eq!(reader.size().unwrap(), size);
    assert_eq!(reader.root_at(size).unwrap(), ledger.root());
    assert_eq!(reader.entries(0..size).unwrap(), entries(0..size));
}

#[test]
fn what_was_appended_is_there_after_opening_again() {
    let (_dir, path) = place();
    let mut ledger = Ledger::create(&path).unwrap();
    assert_log(&ledger, 0);
    assert_eq!(ledger.append(&entries(0..1), &[]).unwrap(), 0);
    assert_eq!(ledger.append(&entries(1..300), &[]).unwrap(), 1);
    assert_eq!(ledger.append(&[], &[]).unwrap(), 300);
    assert_log(&ledger, 300);
    drop(ledger);
    let mut ledger = Ledger::open(&path).unwrap();
    assert_log(&ledger, 300);
    assert_eq!(ledger.append(&entries(300..301), &[]).unwrap(), 300);
    assert_log(&ledger, 301);
}

#[test]
fn state_changes_with_its_entries() {
    let (_dir, path) = place();
    let mut ledger = Ledger::create(&path).unwrap();
    let other = Change::Put {
        table: "freeze",
        key: b"a1".to_vec(),
        value: b"other table".to_vec(),
    };
    let changes = [
        put(b"a1", b"1"),
        put(b"a2", b"2"),
        put(b"a\xff", b"3"),
        put(b"b", b"4"),
        put(b"a1", b"5"),
        other,
    ];
    ledger.append(&entries(0..2), &changes).unwrap();
    let delete = |key: &[u8]| Change::Delete {
        table: "serial",
        key: key.to_vec(),
    };
    ledger.append(&[], &[delete(b"a2"), delete(b"never there")]).unwrap();
    drop(ledger);
    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(ledger.get_state("serial", b"a1").unwrap().unwrap(), b"5");
    assert_eq!(ledger.get_state("serial", b"a2").unwrap(), None);
    let keys = |prefix: &[u8]| -> Vec<Vec<u8>> {
        let found = ledger.scan_state("serial", prefix).unwrap();
        found.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(b"a"), [b"a1".to_vec(), b"a\xff".to_vec()]);
    assert_eq!(keys(b"a\xff"), [b"a\xff".to_vec()]);
    assert_eq!(keys(b"").len(), 3);
    assert_eq!(keys(b"\xff"), Vec::<Vec<u8>>::new());
    assert_log(&ledger, 2);
}

#[test]
fn a_checkpoint_must_be_of_this_tree_and_never_older() {
    let (_dir, path) = place();
    let mut ledger = Ledger::create(&path).unwrap();
    ledger.append(&entries(0..20), &[]).unwrap();
    let root = |size| frontier(size).root();
    assert!(matches!(
        ledger.set_checkpoint(10, &note(10, root(11))),
        Err(LedgerError::Conflict { .. })
    ));
    assert!(matches!(
        ledger.set_checkpoint(10, &note(11, root(11))),
        Err(LedgerError::Conflict { .. })
    ));
    assert!(matches!(
        ledger.set_checkpoint(21, &note(21, root(21))),
        Err(LedgerError::OutOfRange { .. })
    ));
    assert!(matches!(
        ledger.set_checkpoint(10, "no note"),
        Err(LedgerError::Core(_))
    ));
    assert_eq!(ledger.checkpoint(), None);
    ledger.set_checkpoint(10, &note(10, root(10))).unwrap();
    let cosigned = format!(
        "{}{}\n",
        note(10, root(10)),
        SignatureLine::new("w", 1, vec![2; 72]).unwrap()
    );
    ledger.set_checkpoint(10, &cosigned).unwrap();
    assert_eq!(ledger.checkpoint(), Some((10, cosigned)));
    assert!(matches!(
        ledger.set_checkpoint(9, &note(9, root(9))),
        Err(LedgerError::Conflict { .. })
    ));
}

#[test]
fn entries_fit_a_16_bit_length() {
    let (_dir, path) = place();
    let mut ledger = Ledger::create(&path).unwrap();
    let too_large = [vec![], vec![0; 65_536]];
    let error = ledger.append(&too_large, &[put(b"k", b"v")]).unwrap_err();
    assert!(matches!(
        error,
        LedgerError::EntryTooLarge {
            number: 1,
            bytes: 65_536
        }
    ));
    assert_log(&ledger, 0);
    ledger.append(&[vec![], vec![0; 65_535]], &[]).unwrap();
    let reader = ledger.reader().unwrap();
    assert!(reader.entry(0).unwrap().is_empty());
    assert_eq!(reader.entry(1).unwrap(), vec![0; 65_535]);
}

#[test]
fn there_is_one_writer() {
    let (_dir, path) = place();
    let mut ledger = Ledger::create(&path).unwrap();
    assert!(matches!(Ledger::open(&path), Err(LedgerError::Locked { .. })));
    let reader = LedgerReader::open(&path).unwrap();
    ledger.append(&entries(0..3), &[]).unwrap();
    assert_eq!(reader.size().unwrap(), 3);
    drop(ledger);
    assert!(matches!(Ledger::create(&path), Err(LedgerError::Exists { .. })));
    assert_log(&Ledger::open(&path).unwrap(), 3);
}

#[test]
fn readers_follow_from_other_threads() {
    let (_dir, path) = place();
    let mut ledger = Ledger::create(&path).unwrap();
    let reader = ledger.reader().unwrap();
    let following = std::thread::spawn(move || {
        let mut seen = 0;
        while seen < 400 {
            let size = reader.size().unwrap();
            assert!(size >= seen, "a log only grows");
            assert_eq!(reader.root_at(size).unwrap(), frontier(size).root());
            assert_eq!(reader.entries(seen..size).unwrap(), entries(seen..size));
            seen = size;
        }
    });
    for i in 0..40 {
        ledger.append(&entries(i * 10..(i + 1) * 10), &[]).unwrap();
    }
    following.join().unwrap();
}

/// A tree whose hashes are all in memory, grown by the core alone.
struct Tree(HashMap<(u8, u64), Hash>);

impl HashReader for Tree {
    type Error = stele_core::Error;
    fn hash(&self, level: u8, index: u64) -> Result<Hash, stele_core::Error> {
        Ok(self.0[&(level, index)])
    }
}

#[test]
fn proofs_and_tiles_equal_the_cores() {
    const SIZE: u64 = 1400;
    let (_dir, path) = place();
    let mut ledger = Ledger::create(&path).unwrap();
    let (mut tree, mut growing) = (Tree(HashMap::new()), Frontier::new());
    for i in (0..SIZE).step_by(70) {
        ledger.append(&entries(i..i + 70), &[]).unwrap();
    }
    for i in 0..SIZE {
        for s in growing.push(merkle::leaf_hash(&entry(i))) {
            tree.0.insert((s.level, s.index), s.hash);
        }
    }
    let reader = ledger.reader().unwrap();
    for ((level, index), hash) in &tree.0 {
        assert_eq!(reader.hash(*level, *index).unwrap(), *hash);
    }
    proptest!(|(size in 1..=SIZE, a: u64, b: u64)| {
        let (index, older) = (a % size, b % (size + 1));
        prop_assert_eq!(reader.root_at(size).unwrap(), merkle::root(size, &tree).unwrap());
        prop_assert_eq!(reader.leaf_hash(index).unwrap(), merkle::leaf_hash(&entry(index)));
        let inclusion = reader.inclusion_proof(index, size).unwrap();
        prop_assert_eq!(inclusion, merkle::inclusion_proof(index, size, &tree).unwrap());
        let consistency = reader.consistency_proof(older, size).unwrap();
        prop_assert_eq!(consistency, merkle::consistency_proof(older, size, &tree).unwrap());
        for path in tile::tiles(size) {
            let bytes = reader.tile(&path).unwrap();
            match path.kind() {
                TileKind::Hashes(_) => prop_assert_eq!(bytes, path.hash_tile(size, &tree).unwrap()),
                TileKind::Entries => {
                    let end = path.start() + u64::from(path.width());
                    prop_assert_eq!(tile::decode_bundle(&bytes).unwrap(), entries(path.start()..end));
                }
            }
        }
    });
}

#[test]
fn what_is_beyond_the_log_is_refused() {
    let (_dir, path) = place();
    let mut ledger = Ledger::create(&path).unwrap();
    ledger.append(&entries(0..5), &[]).unwrap();
    let reader = ledger.reader().unwrap();
    let out_of_range = |error: LedgerError| assert!(matches!(error, LedgerError::OutOfRange { .. }), "{error}");
    for n in [5, 1 << 40, u64::MAX] {
        out_of_range(reader.entry(n).unwrap_err());
        out_of_range(reader.leaf_hash(n).unwrap_err());
    }
    out_of_range(reader.entries(0..u64::MAX).unwrap_err());
    out_of_range(reader.root_at(6).unwrap_err());
    out_of_range(reader.root_at(u64::MAX).unwrap_err());
    out_of_range(reader.inclusion_proof(0, 6).unwrap_err());
    out_of_range(reader.consistency_proof(5, 6).unwrap_err());
    out_of_range(reader.hash(1, 2).unwrap_err());
    out_of_range(reader.hash(200, 0).unwrap_err());
    assert!(reader.inclusion_proof(5, 5).is_err());
    for tile in [
        "tile/0/000.p/6",
        "tile/0/000",
        "tile/1/000.p/1",
        "tile/entries/001.p/1",
        "tile/63/000.p/1",
    ] {
        assert!(reader.tile(&tile.parse().unwrap()).is_err(), "{tile}");
    }
}

/// A log of a million entries must stay cheap: hashes and indexes cost less than 110 bytes an entry.
#[test]
fn the_tree_costs_little_space() {
    const COUNT: u64 = 20_000;
    let (_dir, path) = place();
    let mut ledger = Ledger::create(&path).unwrap();
    ledger.append(&vec![vec![7; 500]; 20_000], &[]).unwrap();
    drop(ledger);
    let bytes = std::fs::metadata(&path).unwrap().len();
    let overhead = bytes / COUNT - 500;
    assert!(overhead < 110, "{overhead} bytes an entry");
}
