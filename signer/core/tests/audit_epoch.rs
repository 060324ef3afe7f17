//! From one log to the next: what is handed on is all that there was, and nobody but the quorum hands it on.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a surprise ends the test"
)]

mod audit_support;

use std::collections::BTreeSet;

use audit_support::keys::{note_key, ssh_sign};
use audit_support::signer::{self, ALICE, MALLORY, ORIGIN};
use audit_support::{DAY, Log, NOW, assert_clean, errors, shown};
use stele_core::audit::{Estate, Handing, Options, Report, Verifier};
use stele_core::authority::texts::CloseText;
use stele_core::ceremony::CeremonyFile as _;
use stele_core::checkpoint::NoteVerifier;
use stele_core::epoch::{CarryOver, Prepared, VERSION};
use stele_core::record::*;
use stele_core::types::{B64, Digest, KeyAlgorithm, Time};

const NEXT: &str = "signer.example/2";
const NEXT_SEED: u8 = 9;
/// An Ed25519 SubjectPublicKeyInfo up to the key (RFC 8410 section 4).
const ED25519_SPKI: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

fn prepared() -> Prepared {
    let key = note_key(NEXT_SEED);
    let spki = [ED25519_SPKI, key.verifying_key().as_bytes()].concat();
    Prepared {
        v: VERSION,
        origin: NEXT.parse().unwrap(),
        vkey: NoteVerifier::for_key(&NEXT.parse().unwrap(), &spki)
            .unwrap()
            .to_string(),
        key: "checkpoint-2".parse().unwrap(),
        algorithm: KeyAlgorithm::Ed25519,
        spki: spki.into(),
        cka_id: "02".to_owned(),
    }
}

fn verify(mut verifier: Verifier, log: &Log) -> (Report, Estate) {
    let raw = log.raw();
    for entry in &raw {
        verifier.entry(entry, None);
    }
    verifier.conclude(&log.checkpoint(&raw))
}

fn estate(log: &Log) -> Estate {
    let (report, estate) = verify(Verifier::new(log.vkey(), Options::default()), log);
    assert_clean(&report);
    estate
}

fn after_loss(log: &Log) -> CarryOver {
    let handing = Handing {
        successor: prepared(),
        missing: Some("all after the fire".to_owned()),
        left: BTreeSet::new(),
        crl_margin: 1000,
    };
    estate(log).carry_over(handing).unwrap()
}

fn planned(log: &Log) -> Result<CarryOver, stele_core::Error> {
    let handing = Handing {
        successor: prepared(),
        missing: None,
        left: BTreeSet::new(),
        crl_margin: 0,
    };
    estate(log).carry_over(handing)
}

/// The first records of the log that takes a carry-over, which these operators signed.
fn successor(carry: &CarryOver, signers: &[u8]) -> Log {
    let bytes = carry.encode().unwrap();
    let digest = Digest::of(&bytes);
    let text = carry.text(digest, Time::from_secs(NOW + DAY)).unwrap();
    let texts = signers.iter().map(|seed| ssh_sign(*seed, &text)).collect();
    let mut log = Log::new(NEXT, NEXT_SEED, LogPurpose::Signer);
    let Body::Genesis(genesis) = &mut log.records[0].body else {
        panic!("no genesis")
    };
    genesis.predecessor = Some(carry.predecessor(digest, texts));
    let at = Payload::split(&bytes)
        .into_iter()
        .map(|chunk| log.push(Body::Chunk(chunk)));
    let carry_over = Payload::of(&bytes, at.collect());
    log.push(Body::CarriedOver(CarriedOver { carry_over }));
    let checkpoint = prepared();
    log.push(Body::KeyGenerated(KeyGenerated {
        key: checkpoint.key,
        role: KeyRole::Checkpoint,
        algorithm: checkpoint.algorithm,
        spki_sha256: Digest::of(&checkpoint.spki.0),
        spki: checkpoint.spki,
        cka_id: checkpoint.cka_id,
        provenance: "generated".to_owned(),
        authority: Authority::Succession,
    }));
    for ca in &carry.cas {
        let (view, ..) = stele_core::tbs::parse_certificate(&ca.certificate.0).unwrap();
        log.push(Body::CaCertificate(CaCertificate {
            key: ca.key.clone(),
            spki_sha256: Digest::of(&view.spki_der),
            certificate: ca.certificate.clone(),
            chain: ca.chain.clone(),
            crl: None,
        }));
    }
    later(&mut log);
    log
}

/// The new log's clock goes on where the old one's stood.
fn later(log: &mut Log) {
    for record in &mut log.records {
        record.time = record.time.plus_secs(1000);
    }
}

fn follow(old: &Log, new: &Log) -> Report {
    let estate = estate(old);
    let key = estate.follow(&new.raw()[0]).unwrap();
    verify(Verifier::continuing(estate, key, Options::default()), new).0
}

#[track_caller]
fn found(report: &Report, words: &str) {
    let hit = errors(report).iter().any(|f| f.to_string().contains(words));
    assert!(hit, "no error with `{words}` in {:#?}", shown(report));
}

fn closed() -> Log {
    let mut log = signer::build().log;
    let next = prepared();
    let text = CloseText {
        origin: ORIGIN.parse().unwrap(),
        successor: next.origin.clone(),
        successor_vkey: next.vkey.clone(),
        expires: Time::from_secs(NOW + DAY),
    };
    log.push(Body::EpochClosed(EpochClosed {
        successor: Successor {
            origin: next.origin,
            vkey: next.vkey,
        },
        texts: vec![ssh_sign(ALICE, &text)],
    }));
    log
}

