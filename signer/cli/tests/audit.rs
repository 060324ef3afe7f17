//! Whole logs and single proofs, checked by the real binary from files alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

#[path = "../../core/tests/audit_support/mod.rs"]
mod audit_support;
mod support;

use std::path::{Path, PathBuf};

use audit_support::{Log, ceremony, signer};
use stele_core::checkpoint::TlogProof;
use stele_core::checkpoint::tile::{TileKind, TilePath};
use stele_core::checkpoint::tiler::Tiler;
use stele_core::record::{AccessRefused, Body, Payload, Purpose};
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

/// A log of several tiles, as an export has it.
fn several_tiles(place: &Place) -> (PathBuf, String) {
    let root = place.path().join("long");
    std::fs::create_dir(&root).unwrap();
    let mut log = signer::build().log;
    for n in 0..560 {
        log.push(Body::AccessRefused(AccessRefused {
            caller: "uri:spiffe://stele/caller/cluster-signer".parse().unwrap(),
            method: "/stele.v1.StopService/Revoke".to_owned(),
            reason: format!("refusal {n}"),
        }));
    }
    let vkey = export(&log, &root);
    (root, vkey)
}

/// A sequence of numbers that looks random and is the same each time.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: usize) -> usize {
        // Knuth's linear congruential generator; its upper bits are good enough to pick places.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// What can happen to a file's bytes; none of it leaves them as they were.
fn damaged(good: &[u8], seeded: &mut Seeded) -> Vec<(&'static str, Vec<u8>)> {
    let at = seeded.below(good.len());
    let mut flipped = good.to_vec();
    flipped[at] ^= 1 << seeded.below(8);
    let dropped = [&good[..at], &good[at + 1..]].concat();
    let mut swapped = good.to_vec();
    let other = (0..good.len())
        .map(|n| (at + 1 + n) % good.len())
        .find(|n| good[*n] != good[at])
        .unwrap();
    swapped.swap(at, other);
    let inserted = [&good[..at], &good[at..=at], &good[at..]].concat();
    let appended = [good, &[u8::try_from(seeded.below(256)).unwrap()]].concat();
    vec![
        ("flipped", flipped),
        ("dropped", dropped),
        ("swapped", swapped),
        ("inserted", inserted),
        ("appended", appended),
        ("truncated", good[..at].to_vec()),
    ]
}

/// Whether a verification that found something says where: the file, or a record that lies in it.
fn names_the_place(text: &str, root: &Path, file: &Path) -> bool {
    let name = file.strip_prefix(root).unwrap().to_str().unwrap();
    if text.contains(name) {
        return true;
    }
    let tile: Option<TilePath> = name.parse().ok();
    match tile.map(|tile| (tile.kind(), tile.start()..tile.start() + 256)) {
        Some((TileKind::Entries, records)) => records.into_iter().any(|n| text.contains(&format!("error at {n}: "))),
        Some(_) => false,
        // The checkpoint: everything hangs on it.
        None => {
            text.contains("error in the log: checkpoint")
                || text.contains("error in the log: root")
                || text.contains("tree size")
        }
    }
}

