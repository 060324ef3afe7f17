//! CA certificates, which wait for the witnesses where the bundle says so.

use std::path::Path;

use stele_api::convert::SignAnswer;
use stele_api::status::Reason;
use stele_core::record::{Body, Purpose, Record};

use super::{NAMES, checkpoint, metric, size, until, witnessed};
use crate::service::{both, succeed};
use crate::service_client::{intermediate, reason, records, runtime, sign, sign_persistently};

/// Without witnesses there is no CA certificate; with them the log holds the cosigned checkpoint before the signature.
pub fn ca_intents(program: &Path) {
    let (service, witnesses) = witnessed(program, "quorum = 2\nca_intents = true\n", "");
    let runtime = runtime();
    let caller = runtime.block_on(async { service.channel("caller") });
    let asked = intermediate("witnessed-ca");
    let proposed = runtime.block_on(sign(&caller, asked.clone()));
    assert!(matches!(proposed, Ok(SignAnswer::Pending(_))), "{proposed:?}");
    witnesses.all("404");
    until("no witness cosigns", || {
        NAMES
            .iter()
            .all(|name| metric(&service, "stele_witness_cosigning", name) == Some(0))
    });
    let mut approve = service.stele_as("operator");
    approve.args([
        "request",
        "approve",
        "witnessed-ca",
        "--caller",
        "uri:spiffe://stele/caller/cluster-signer",
    ]);
    approve
        .args(["--operator", "olga", "--yes", "--ssh-key"])
        .arg(service.path("people/ssh-olga"));
    let approved = approve.output().expect("stele runs");
    let refused = runtime
        .block_on(sign(&caller, asked.clone()))
        .expect_err("no certificate without witnesses");
    assert_eq!(
        reason(&refused),
        Some(Reason::LedgerStopped),
        "{refused:?}\n{}",
        both(&approved)
    );
    super::issue(&service, "a-leaf-meanwhile").expect("leaves do not wait");
    let before = runtime.block_on(records(&service));
    assert!(
        !before.iter().any(is_ca_intent),
        "an approval is not spent on what cannot succeed"
    );

    witnesses.all("good");
    until("two witnesses cosign", || {
        NAMES
            .iter()
            .filter(|name| metric(&service, "stele_witness_cosigning", name) == Some(1))
            .count()
            >= 2
    });
    runtime.block_on(sign_persistently(&caller, &asked));
    let all = runtime.block_on(records(&service));
    let intent = all.iter().find(|r| is_ca_intent(r)).expect("the intent").index;
    let cosigned = all.iter().find_map(|r| match &r.body {
        Body::Cosigned(cosigned) if cosigned.intent == intent => Some((r.index, cosigned.checkpoint.clone())),
        _ => None,
    });
    let (at, note) = cosigned.expect("the cosigned checkpoint");
    let issued = all
        .iter()
        .find(|r| matches!(&r.body, Body::Issued(i) if i.intent == intent));
    let outcome = issued.expect("the outcome").index;
    assert!(intent < at && at < outcome);
    assert!(witnesses.open(&service, note.as_bytes()).len() >= 3);
    // What is published follows when it is witnessed too.
    until("the outcome is published", || size(&checkpoint(&service)) > outcome);
    let ledger = service.verify_ledger();
    let said = succeed(
        service
            .stele_as("auditor")
            .args(["audit", "verify", "--output", "json"])
            .arg(ledger),
    );
    assert!(said.contains("cosignatures before a CA certificate"), "{said}");
}

fn is_ca_intent(record: &Record) -> bool {
    matches!(&record.body, Body::Intent(intent) if intent.purpose == Purpose::Intermediate)
}
