//! Forged ceremonies: plans that nobody signed, steps that no plan has, steps signed twice.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod audit_support;

use audit_support::ceremony::{self, Ceremony};
use audit_support::keys::ssh_sign;
use audit_support::signer::{self, ALICE, MALLORY, root_key};
use audit_support::{assert_found, signer::leaf};
use stele_core::ceremony::CeremonyFile;
use stele_core::record::*;
use stele_core::types::{B64, Digest};

#[track_caller]
fn forged(words: &str, change: impl FnOnce(&mut Ceremony) -> u64) {
    let mut ceremony = ceremony::build();
    let at = change(&mut ceremony);
    assert_found(&ceremony.log.verify(), at, words);
}

fn plan(c: &mut Ceremony) -> &mut Plan {
    match &mut c.log.records[c.plan as usize].body {
        Body::Plan(plan) => plan,
        other => panic!("{}", other.kind()),
    }
}

#[test]
fn a_step_is_signed_once() {
    forged("a second time", |c| {
        let again = c.log.records[c.steps[2] as usize].body.clone();
        c.log.push(again)
    });
}

#[test]
fn a_step_is_signed_as_planned() {
    for change in [
        (|i| i.authority = Authority::Plan { plan: 4, step: 2 }) as fn(&mut Intent),
        |i| i.authority = Authority::Plan { plan: 4, step: 9 },
        |i| i.authority = Authority::Plan { plan: 1, step: 1 },
        |i| i.request.id = "other".parse().unwrap(),
        |i| i.tbs_sha256 = Digest::of(b"other"),
        |i| i.serial = None,
    ] {
        forged("plan", |c| {
            assert_eq!(c.plan, 4);
            c.log.intent(c.steps[0], change);
            c.steps[0]
        });
    }
}

#[test]
fn a_plan_takes_the_quorum_and_names_every_step() {
    forged("quorum", |c| {
        let bundle = signer::bundle(0, None).digest();
        plan(c).texts = vec![ssh_sign(MALLORY, &ceremony::plan_text(&ceremony::plan(bundle)))];
        c.plan
    });
    forged("quorum", |c| {
        plan(c).texts.clear();
        c.plan
    });
    forged("other steps", |c| {
        let mut text = ceremony::plan_text(&ceremony::plan(signer::bundle(0, None).digest()));
        text.steps.swap(0, 1);
        plan(c).texts = vec![ssh_sign(ALICE, &text)];
        c.plan
    });
    forged("plan-sha256", |c| {
        let mut text = ceremony::plan_text(&ceremony::plan(signer::bundle(0, None).digest()));
        text.plan_sha256 = Digest::of(b"other");
        plan(c).texts = vec![ssh_sign(ALICE, &text)];
        c.plan
    });
}

#[test]
fn a_plan_is_for_this_log_and_this_bundle() {
    let with = |c: &mut Ceremony, change: fn(&mut stele_core::ceremony::Plan)| {
        let mut changed = ceremony::plan(signer::bundle(0, None).digest());
        change(&mut changed);
        let bytes = changed.encode().unwrap();
        let texts = vec![ssh_sign(ALICE, &ceremony::plan_text(&changed))];
        *plan(c) = Plan {
            sha256: Digest::of(&bytes),
            plan: Payload::Inline(B64(bytes)),
            texts,
        };
        c.plan
    };
    forged("origin", |c| with(c, |p| p.origin = "other.example/1".parse().unwrap()));
    forged("bundle", |c| with(c, |p| p.bundle_sha256 = Digest::of(b"other")));
    forged("plan", |c| with(c, |p| p.steps[0].step = 5));
}

#[test]
fn kinds_belong_to_their_logs() {
    forged("kind", |c| {
        c.log.push(Body::CeremonyImported(CeremonyImported {
            origin: signer::CEREMONY.parse().unwrap(),
            vkey: c.log.vkey().to_string(),
            checkpoint: c.log.checkpoint(&c.log.raw()),
            handover_sha256: Digest::of(b"x"),
        }))
    });
}

#[test]
fn the_other_logs_checkpoint_verifies() {
    let mut signer = signer::build();
    let at = signer.bundle_at - 1;
    let Body::CeremonyImported(import) = &mut signer.log.records[at as usize].body else {
        panic!()
    };
    import.checkpoint = import.checkpoint.replace("\n1\n", "\n2\n");
    assert_found(&signer.log.verify(), at, "the other log's checkpoint");
}

#[test]
fn the_root_signs_nothing_outside_its_plan() {
    forged("authority", |c| {
        let intent = Intent {
            authority: Authority::Policy,
            ..ceremony::planned(&ceremony::plan(signer::bundle(0, None).digest()), c.plan, 1)
        };
        c.log.sign(intent, &root_key())
    });
    forged("key", |c| {
        let intent = leaf(&signer::bundle(0, None), 40);
        c.log.sign(intent, &signer::issuing())
    });
}

#[test]
fn a_ceremony_adopts_a_later_bundle_only_where_the_signers_log_did() {
    forged("no request of the signer proves", |c| {
        let next = signer::bundle(1, Some(signer::bundle(0, None).digest()));
        c.log.push(signer::adopted(&next, &[ALICE]))
    });
}
