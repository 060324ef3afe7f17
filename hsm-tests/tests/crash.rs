//! The real processes end at every step of the door and at random moments; then everything that was promised holds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a surprise ends the test"
)]

use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stele_api::convert::{Issued, SignAnswer};
use stele_core::record::Body;
use stele_hsm_tests::crash::{Findings, Random, examine};
use stele_hsm_tests::service::{Service, succeed};
use stele_hsm_tests::service_client::{leaf, runtime, sign, sign_persistently};

/// Steps of the door, with how many attempts a request then takes in all, and whether a fate stays unknown.
const STEPS: &[(&str, u32, bool)] = &[
    ("before-intent", 1, false),
    ("after-intent", 2, true),
    ("after-sign", 2, true),
    ("before-outcome", 2, true),
    ("after-outcome", 1, false),
];
const SIGABRT: i32 = 6;
const CALLERS: usize = 8;

fn same(a: &Issued, b: &Issued) {
    assert_eq!(a.certificate, b.certificate);
    assert_eq!(a.chain, b.chain);
    assert_eq!(a.record, b.record);
    assert_eq!(a.position, b.position);
    assert_eq!(a.attempt, b.attempt);
}

#[test]
fn the_signer_ends_at_every_step_of_the_door() {
    let mut service = Service::new();
    let runtime = runtime();
    let mut received = Vec::new();
    let mut fates = 0;
    for (step, attempts, unknown) in STEPS {
        service.start_aborting(step);
        service.arm();
        let request = leaf(&format!("crash:{step}"));
        let channel = runtime.block_on(async { service.channel("caller") });
        let died = runtime.block_on(sign(&channel, request.clone()));
        assert!(died.is_err(), "{step}: {died:?}");
        assert_eq!(service.wait_end().signal(), Some(SIGABRT), "{step}\n{}", service.log());
        service.wait_keepers(0);
        service.start();
        let first = runtime.block_on(sign_persistently(&channel, &request));
        assert_eq!(first.attempt, *attempts, "{step}");
        for _ in 0..2 {
            same(&first, &runtime.block_on(sign_persistently(&channel, &request)));
        }
        received.push(first);
        let findings: Findings = runtime.block_on(examine(&service, &received));
        fates += usize::from(*unknown);
        assert_eq!(findings.unknown.len(), fates, "{step}");
        service.stop();
    }
}

#[test]
fn the_signer_ends_while_it_signs_a_crl() {
    let mut service = Service::new();
    let runtime = runtime();
    for step in ["after-intent", "before-outcome"] {
        service.start_aborting(step);
        let channel = runtime.block_on(async { service.channel("caller") });
        let issued = runtime.block_on(sign_persistently(&channel, &leaf(&format!("revoked:{step}"))));
        let (view, ..) = stele_core::tbs::parse_certificate(&issued.certificate).unwrap();
        let serial = stele_core::types::Serial::from_unsigned(&view.serial).unwrap();
        service.arm();
        let revoke = ["revoke", "--reason", "superseded", "--serial", &serial.to_string()];
        assert!(!service.stele_as("operator").args(revoke).status().unwrap().success());
        assert_eq!(service.wait_end().signal(), Some(SIGABRT), "{step}\n{}", service.log());
        service.wait_keepers(0);
        service.start();
        let findings = runtime.block_on(examine(&service, &[issued]));
        assert!(!findings.unknown.is_empty());
        // The revocation stands, and a CRL of the restarted service lists it, numbers without a gap notwithstanding.
        let until = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            let page = service.get("/crl/issuing-ca.crl").unwrap();
            let (crl, ..) = stele_core::crl::parse_crl(&page.body).unwrap();
            if crl.revoked.contains_key(&serial) {
                break;
            }
            assert!(std::time::Instant::now() < until, "the CRL leaves out {serial}");
            std::thread::sleep(Duration::from_millis(100));
        }
        succeed(service.stele_as("operator").args(revoke));
        service.stop();
    }
}

/// Callers who ask again until they have their certificate, each with many requests, until told to end.
fn load(service: &Service, ending: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<Vec<Issued>>> {
    (0..CALLERS)
        .map(|caller| {
            let (channel, ending) = (service.channel("caller"), ending.clone());
            tokio::spawn(async move {
                let mut received = Vec::new();
                for n in 0.. {
                    let request = leaf(&format!("load:{caller}:{n}"));
                    let first = sign_persistently(&channel, &request).await;
                    same(&first, &sign_persistently(&channel, &request).await);
                    received.push(first);
                    if ending.load(Ordering::Relaxed) {
                        break;
                    }
                }
                received
            })
        })
        .collect()
}

#[test]
fn keeper_and_signer_are_killed_under_load() {
    let mut service = Service::started();
    let mut random = Random::new();
    let runtime = runtime();
    let ending = Arc::new(AtomicBool::new(false));
    let callers = runtime.block_on(async { load(&service, &ending) });
    for round in 0..4 {
        std::thread::sleep(Duration::from_millis(300 + random.below(1200)));
        if round % 2 == 0 {
            service.kill_keeper();
            service.wait_keepers(0);
            service.wait_keepers(1);
            service.wait_ready();
        } else {
            service.kill_signer();
            service.start();
        }
    }
    ending.store(true, Ordering::Relaxed);
    let received: Vec<Issued> = runtime.block_on(async {
        let mut all = Vec::new();
        for caller in callers {
            all.extend(caller.await.unwrap());
        }
        all
    });
    assert!(received.len() >= CALLERS * 2, "{} certificates", received.len());
    let findings = runtime.block_on(examine(&service, &received));
    let kinds = findings
        .records
        .iter()
        .filter(|r| matches!(r.body, Body::Issued(_)))
        .count();
    println!(
        "{} certificates received, {kinds} outcomes, {} unknown",
        received.len(),
        findings.unknown.len()
    );
    service.stop();
    assert_eq!(service.keepers(), []);
}

#[test]
fn the_keeper_of_a_killed_signer_ends_and_the_next_signer_has_its_own() {
    let mut service = Service::started();
    let before = service.keepers();
    assert_eq!(before.len(), 1);
    service.kill_signer();
    service.start();
    let after = service.keepers();
    assert_eq!(after.len(), 1);
    assert_ne!(before, after);
    let runtime = runtime();
    let channel = runtime.block_on(async { service.channel("caller") });
    let answer = runtime.block_on(sign(&channel, leaf("after-kill")));
    assert!(matches!(answer, Ok(SignAnswer::Issued(_))), "{answer:?}");
    service.stop();
    assert_eq!(service.keepers(), []);
}
