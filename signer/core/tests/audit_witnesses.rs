//! Witnesses in a verified log: CA certificates wait for real cosignatures over their intents, and after a halt nothing is
//! signed before operators decide.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod audit_support;

use audit_support::keys::{note_key, ssh_sign};
use audit_support::signer::{
    self, ALICE, ORIGIN, Signer, approval, approved, cluster, issued, issuing, leaf, proposal,
};
use audit_support::{DAY, NOW, assert_clean, assert_found, shown};
use stele_core::authority::Bundle;
use stele_core::authority::texts::RecoveryText;
use stele_core::checkpoint::{Note, NoteKeyType, NoteVerifier, SignatureLine};
use stele_core::record::*;
use stele_core::types::{Digest, Time};

const WITNESSES: [u8; 2] = [51, 52];

fn key(seed: u8) -> NoteVerifier {
    let name = format!("witness.example/{seed}");
    NoteVerifier::new(
        &name,
        NoteKeyType::CosignatureV1,
        note_key(seed).verifying_key().as_bytes(),
    )
    .unwrap()
}

fn line(seed: u8, text: &str) -> SignatureLine {
    let message = format!("cosignature/v1\ntime {NOW}\n{text}");
    let signature = ed25519_dalek::Signer::sign(&note_key(seed), message.as_bytes()).to_bytes();
    let bytes = [&NOW.to_be_bytes(), &signature[..]].concat();
    SignatureLine::new(key(seed).name(), key(seed).key_id(), bytes).unwrap()
}

/// The note with the cosignatures of these witnesses.
fn cosigned(note: &str, seeds: &[u8]) -> String {
    let note: Note = note.parse().unwrap();
    let add = |note: Note, seed: &u8| note.with_lines(&line(*seed, note.text()).to_string()).unwrap();
    seeds.iter().fold(note, add).to_string()
}

/// The log of the other tests, under a bundle that wants two witnesses before a CA certificate.
fn witnessed() -> Signer {
    let mut s = signer::build();
    let mut files = s.bundle.files().clone();
    let text = files.get_mut("authority.toml").unwrap();
    for seed in WITNESSES {
        *text += &format!("\n[[witness]]\nname = \"w{seed}\"\nvkey = \"{}\"\n", key(seed));
    }
    *text += "\n[witness_policy]\nquorum = 2\nca_intents = true\nmax_lag = \"1h\"\n";
    s.bundle = Bundle::build(1, Some(s.bundle.digest()), files).unwrap();
    s.log.push(signer::adopted(&s.bundle, &[ALICE]));
    s
}

/// The intent of an approved intermediate.
fn ca_intent(s: &mut Signer) -> (u64, Intent) {
    let wanted = proposal(&s.bundle, 22);
    let text = ssh_sign(ALICE, &approval(&wanted));
    let proposed = s.log.push(Body::Proposal(Box::new(wanted.clone())));
    s.log.push(Body::Decision(Decision {
        proposal: proposed,
        operator: "alice".parse().unwrap(),
        approve: true,
        text: text.clone(),
        comment: None,
    }));
    let intent = approved(&wanted, proposed, vec![text]);
    (s.log.push(Body::Intent(Box::new(intent.clone()))), intent)
}

/// A CA certificate before whose signature `record` stands.
fn issue_after(record: impl FnOnce(&Signer, u64) -> Option<String>) -> (Signer, u64, u64) {
    let mut s = witnessed();
    let (at, intent) = ca_intent(&mut s);
    let note = record(&s, at);
    let recorded = note.map(|checkpoint| s.log.push(Body::Cosigned(Cosigned { intent: at, checkpoint })));
    let outcome = s.log.push(Body::Issued(Box::new(issued(at, &intent, &cluster()))));
    (s, recorded.unwrap_or(outcome), outcome)
}

#[test]
fn a_ca_certificate_that_was_witnessed_is_clean() {
    let (s, ..) = issue_after(|s, _| Some(cosigned(&s.log.checkpoint(&s.log.raw()), &WITNESSES)));
    let raw = s.log.raw();
    assert_clean(&s.log.verify_raw(&raw, &cosigned(&s.log.checkpoint(&raw), &WITNESSES)));
}

