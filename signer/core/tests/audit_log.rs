//! Whole logs that keep every promise, and what the report says of them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod audit_support;

use audit_support::{Log, assert_clean, assert_found, ceremony, errors, signer, verify_with};
use stele_core::audit::{Options, Severity, Verifier, examine};
use stele_core::checkpoint::Checkpoint;
use stele_core::record::{Body, LogPurpose};
use stele_core::types::Digest;

#[test]
fn a_signers_log_verifies() {
    let signer = signer::build();
    let report = signer.log.verify();
    assert_clean(&report);
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert_eq!(report.size, signer.log.records.len() as u64);
    assert_eq!(report.first_bundle, Some(signer.bundle.digest()));
    let imported: Vec<_> = report.imported.iter().map(|i| i.key.as_str()).collect();
    assert_eq!(imported, ["root", "kubernetes-ca", "cluster-ca"]);
    assert_eq!(report.other_logs[0].origin.as_str(), signer::CEREMONY);
    let count = |name| report.checks.iter().find(|(n, _)| *n == name).map(|(_, c)| *c);
    assert_eq!(count("issuer's signature"), Some(7));
    assert_eq!(count("unique serial"), Some(4));
    assert_eq!(count("ceiling"), Some(4));
    assert!(report.not_checked[0].contains("outside the ledger"));
}

#[test]
fn a_ceremonys_log_verifies() {
    let report = ceremony::build().log.verify();
    assert_clean(&report);
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert!(report.imported.is_empty());
}

#[test]
fn work_on_other_threads_gives_the_same_report() {
    let log = signer::build().log;
    let raw = log.raw();
    let examined: Vec<_> = std::thread::scope(|scope| {
        let work: Vec<_> = (0u64..)
            .zip(&raw)
            .map(|(i, r)| scope.spawn(move || examine(i, r, None)))
            .collect();
        work.into_iter().map(|w| w.join().unwrap()).collect()
    });
    let mut verifier = Verifier::new(log.vkey(), Options::default());
    let checks: Vec<_> = examined.into_iter().filter_map(|e| verifier.admit(e)).collect();
    let found: Vec<_> = std::thread::scope(|scope| {
        let work: Vec<_> = checks.iter().map(|c| scope.spawn(|| c.run())).collect();
        work.into_iter().filter_map(|w| w.join().unwrap()).collect()
    });
    verifier.found(found);
    let report = verifier.finish(&log.checkpoint(&raw));
    assert_eq!(report.findings, log.verify().findings);
    assert_eq!(report.checks, log.verify().checks);
}

#[test]
fn an_open_intent_and_left_over_chunks_are_notes() {
    let mut signer = signer::build();
    let at = signer
        .log
        .push(Body::Intent(Box::new(signer::leaf(&signer.bundle, 14))));
    let chunk = stele_core::record::Payload::split(&vec![1; 40_000]).remove(0);
    let chunk = signer.log.push(Body::Chunk(chunk));
    let report = signer.log.verify();
    assert_clean(&report);
    assert_eq!(report.open_intents, [at]);
    let places: Vec<_> = report.findings.iter().map(|f| (f.index, f.severity)).collect();
    assert_eq!(places, [(Some(at), Severity::Note), (Some(chunk), Severity::Note)]);
}

#[test]
fn the_first_bundle_is_held_against_the_minutes() {
    let signer = signer::build();
    let raw = signer.log.raw();
    let note = signer.log.checkpoint(&raw);
    let with = |digest| Options {
        bundle_digest: Some(digest),
        ..Options::default()
    };
    assert_clean(&verify_with(
        signer.log.vkey(),
        with(signer.bundle.digest()),
        &raw,
        &note,
    ));
    let report = verify_with(signer.log.vkey(), with(Digest::of(b"another")), &raw, &note);
    assert_found(&report, signer.bundle_at, "first bundle");
}

#[test]
fn a_checkpoint_seen_before_must_be_of_this_history() {
    let signer = signer::build();
    let raw = signer.log.raw();
    let note = signer.log.checkpoint(&raw);
    let seen = Checkpoint::from_note_unverified(&signer.log.checkpoint(&raw[..9])).unwrap();
    let with = |anchor| Options {
        anchors: vec![anchor],
        ..Options::default()
    };
    assert_clean(&verify_with(signer.log.vkey(), with(seen.clone()), &raw, &note));
    let other = Checkpoint {
        root: Digest::of(b"another history"),
        ..seen.clone()
    };
    assert_found(
        &verify_with(signer.log.vkey(), with(other), &raw, &note),
        8,
        "known checkpoint",
    );
    let larger = Checkpoint { size: 1000, ..seen };
    let report = verify_with(signer.log.vkey(), with(larger), &raw, &note);
    assert!(errors(&report).iter().any(|f| f.what == "known checkpoint"));
}

#[test]
fn a_line_by_a_key_that_the_log_does_not_name_is_found() {
    let log = signer::build().log;
    let raw = log.raw();
    let stranger = Log::new("witness.example", 9, LogPurpose::Signer);
    let line = stranger.checkpoint(&raw);
    let line = line.lines().last().unwrap();
    let note = format!("{}{line}\n", log.checkpoint(&raw));
    let report = log.verify_raw(&raw, &note);
    assert!(
        errors(&report).iter().any(|f| f.found.contains("witness.example")),
        "{:?}",
        report.findings
    );
}

#[test]
fn another_logs_key_opens_nothing() {
    let log = signer::build().log;
    let raw = log.raw();
    let other = Log::new(&log.origin, 99, LogPurpose::Signer);
    let report = verify_with(other.vkey(), Options::default(), &raw, &log.checkpoint(&raw));
    assert_found(&report, 0, "verifier key");
    assert!(errors(&report).iter().any(|f| f.what == "checkpoint"));
}

/// Two thousand more leaves in one log.
#[test]
fn a_long_log_verifies() {
    let mut signer = signer::build();
    let spec = audit_support::keys::certificate(
        31,
        "node",
        &audit_support::keys::Key::p256(31),
        ("Issuing", &signer::issuing()),
        None,
    );
    for n in 0u32..2000 {
        let mut entropy = [9; 20];
        entropy[16..].copy_from_slice(&n.to_be_bytes());
        let spec = stele_core::tbs::CertificateSpec {
            serial: stele_core::types::Serial::from_entropy(entropy),
            ..spec.clone()
        };
        let intent = signer::leaf_of(&signer.bundle, &spec);
        signer.log.sign(intent, &signer::issuing());
    }
    assert_clean(&signer.log.verify());
}
