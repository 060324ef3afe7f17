//! One certificate with its proof file and a verifier key, checked offline.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod audit_support;

use audit_support::{Log, signer};
use stele_core::audit::check_proof;
use stele_core::checkpoint::TlogProof;
use stele_core::record::{Body, LogPurpose, Payload};

/// The proof of an outcome, and the certificate in it.
fn proof(log: &Log, index: u64) -> (TlogProof, Vec<u8>) {
    let raw = log.raw();
    let Body::Issued(issued) = &log.records[index as usize].body else {
        panic!()
    };
    let Payload::Inline(whole) = &issued.signed else {
        panic!()
    };
    let proof = TlogProof {
        extra: Some(raw[index as usize].clone()),
        index,
        hashes: log.inclusion(index),
        checkpoint: log.checkpoint(&raw),
    };
    (proof, whole.0.clone())
}

#[test]
fn a_proof_verifies_offline() {
    let signer = signer::build();
    for at in signer.leaves.iter().step_by(2) {
        let (proof, certificate) = proof(&signer.log, at + 1);
        let report = check_proof(&proof.to_string(), &certificate, &[signer.log.vkey()]).unwrap();
        assert_eq!((report.index, report.intent), (at + 1, *at));
        assert_eq!(report.key.as_str(), "kubernetes-ca");
        assert_eq!(report.checkpoint.size, signer.log.records.len() as u64);
        assert_eq!(report.signers[0].0, signer::ORIGIN);
    }
}

/// Why a proof of the first leaf's outcome does not verify after a change.
fn refused(change: impl FnOnce(&mut TlogProof, &mut Vec<u8>, &Log)) -> String {
    let signer = signer::build();
    let (mut proof, mut certificate) = proof(&signer.log, signer.leaves[0] + 1);
    change(&mut proof, &mut certificate, &signer.log);
    check_proof(&proof.to_string(), &certificate, &[signer.log.vkey()])
        .unwrap_err()
        .to_string()
}

#[test]
fn another_certificate_is_refused() {
    assert!(refused(|_, certificate, _| certificate[40] ^= 1).contains("another one"));
    assert!(refused(|_, certificate, _| certificate.clear()).contains("another one"));
}

#[test]
fn a_proof_without_the_outcome_is_refused() {
    assert!(refused(|proof, _, _| proof.extra = None).contains("extra"));
    assert!(refused(|proof, _, _| proof.extra = Some(b"{}".to_vec())).contains("record"));
    let intent = refused(|p, _, log| (p.extra, p.index) = (Some(log.raw()[p.index as usize - 1].clone()), p.index - 1));
    assert!(intent.contains("kind `intent`"), "{intent}");
}

#[test]
fn another_place_or_tree_is_refused() {
    assert!(refused(|proof, _, _| proof.index += 1).contains("index"));
    assert!(refused(|proof, _, _| proof.hashes.swap(0, 1)).contains("inclusion"));
    assert!(refused(|proof, _, _| proof.hashes.truncate(1)).contains("inclusion"));
    let stranger = refused(|proof, _, log| {
        proof.checkpoint = Log::new(&log.origin, 99, LogPurpose::Signer).checkpoint(&log.raw());
    });
    assert!(stranger.contains("no signature by a known key"), "{stranger}");
}

#[test]
fn a_record_altered_with_its_certificate_is_refused() {
    let why = refused(|proof, certificate, log| {
        let mut forged = log.clone();
        let other = signer::issued(
            proof.index - 1,
            &signer::leaf(&signer::bundle(0, None), 31),
            &signer::issuing(),
        );
        let Payload::Inline(whole) = &other.signed else {
            panic!()
        };
        *certificate = whole.0.clone();
        forged.records[proof.index as usize].body = Body::Issued(Box::new(other));
        proof.extra = Some(forged.raw()[proof.index as usize].clone());
    });
    assert!(why.contains("inclusion"), "{why}");
}