#[test]
fn one_that_was_not_is_found() {
    let (s, _, outcome) = issue_after(|_, _| None);
    assert_found(&s.log.verify(), outcome, "witnesses");
    let forged = |note: fn(&Signer, u64) -> String, words: &str| {
        let (s, at, outcome) = issue_after(|s, at| Some(note(s, at)));
        let report = s.log.verify();
        assert_found(&report, at, words);
        assert_found(&report, outcome, "witnesses");
    };
    forged(
        |s, _| cosigned(&s.log.checkpoint(&s.log.raw()), &WITNESSES[..1]),
        "1 witnesses cosigned, 2 are needed",
    );
    forged(
        |s, _| cosigned(&s.log.checkpoint(&s.log.raw()), &[51, 51]),
        "1 witnesses cosigned",
    );
    forged(
        |s, _| cosigned(&s.log.checkpoint(&s.log.raw()), &[51, 53]),
        "1 witnesses cosigned",
    );
    forged(
        |s, at| cosigned(&s.log.checkpoint(&s.log.raw()[..at as usize]), &WITNESSES),
        "size",
    );
    forged(|_, _| "no note".to_owned(), "note");
    // The right size, but another tree: log and witnesses signed two histories.
    let other = |s: &Signer, _: u64| {
        let mut raw = s.log.raw();
        raw[3] = b"another record".to_vec();
        cosigned(&s.log.checkpoint(&raw), &WITNESSES)
    };
    forged(other, "root");
}

#[test]
fn what_failed_needed_no_witness() {
    let mut s = witnessed();
    let (at, _) = ca_intent(&mut s);
    s.log.push(Body::Failed(Failed {
        intent: at,
        reason: "witnesses: none".to_owned(),
    }));
    s.log.sign(leaf(&s.bundle, 14), &issuing());
    assert!(s.log.verify().is_clean(), "{:#?}", shown(&s.log.verify()));
}

#[test]
fn a_checkpoint_without_its_quorum_is_noted() {
    let s = witnessed();
    let raw = s.log.raw();
    let note = s.log.checkpoint(&raw);
    let report = s.log.verify_raw(&raw, &cosigned(&note, &WITNESSES[..1]));
    assert!(report.is_clean() && shown(&report).iter().any(|f| f.contains("1 witnesses cosigned")));
    assert!(report.not_checked.iter().any(|w| w.contains("witnessed in time")));
    let report = s.log.verify_raw(&raw, &cosigned(&note, &WITNESSES));
    assert!(!shown(&report).iter().any(|f| f.contains("witnesses cosigned")));
    // A line of a key that the log does not name.
    let stranger = cosigned(&note, &[51, 52, 53]);
    assert!(!s.log.verify_raw(&raw, &stranger).is_clean());
    // And a known witness's wrong one.
    let forged = cosigned(&note, &[51]).replace(&line(51, "").name().to_owned(), key(52).name());
    assert!(!s.log.verify_raw(&raw, &forged).is_clean());
}

#[test]
fn after_a_halt_only_operators_open_the_door() {
    let mut s = witnessed();
    let halt = s.log.push(Body::Halted(Halted {
        reason: HaltReason::LargerLog,
        found: "witnesses cosigned more entries".to_owned(),
        checkpoint: None,
    }));
    assert!(
        shown(&s.log.verify())
            .iter()
            .any(|f| f.contains(&format!("note at {halt}: halt")))
    );
    let mut confirmed = s.log.clone();
    let at = s.log.sign(leaf(&s.bundle, 14), &issuing());
    assert_found(&s.log.verify(), at, "after the halt");

    let text = RecoveryText {
        origin: ORIGIN.parse().unwrap(),
        action: "history".to_owned(),
        detail_sha256: Digest::of(b"the witnesses were wrong"),
        expires: Time::from_secs(NOW + DAY),
    };
    let recovery = Body::Recovery(Recovery {
        action: "history".to_owned(),
        texts: vec![ssh_sign(ALICE, &text)],
    });
    confirmed.push(recovery);
    confirmed.sign(leaf(&s.bundle, 14), &issuing());
    assert!(confirmed.verify().is_clean(), "{:#?}", shown(&confirmed.verify()));
}