/// Tampering: any byte flipped, dropped, swapped, inserted, appended or cut off, in any file.
#[test]
fn an_altered_or_missing_file_is_found_and_named() {
    let place = Place::new();
    let (root, vkey) = several_tiles(&place);
    assert_eq!(verify(&root, &vkey).0, Some(0));
    let mut seeded = Seeded(20_261_122);
    let files = all_files(&root);
    assert!(files.len() >= 8, "{files:?}");
    for path in &files {
        let good = std::fs::read(path).unwrap();
        for _ in 0..4 {
            for (how, bad) in damaged(&good, &mut seeded) {
                std::fs::write(path, &bad).unwrap();
                let output = stele(&["audit", "verify", root.to_str().unwrap(), "--vkey", &vkey]);
                let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                assert_eq!(output.status.code(), Some(1), "{how}: {}: {text}", path.display());
                assert!(names_the_place(&text, &root, path), "{how}: {}: {text}", path.display());
            }
        }
        std::fs::remove_file(path).unwrap();
        let (code, _) = verify(&root, &vkey);
        assert_eq!(code, Some(1), "{} missing", path.display());
        std::fs::write(path, good).unwrap();
    }
    // Whole files in each other's place.
    let full: Vec<_> = files
        .iter()
        .filter(|f| f.ends_with("000") || f.ends_with("001"))
        .collect();
    let (first, second) = (full[0], full[1]);
    let aside = place.path().join("aside");
    std::fs::rename(first, &aside).unwrap();
    std::fs::rename(second, first).unwrap();
    std::fs::rename(&aside, second).unwrap();
    assert_eq!(verify(&root, &vkey).0, Some(1));
    std::fs::rename(first, &aside).unwrap();
    std::fs::rename(second, first).unwrap();
    std::fs::rename(&aside, second).unwrap();
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
    assert!(text.contains("log ceremony.example/1 in "), "{text}");
    // In any order, and by either name of the argument.
    let output = stele(&[
        "audit",
        "verify",
        transcript.to_str().unwrap(),
        root.to_str().unwrap(),
        "--vkey",
        &vkey,
    ]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
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

/// Names and reasons come from strangers.
#[test]
fn foreign_text_stays_text_in_the_report() {
    let place = Place::new();
    let root = place.path().join("log");
    std::fs::create_dir(&root).unwrap();
    let hostile = "</td><script>alert(1)</script>\" onload='x' \u{202e}gpj.exe";
    let mut log = signer::build().log;
    log.push(Body::AccessRefused(AccessRefused {
        caller: "uri:spiffe://stele/caller/cluster-signer".parse().unwrap(),
        method: hostile.to_owned(),
        reason: hostile.to_owned(),
    }));
    let vkey = export(&log, &root);
    let (dir, page) = (root.to_str().unwrap(), place.at("report.html"));
    stele_ok(&["audit", "report", dir, "--vkey", &vkey, "--out", &page]);
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"), "{html}");
    assert!(!html.contains("<script") && !html.contains('\u{202e}'), "{html}");
    assert!(html.contains("Verified."), "{html}");

    // What does not verify is reported, too, and says so first.
    std::fs::write(root.join("notes.txt"), hostile).unwrap();
    let page = place.at("second.html");
    let output = stele(&["audit", "report", dir, "--vkey", &vkey, "--out", &page]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("1 findings.") && html.contains("notes.txt"), "{html}");
}

/// Of a write-once export the largest checkpoint counts, and every older one must be of the same log.
#[test]
fn the_largest_of_several_checkpoints_counts() {
    let place = Place::new();
    let root = place.path().join("once");
    std::fs::create_dir(&root).unwrap();
    let log = signer::build().log;
    let raw = log.raw();
    let vkey = export(&log, &root);
    let size = raw.len();
    std::fs::rename(root.join("checkpoint"), root.join(format!("checkpoint.{size}"))).unwrap();
    let older = root.join("checkpoint.5");
    std::fs::write(&older, log.checkpoint(&raw[..5])).unwrap();
    let (code, text) = verify(&root, &vkey);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains(&format!("{size} entries")) && text.contains("known checkpoints"),
        "{text}"
    );
    // Of another history, under the log's own key.
    let mut forged = raw[..5].to_vec();
    forged[4] = b"another entry".to_vec();
    std::fs::write(&older, log.checkpoint(&forged)).unwrap();
    let (code, text) = verify(&root, &vkey);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("known checkpoint"), "{text}");
    // Under a name that it has not.
    std::fs::rename(&older, root.join("checkpoint.6")).unwrap();
    assert_eq!(verify(&root, &vkey).0, Some(1));
}

/// The state of an earlier run: the log must go on from it.
#[test]
fn a_state_is_held_against_the_log() {
    let place = Place::new();
    let (root, vkey) = exported(&place);
    let (dir, state) = (root.to_str().unwrap(), place.at("state.json"));
    stele_ok(&["audit", "verify", dir, "--vkey", &vkey, "--state", &state]);
    stele_ok(&[
        "audit", "verify", dir, "--vkey", &vkey, "--since", &state, "--state", &state,
    ]);
    let good = std::fs::read_to_string(&state).unwrap();
    // A log that has become shorter, or another.
    for (from, to) in [("\"size\": ", "\"size\": 9"), ("\"root\": \"", "\"root\": \"AAAA")] {
        let altered = good.replacen(from, to, 1);
        std::fs::write(&state, altered).unwrap();
        let output = stele(&["audit", "verify", dir, "--vkey", &vkey, "--since", &state]);
        assert_ne!(output.status.code(), Some(0), "{to}: {output:?}");
    }
    // Another file is not replaced, and a finding leaves no state.
    let other = place.at("vkey-copy");
    std::fs::copy(&vkey, &other).unwrap();
    stele_fails(2, &["audit", "verify", dir, "--vkey", &vkey, "--state", &other]);
    std::fs::write(root.join("notes.txt"), "x").unwrap();
    let fresh = place.at("fresh.json");
    let output = stele(&["audit", "verify", dir, "--vkey", &vkey, "--state", &fresh]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!Path::new(&fresh).exists());
}
