//! A ceremony's log: the root key, the signer's request, the bundle, a plan that an operator signed, and its steps.

use stele_core::authority::texts::{PlanStep, PlanText};
use stele_core::ceremony::{self, CeremonyFile, Step};
use stele_core::crl::CrlSpec;
use stele_core::record::*;
use stele_core::types::{B64, Digest, Time};

use super::keys::{certificate, ssh_sign, subject};
use super::signer::{ALICE, CEREMONY, adopted, bundle, intent, issuing, root, root_key};
use super::{DAY, Log, NOW};

/// The log and where in it things stand.
pub struct Ceremony {
    pub log: Log,
    pub plan: u64,
    /// Intents of the root, the intermediate and the CRL.
    pub steps: [u64; 3],
}

fn step(number: u32, purpose: Purpose, subject_key: &str, tbs: Vec<u8>) -> Step {
    let view = stele_core::tbs::parse_tbs(&tbs).ok();
    Step {
        step: number,
        key: "root".parse().unwrap(),
        spki_sha256: root_key().public().digest(),
        purpose,
        subject_key: subject_key.parse().unwrap(),
        algorithm: root_key().algorithm(),
        serial: view
            .as_ref()
            .map(|v| stele_core::types::Serial::from_unsigned(&v.serial).unwrap()),
        not_after: view.as_ref().map(|v| v.not_after),
        tbs_sha256: Digest::of(&tbs),
        tbs: B64(tbs),
    }
}

pub fn plan(bundle: Digest) -> ceremony::Plan {
    let mut below = certificate(2, "Issuing", &issuing(), ("Root", &root_key()), Some(Some(0)));
    below.not_after = Time::from_secs(NOW + 1000 * DAY);
    let crl = CrlSpec {
        signature: root_key().algorithm(),
        issuer_der: subject("Root").to_der().unwrap(),
        issuer_key_identifier: root_key().public().subject_key_identifier().to_vec(),
        number: 1,
        this_update: Time::from_secs(NOW),
        next_update: Time::from_secs(NOW + DAY),
        revoked: Default::default(),
    };
    ceremony::Plan {
        v: 1,
        origin: CEREMONY.parse().unwrap(),
        script_sha256: Digest::of(b"script"),
        bundle_sha256: bundle,
        drawn_at: Time::from_secs(NOW),
        steps: vec![
            step(1, Purpose::Root, "root", root().to_tbs_der().unwrap()),
            step(2, Purpose::Intermediate, "kubernetes-ca", below.to_tbs_der().unwrap()),
            step(3, Purpose::Crl, "root", crl.to_tbs_der().unwrap()),
        ],
    }
}

pub fn plan_text(plan: &ceremony::Plan) -> PlanText {
    PlanText {
        origin: plan.origin.clone(),
        plan_sha256: Digest::of(&plan.encode().unwrap()),
        bundle_sha256: plan.bundle_sha256,
        expires: Time::from_secs(NOW + DAY),
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

/// The intent of one step of the plan recorded at `at`.
pub fn planned(plan: &ceremony::Plan, at: u64, number: u32) -> Intent {
    let step = plan.step(number).unwrap();
    Intent {
        request: ceremony::Plan::request(Digest::of(&plan.encode().unwrap()), number).unwrap(),
        bundle: Some(plan.bundle_sha256),
        serial: step.serial.clone(),
        not_after: step.not_after,
        authority: Authority::Plan { plan: at, step: number },
        ..intent(step.purpose, "x", "root", &root_key(), step.tbs.0.clone())
    }
}

/// Builds the log; it verifies clean.
pub fn build() -> Ceremony {
    let mut log = Log::new(CEREMONY, 8, LogPurpose::Ceremony);
    log.key("root", &root_key());
    log.push(Body::CeremonyNote(CeremonyNote {
        subject: "clock".to_owned(),
        text: "checked against two watches".to_owned(),
    }));
    let bundle = bundle(0, None);
    log.push(adopted(&bundle, &[ALICE]));
    let plan = plan(bundle.digest());
    let bytes = plan.encode().unwrap();
    let at = log.push(Body::Plan(Plan {
        sha256: Digest::of(&bytes),
        plan: Payload::Inline(B64(bytes)),
        texts: vec![ssh_sign(ALICE, &plan_text(&plan))],
    }));
    let steps = [1, 2, 3].map(|number| log.sign(planned(&plan, at, number), &root_key()));
    log.push(Body::CeremonyClosed(CeremonyClosed {
        manifest: Digest::of(b"manifest"),
    }));
    Ceremony { log, plan: at, steps }
}