#[test]
fn a_discontinuity_verifies_with_the_log_before_and_alone() {
    let old = signer::build().log;
    let carry = after_loss(&old);
    assert_eq!((carry.gone.len(), carry.serials.len()), (2, 4));
    assert_eq!(carry.crl_numbers.values().copied().collect::<Vec<_>>(), [1002]);
    let new = successor(&carry, &[ALICE]);
    assert_clean(&follow(&old, &new));
    let (alone, _) = verify(Verifier::new(new.vkey(), Options::default()), &new);
    assert_clean(&alone);
    assert!(alone.not_checked.iter().any(|n| n.contains("the log before left")));
    assert_eq!(alone.predecessor.unwrap().size, old.records.len() as u64);
}

#[test]
fn a_planned_change_needs_a_closed_log() {
    let open = signer::build().log;
    assert!(planned(&open).unwrap_err().to_string().contains("not closed"));
    let old = closed();
    let carry = planned(&old).unwrap();
    let new = successor(&carry, &[ALICE]);
    assert_clean(&follow(&old, &new));
    // The same words over a log that goes on.
    let mut early = carry;
    early.checkpoint = open.checkpoint(&open.raw());
    early.time = open.records.last().unwrap().time;
    found(&follow(&open, &successor(&early, &[ALICE])), "closes in favour");
    // Nothing follows a close.
    let mut on = old;
    on.push(Body::Freeze(Freeze {
        target: FreezeTarget::Issuer("cluster-ca".parse().unwrap()),
        reason: "late".to_owned(),
        by: "unix:eve".parse().unwrap(),
    }));
    found(&on.verify(), "closed epoch");
}

#[test]
fn what_is_left_out_is_found_whoever_signed_it() {
    let old = signer::build().log;
    let forged = |words: &str, change: &dyn Fn(&mut CarryOver)| {
        let mut carry = after_loss(&old);
        change(&mut carry);
        found(&follow(&old, &successor(&carry, &[ALICE])), words);
    };
    forged("carry-over: gone", &|c| {
        c.gone.pop();
    });
    forged("carry-over: serials", &|c| {
        c.serials.pop();
    });
    forged("carry-over: crl_numbers", &|c| {
        c.crl_numbers.values_mut().for_each(|n| *n = 1);
    });
    forged("carry-over: keys", &|c| {
        c.keys[0].cka_id = "03".to_owned();
    });
    forged("carry-over: cas", &|c| {
        c.cas.pop();
    });
    forged("carry-over: time", &|c| c.time = Time::from_secs(NOW));
    forged("carry-over: authority_origin", &|c| {
        c.authority_origin = "elsewhere".parse().unwrap()
    });
    // Of a planned change nothing may be made up either.
    let old = closed();
    let mut carry = planned(&old).unwrap();
    carry.frozen.push(FreezeTarget::Issuer("cluster-ca".parse().unwrap()));
    found(&follow(&old, &successor(&carry, &[ALICE])), "carry-over: frozen");
}

#[test]
fn a_successor_rests_on_the_quorum_and_nothing_else() {
    let old = signer::build().log;
    let carry = after_loss(&old);
    let estate = estate(&old);
    assert!(estate.follow(&successor(&carry, &[MALLORY]).raw()[0]).is_err());
    assert!(estate.follow(&old.raw()[0]).is_err());
    let alone = |log: &Log| verify(Verifier::new(log.vkey(), Options::default()), log).0;
    found(&alone(&successor(&carry, &[MALLORY])), "operators of role");
    found(&alone(&successor(&carry, &[])), "no valid text");
    // Another carry-over than the text names.
    let mut other = successor(&carry, &[ALICE]);
    let mut altered = carry.clone();
    altered.missing = "nothing of importance".to_owned();
    let bytes = altered.encode().unwrap();
    let at = other
        .records
        .iter()
        .position(|r| matches!(r.body, Body::CarriedOver(_)))
        .unwrap();
    let chunks = Payload::split(&bytes);
    for (record, chunk) in other.records[1..at].iter_mut().zip(&chunks) {
        record.body = Body::Chunk(chunk.clone());
    }
    let places = if chunks.is_empty() {
        Vec::new()
    } else {
        (1..at as u64).collect()
    };
    other.records[at].body = Body::CarriedOver(CarriedOver {
        carry_over: Payload::of(&bytes, places),
    });
    found(&alone(&other), "carry-over-sha256");
    // A bootstrap, and a key of one's own.
    let mut bootstrap = successor(&carry, &[ALICE]);
    bootstrap.push(Body::KeyGenerated(KeyGenerated {
        key: "evil-ca".parse().unwrap(),
        role: KeyRole::Ca,
        algorithm: KeyAlgorithm::Ed25519,
        spki: B64([ED25519_SPKI, note_key(77).verifying_key().as_bytes()].concat()),
        spki_sha256: Digest::of(&[ED25519_SPKI, note_key(77).verifying_key().as_bytes()].concat()),
        cka_id: "07".to_owned(),
        provenance: "generated".to_owned(),
        authority: Authority::Bootstrap,
    }));
    found(&alone(&bootstrap), "authority");
    // Something before the carry-over.
    let mut early = successor(&carry, &[ALICE]);
    let at = early
        .records
        .iter()
        .position(|r| matches!(r.body, Body::CarriedOver(_)))
        .unwrap();
    early.records.truncate(at);
    found(&alone(&early), "none that counts");
}

#[test]
fn a_serial_of_the_log_before_is_not_used_again() {
    let built = signer::build();
    let carry = after_loss(&built.log);
    let mut new = successor(&carry, &[ALICE]);
    let before = new.records.len();
    new.sign(signer::leaf(&built.bundle, 13), &signer::issuing());
    for record in &mut new.records[before..] {
        record.time = record.time.plus_secs(1000);
    }
    found(&follow(&built.log, &new), "a second time");
}
