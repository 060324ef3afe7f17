//! A hostile ceremony program against the real keeper: a plan's steps are signed once, only in the log that the plan
//! names, and only as the plan has them.

use std::time::Duration;

use stele_core::authority::texts::{PlanStep, PlanText};
use stele_core::ceremony::{self, CeremonyFile as _, Step};
use stele_core::keeping::{Keeper as _, KeeperFault};
use stele_core::keycheck::PublicKey;
use stele_core::record::*;
use stele_core::tbs::{RootSpec, assemble};
use stele_core::types::*;
use stele_hsm_tests::authority;
use stele_hsm_tests::hierarchy::{Root, common_name, now, serial};
use stele_hsm_tests::keeper::{KeeperFiles, Running};
use stele_hsm_tests::operator::Operator;
use stele_hsm_tests::scratch::Scratch;

const ORIGIN: &str = "stele.example/ceremony";

struct World {
    _scratch: Scratch,
    keeper: Running,
    alice: Operator,
    bob: Operator,
    root: PublicKey,
    bundle: Digest,
}

/// A keeper of a ceremony's log with a root key, and a bundle that two operators signed.
fn world() -> World {
    let scratch = Scratch::new();
    let files = KeeperFiles::init(
        &scratch,
        "ceremony",
        ORIGIN,
        &[
            ("cluster-ca", "ec-p384"),
            ("access-ca", "ec-p256"),
            ("issuing-ca", "ec-p256"),
        ],
    );
    let (alice, bob) = (Operator::new(&scratch, "alice"), Operator::new(&scratch, "bob"));
    let mut texts = authority::files(&[&alice, &bob], &files, &Root::new());
    let rules = texts.get_mut("authority.toml").unwrap();
    *rules = rules.replace(
        "kinds = [\"intermediate\", \"crl\"]",
        "kinds = [\"root\", \"intermediate\", \"crl\"]",
    );
    let bundle = authority::bundle(0, None, texts);
    files.pin_first_bundle(bundle.digest());
    let keeper = files.start(&scratch);
    let elsewhere: Origin = "stele.example/elsewhere".parse().unwrap();
    refused(
        keeper.client.append(&Body::BundleAdopted(authority::adopted(
            &bundle,
            &elsewhere,
            &[&alice, &bob],
        ))),
        "origin",
    );
    let origin: Origin = ORIGIN.parse().unwrap();
    keeper
        .client
        .append(&Body::BundleAdopted(authority::adopted(
            &bundle,
            &origin,
            &[&alice, &bob],
        )))
        .unwrap();
    let csr = &files
        .request
        .keys
        .iter()
        .find(|k| k.key.as_str() == "cluster-ca")
        .unwrap()
        .csr;
    let root = stele_core::csr::Csr::prove(&csr.0, &Default::default())
        .unwrap()
        .public_key()
        .clone();
    World {
        _scratch: scratch,
        keeper,
        alice,
        bob,
        root,
        bundle: bundle.digest(),
    }
}

impl World {
    /// A plan of one step: `cluster-ca` signs itself.
    fn plan(&self, origin: &str) -> ceremony::Plan {
        self.plan_for_days(origin, 1)
    }

    fn plan_for_days(&self, origin: &str, days: u64) -> ceremony::Plan {
        let spec = RootSpec {
            serial: serial(),
            signature: SignatureAlgorithm::EcdsaSha384,
            subject: common_name("A root"),
            spki_der: self.root.spki_der().to_vec(),
            subject_key_identifier: self.root.subject_key_identifier(),
            not_before: now().minus_secs(60),
            not_after: now().plus_secs(days * 86_400),
            path_length: Some(0),
        };
        let (number, not_after) = (spec.serial.clone(), Time::from_secs(spec.not_after.secs()));
        let tbs = spec.into_certificate().unwrap().to_tbs_der().unwrap();
        let step = Step {
            step: 1,
            key: "cluster-ca".parse().unwrap(),
            spki_sha256: self.root.digest(),
            purpose: Purpose::Root,
            subject_key: "cluster-ca".parse().unwrap(),
            algorithm: SignatureAlgorithm::EcdsaSha384,
            serial: Some(number),
            not_after: Some(not_after),
            tbs_sha256: Digest::of(&tbs),
            tbs: tbs.into(),
        };
        ceremony::Plan {
            v: ceremony::VERSION,
            origin: origin.parse().unwrap(),
            script_sha256: Digest::of(b"script"),
            bundle_sha256: self.bundle,
            drawn_at: now(),
            steps: vec![step],
        }
    }

    fn text(&self, plan: &ceremony::Plan) -> PlanText {
        PlanText {
            origin: plan.origin.clone(),
            plan_sha256: Digest::of(&plan.encode().unwrap()),
            bundle_sha256: plan.bundle_sha256,
            expires: now().plus_secs(600),
            steps: plan
                .steps
                .iter()
                .map(|s| PlanStep {
                    key: s.key.clone(),
                    tbs_sha256: s.tbs_sha256,
                })
                .collect(),
        }
    }

