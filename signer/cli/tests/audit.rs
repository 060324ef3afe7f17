//! Whole logs and single proofs, checked by the real binary from files alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

#[path = "../../core/tests/audit_support/mod.rs"]
mod audit_support;
mod support;

use std::path::{Path, PathBuf};

use audit_support::{Log, ceremony, signer};
use stele_core::checkpoint::TlogProof;
use stele_core::checkpoint::tiler::Tiler;
use stele_core::record::{Body, Payload, Purpose};
use support::{Place, stele, stele_fails, stele_ok};

/// Writes a log as static tiles; the path of its verifier key.
fn export(log: &Log, root: &Path) -> String {
    let raw = log.raw();
    let mut tiler = Tiler::new();
    let mut files = Vec::new();
    for entry in &raw {
        files.extend(tiler.push(entry).unwrap());
    }
    files.extend(tiler.partials().unwrap());
    for file in files {
        let path = root.join(file.path.to_string());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.bytes).unwrap();
    }
    std::fs::write(root.join("checkpoint"), log.checkpoint(&raw)).unwrap();
    let vkey = root.with_extension("vkey");
    std::fs::write(&vkey, format!("{}\n", log.vkey())).unwrap();
    vkey.to_str().unwrap().to_owned()
}

fn exported(place: &Place) -> (PathBuf, String) {
    let root = place.path().join("ledger");
    std::fs::create_dir(&root).unwrap();
    let vkey = export(&signer::build().log, &root);
    (root, vkey)
}

fn verify(root: &Path, vkey: &str) -> (Option<i32>, String) {
    let output = stele(&["audit", "verify", root.to_str().unwrap(), "--vkey", vkey]);
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_sound_export_verifies() {
    let place = Place::new();
    let (root, vkey) = exported(&place);
    let (code, text) = verify(&root, &vkey);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("RESULT: no promise is broken") && text.contains("first bundle: sha256"),
        "{text}"
    );
    let digest = signer::build().bundle.digest().to_string();
    let dir = root.to_str().unwrap();
    stele_ok(&["audit", "verify", dir, "--vkey", &vkey, "--bundle-digest", &digest]);
    let other = "0".repeat(64);
    let wrong = stele(&["audit", "verify", dir, "--vkey", &vkey, "--bundle-digest", &other]);
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
}

/// Every file of the export, sorted.
fn all_files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn an_altered_or_missing_file_is_found_by_name() {
    let place = Place::new();
    let (root, vkey) = exported(&place);
    for path in all_files(&root) {
        let good = std::fs::read(&path).unwrap();
        let flipped = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            bytes
        };
        let longer = [good.as_slice(), b"x"].concat();
        for bad in [
            flipped(0),
            flipped(good.len() / 2),
            good[..good.len() - 1].to_vec(),
            longer,
        ] {
            std::fs::write(&path, bad).unwrap();
            let (code, text) = verify(&root, &vkey);
            assert_eq!(code, Some(1), "{}: {text}", path.display());
        }
        std::fs::remove_file(&path).unwrap();
        let (code, _) = verify(&root, &vkey);
        assert_eq!(code, Some(1), "{} missing", path.display());
        std::fs::write(&path, good).unwrap();
    }
    assert_eq!(verify(&root, &vkey).0, Some(0));
}

#[test]
fn files_that_do_not_belong_are_findings() {
    let place = Place::new();
    let (root, vkey) = exported(&place);
    let edge = all_files(&root)
        .into_iter()
        .find(|p| p.to_str().unwrap().contains("tile/0/"))
        .unwrap();
    for (name, words) in [
        ("notes.txt", "does not belong"),
        ("tile/0/001", "beyond the checkpoint"),
        ("tile/entries/000.p/1", "left-over partial tile that disagrees"),
    ] {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"x").unwrap();
        let (code, text) = verify(&root, &vkey);
        assert_eq!(code, Some(1), "{name}");
        assert!(text.contains(name) && text.contains(words), "{name}: {text}");
        std::fs::remove_file(&path).unwrap();
    }
    // What an earlier export left is sound where it is the beginning of what replaced it.
    let bytes = std::fs::read(&edge).unwrap();
    std::fs::write(edge.with_file_name("2"), &bytes[..64]).unwrap();
    assert_eq!(verify(&root, &vkey).0, Some(0));
}

#[test]
fn the_ceremonys_log_is_looked_into() {
    let place = Place::new();
    let (root, vkey) = exported(&place);
    let transcript = place.path().join("ceremony");
    std::fs::create_dir_all(transcript.join("log")).unwrap();
    export(&ceremony::build().log, &transcript.join("log"));
    std::fs::remove_file(transcript.join("log.vkey")).unwrap();
    let output = stele(&[
        "audit",
        "verify",
        root.to_str().unwrap(),
        "--vkey",
        &vkey,
        "--ceremony",
        transcript.to_str().unwrap(),
    ]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("the ceremony's log:\nlog "), "{text}");
}

/// An outcome's certificate and proof as files.
fn proof(place: &Place, log: &Log) -> (String, String, Vec<u8>) {
    let leaf = |body: &Body| match body {
        Body::Issued(issued) if issued.purpose == Purpose::Leaf => match &issued.signed {
            Payload::Inline(der) => Some(der.0.clone()),
            Payload::Chunks { .. } => None,
        },
        _ => None,
    };
    let (record, der) = log.records.iter().find_map(|r| Some((r, leaf(&r.body)?))).unwrap();
    let proof = TlogProof {
        extra: Some(record.encode().unwrap()),
        index: record.index,
        hashes: log.inclusion(record.index),
        checkpoint: log.checkpoint(&log.raw()),
    };
    let (file, certificate) = (place.at("leaf.tlog-proof"), place.at("leaf.der"));
    std::fs::write(&file, proof.to_string()).unwrap();
    std::fs::write(&certificate, &der).unwrap();
    (file, certificate, der)
}

#[test]
fn a_certificate_is_checked_by_its_proof_alone() {
    let place = Place::new();
    let log = signer::build().log;
    let (file, certificate, der) = proof(&place, &log);
    let vkey = place.at("vkey");
    std::fs::write(&vkey, log.vkey().to_string()).unwrap();
    let text = stele_ok(&["audit", "check-proof", &file, &certificate, "--vkey", &vkey]);
    assert!(text.contains("proven: this certificate is recorded at"), "{text}");

    let mut altered = der;
    *altered.last_mut().unwrap() ^= 1;
    std::fs::write(&certificate, altered).unwrap();
    let error = stele_fails(1, &["audit", "check-proof", &file, &certificate, "--vkey", &vkey]);
    assert!(error.contains("another one"), "{error}");

    let stranger = Log::new(&log.origin, 77, stele_core::record::LogPurpose::Signer);
    std::fs::write(&vkey, stranger.vkey().to_string()).unwrap();
    stele_fails(1, &["audit", "check-proof", &file, &certificate, "--vkey", &vkey]);
    let error = stele_fails(2, &["audit", "check-proof", &file, &certificate]);
    assert!(error.contains("--vkey"), "{error}");
}
