//! A static export: complete, continued, and never contradicting what is there.
#![allow(clippy::unwrap_used, reason = "a helper of a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use stele_core::checkpoint::tile::{self, TileKind, TilePath};
use stele_core::checkpoint::{Checkpoint, Note, SignatureLine};
use stele_ledger::{Ledger, LedgerError, LedgerReader, export};

fn ledger(dir: &Path, name: &str, size: u64) -> Ledger {
    let mut ledger = Ledger::create(&dir.join(name)).unwrap();
    let entries: Vec<_> = (0..size).map(|i| format!("{name} {i}").into_bytes()).collect();
    ledger.append(&entries, &[]).unwrap();
    ledger
}

fn note(reader: &LedgerReader, size: u64) -> String {
    let root = reader.root_at(size).unwrap();
    let origin = "log.example/1".parse().unwrap();
    let line = SignatureLine::new("log.example/1", 7, vec![1; 64]).unwrap();
    let note = Note::new(&Checkpoint { origin, size, root }.body(), vec![line]);
    note.unwrap().to_string()
}

fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path);
        }
    }
    found
}

/// Exactly the files of the tree of `size` are there, and they are what the reader computes.
#[track_caller]
fn assert_export(reader: &LedgerReader, size: u64, dir: &Path) {
    let mut expected = BTreeSet::from([dir.join("checkpoint")]);
    for path in tile::tiles(size) {
        let file = dir.join(path.to_string());
        assert_eq!(fs::read(&file).unwrap(), reader.tile(&path).unwrap(), "{path}");
        expected.insert(file);
    }
    assert_eq!(files(dir), expected);
    assert_eq!(fs::read_to_string(dir.join("checkpoint")).unwrap(), note(reader, size));
}

#[test]
fn an_export_holds_the_tree_and_nothing_else_and_grows() {
    let dir = tempfile::tempdir().unwrap();
    let reader = ledger(dir.path(), "log", 1500).reader().unwrap();
    let out = dir.path().join("a/static/log");
    for size in [0, 1, 255, 256, 257, 600, 600, 1500] {
        export(&reader, size, &note(&reader, size), &out).unwrap();
        assert_export(&reader, size, &out);
    }
    // What the files say is enough for an auditor: every bundle's entries hash to its tile, the tiles to the root.
    let bundle: TilePath = "tile/entries/001".parse().unwrap();
    let hashes = TilePath::new(TileKind::Hashes(0), 1, 256).unwrap();
    let bytes = fs::read(out.join(bundle.to_string())).unwrap();
    let leaves = tile::decode_hashes(&fs::read(out.join(hashes.to_string())).unwrap()).unwrap();
    tile::verify_bundle(&tile::decode_bundle(&bytes).unwrap(), &leaves).unwrap();
}

#[test]
fn an_export_that_was_cut_short_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let reader = ledger(dir.path(), "log", 700).reader().unwrap();
    let out = dir.path().join("out");
    export(&reader, 300, &note(&reader, 300), &out).unwrap();
    // As after a crash at size 600: new tiles, a partial one that no checkpoint covers yet, half a file.
    let copy = |path: &str| fs::write(out.join(path), reader.tile(&path.parse().unwrap()).unwrap()).unwrap();
    copy("tile/0/001");
    fs::create_dir_all(out.join("tile/0/002.p")).unwrap();
    copy("tile/0/002.p/88");
    fs::write(out.join("tile/entries/001.tmp"), "half").unwrap();
    fs::write(out.join("tile/README"), "not ours").unwrap();
    export(&reader, 700, &note(&reader, 700), &out).unwrap();
    assert_eq!(fs::read_to_string(out.join("tile/README")).unwrap(), "not ours");
    fs::remove_file(out.join("tile/README")).unwrap();
    assert_export(&reader, 700, &out);
}

#[test]
fn an_export_never_contradicts_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let reader = ledger(dir.path(), "log", 700).reader().unwrap();
    let other = ledger(dir.path(), "other", 700).reader().unwrap();
    let out = dir.path().join("out");
    export(&reader, 600, &note(&reader, 600), &out).unwrap();
    let refused = |reader: &LedgerReader, size, note: &str| {
        let error = export(reader, size, note, &out).unwrap_err();
        assert!(matches!(error, LedgerError::Conflict { .. }), "{error}");
        error.to_string()
    };
    let set_back = refused(&reader, 500, &note(&reader, 500));
    assert!(set_back.contains("set back"), "{set_back}");
    let rewritten = refused(&other, 700, &note(&other, 700));
    assert!(rewritten.contains("rewritten"), "{rewritten}");
    let foreign = note(&reader, 700).replace("log.example/1", "log.example/2");
    assert!(refused(&reader, 700, &foreign).contains("log.example/2"));
    refused(&reader, 700, &note(&other, 700));
    refused(&reader, 700, &note(&reader, 699));
    assert_export(&reader, 600, &out);

    fs::write(out.join("tile/0/001"), [0; 8192]).unwrap();
    assert!(refused(&reader, 700, &note(&reader, 700)).contains("tile/0/001"));
    assert_eq!(fs::read_to_string(out.join("checkpoint")).unwrap(), note(&reader, 600));
}