    fn offer(&self, plan: &ceremony::Plan, texts: Vec<SignedText>) -> Result<u64, KeeperFault> {
        let bytes = plan.encode().unwrap();
        let body = Plan {
            sha256: Digest::of(&bytes),
            plan: Payload::of(&bytes, Vec::new()),
            texts,
        };
        self.keeper.client.append(&Body::Plan(body)).map(|a| a.index)
    }

    fn intent(&self, plan: &ceremony::Plan, at: u64, number: u32) -> Intent {
        let step = &plan.steps[0];
        Intent {
            purpose: step.purpose,
            request: ceremony::Plan::request(Digest::of(&plan.encode().unwrap()), number).unwrap(),
            profile: None,
            bundle: Some(self.bundle),
            key: step.key.clone(),
            spki_sha256: step.spki_sha256,
            algorithm: step.algorithm,
            tbs: Payload::Inline(step.tbs.clone()),
            tbs_sha256: step.tbs_sha256,
            serial: step.serial.clone(),
            not_after: step.not_after,
            asked: None,
            proposal: None,
            previous: None,
            authority: Authority::Plan { plan: at, step: number },
        }
    }

    fn append(&self, intent: Intent) -> Result<u64, KeeperFault> {
        self.keeper
            .client
            .append(&Body::Intent(Box::new(intent)))
            .map(|a| a.index)
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, KeeperFault>, because: &str) {
    match result {
        Err(KeeperFault::Refused(why) | KeeperFault::QuorumNotMet(why)) => {
            assert!(why.contains(because), "refused, but not because of `{because}`: {why}");
        }
        other => panic!("not refused (`{because}`): {other:?}"),
    }
}

#[test]
fn a_plan_needs_the_quorum_over_its_very_steps() {
    let w = world();
    let plan = w.plan(ORIGIN);
    let text = w.text(&plan);
    let both = |text: &PlanText| vec![w.alice.sign(text), w.bob.sign(text)];
    refused(w.offer(&plan, vec![]), "no signed text");
    refused(w.offer(&plan, vec![w.alice.sign(&text)]), "1 of 2");
    let mut other = text.clone();
    other.steps[0].tbs_sha256 = Digest::of(b"another");
    refused(w.offer(&plan, both(&other)), "other steps");
    let expired = PlanText {
        expires: now().minus_secs(1),
        ..text.clone()
    };
    refused(w.offer(&plan, both(&expired)), "expires");
    let elsewhere = w.plan("stele.example/another-log");
    refused(w.offer(&elsewhere, both(&w.text(&elsewhere))), "origin");
    let mut altered = plan.clone();
    altered.steps[0].tbs_sha256 = Digest::of(b"another");
    refused(w.offer(&altered, both(&w.text(&altered))), "tbs_sha256");
    w.offer(&plan, both(&text)).unwrap();
}

#[test]
fn a_step_is_signed_once_and_as_planned() {
    let w = world();
    let plan = w.plan(ORIGIN);
    let text = w.text(&plan);
    let at = w.offer(&plan, vec![w.alice.sign(&text), w.bob.sign(&text)]).unwrap();
    refused(w.append(w.intent(&plan, at, 2)), "no step 2");
    refused(w.append(w.intent(&plan, 0, 1)), "no plan");
    let unplanned = w.plan(ORIGIN);
    refused(w.append(w.intent(&unplanned, at, 1)), "not step 1");
    let mut by_policy = w.intent(&plan, at, 1);
    by_policy.authority = Authority::Policy;
    refused(w.append(by_policy), "");

    // The key was not called, so the step is free again, with its serial.
    let first = w.append(w.intent(&plan, at, 1)).unwrap();
    refused(w.append(w.intent(&plan, at, 1)), "used already");
    let failed = Failed {
        intent: first,
        reason: "the token was not there".into(),
    };
    w.keeper.client.commit(&Body::Failed(failed)).unwrap();

    let mut intent = w.intent(&plan, at, 1);
    intent.request.attempt = 2;
    intent.previous = Some(first);
    let index = w.append(intent.clone()).unwrap();
    let signature = w.keeper.client.sign(index, Duration::from_secs(10)).unwrap();
    let whole = assemble(&plan.steps[0].tbs.0, intent.algorithm, &signature).unwrap();
    let issued = Issued {
        intent: index,
        request: intent.request.clone(),
        purpose: intent.purpose,
        key: intent.key.clone(),
        serial: intent.serial.clone(),
        sha256: Digest::of(&whole),
        signed: Payload::Inline(B64(whole)),
    };
    w.keeper.client.commit(&Body::Issued(Box::new(issued))).unwrap();
    refused(w.append(intent), "used already");
}

#[test]
fn a_planned_step_keeps_within_the_ceiling() {
    let w = world();
    let plan = w.plan_for_days(ORIGIN, 100);
    let text = w.text(&plan);
    let at = w.offer(&plan, vec![w.alice.sign(&text), w.bob.sign(&text)]).unwrap();
    refused(w.append(w.intent(&plan, at, 1)), "validity");
}
