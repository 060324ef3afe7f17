//! What witnesses give, and what one of them or all of them fail to give.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use stele_api::status::Reason;

use super::{NAMES, checkpoint, issue, metric, results, until, witnessed};
use crate::scratch::binary_path;
use crate::service::{both, succeed};

/// The published checkpoint carries the cosignatures; Go opens it, and `stele audit verify` counts them.
pub fn published(program: &Path) {
    let (service, witnesses) = witnessed(program, "quorum = 2\n", "");
    issue(&service, "published").expect("a certificate");
    let mut newest = Vec::new();
    until("all three cosignatures are published", || {
        newest = checkpoint(&service);
        witnesses.open(&service, &newest).len() == 4
    });
    let names = witnesses.open(&service, &newest);
    for name in NAMES {
        assert!(names.contains(&format!("witness.example/{name}")), "{names:?}");
    }
    let ledger = service.verify_ledger();
    let exported = std::fs::read(ledger.join("checkpoint")).expect("the export's checkpoint");
    assert_eq!(witnesses.open(&service, &exported).len(), 4);
    let mut verify = service.stele_as("auditor");
    let said = succeed(verify.args(["audit", "verify", "--output", "json"]).arg(&ledger));
    assert!(said.contains("quorum of witnesses"), "{said}");
    // A line of a key that the log does not name is a finding.
    let stranger = String::from_utf8(exported)
        .expect("text")
        .replace("witness.example/one", "stranger.example/one");
    std::fs::write(ledger.join("checkpoint"), stranger).expect("a file");
    let mut verify = Command::new(binary_path("stele"));
    let out = verify
        .args(["audit", "verify"])
        .arg(&ledger)
        .arg("--vkey")
        .arg(service.path("out/ledger.vkey"));
    let out = out.output().expect("stele runs");
    assert!(
        !out.status.success() && both(&out).contains("stranger.example/one"),
        "{}",
        both(&out)
    );
}

/// Every way in which one witness can fail; two others are the quorum.
pub fn one_faulty(program: &Path) {
    const MODES: [&str; 19] = [
        "down",
        "slow",
        "trickle",
        "301",
        "400",
        "403",
        "404",
        "409",
        "422",
        "500",
        "empty-409",
        "garbage",
        "huge",
        "forged",
        "stranger",
        "larger",
        "smaller",
        "teapot",
        "good",
    ];
    let policy = "quorum = 2\nca_intents = true\nmax_lag = \"15s\"\n";
    let (service, witnesses) = witnessed(program, policy, "");
    for mode in MODES.iter().filter(|mode| **mode != "good") {
        let before = metric(&service, "stele_witness_faults_total", "one").unwrap_or(0);
        witnesses.mode("one", mode);
        issue(&service, &format!("fault-{mode}")).unwrap_or_else(|e| panic!("{mode}: {e:?}"));
        until(&format!("an alarm about {mode}"), || {
            metric(&service, "stele_witness_faults_total", "one").unwrap_or(0) > before
                && metric(&service, "stele_witness_cosigning", "one") == Some(0)
        });
        // The others go on.
        let behind = witnesses.size("two");
        issue(&service, &format!("beside-{mode}")).unwrap_or_else(|e| panic!("beside {mode}: {e:?}"));
        until(&format!("the others cosign beside {mode}"), || {
            witnesses.size("two") > behind
        });
        witnesses.mode("one", "good");
        until(&format!("it cosigns again after {mode}"), || {
            metric(&service, "stele_witness_cosigning", "one") == Some(1)
        });
    }
    let log = service.log();
    for kind in [
        "unreachable",
        "slow",
        "garbage",
        "unknown log",
        "untrusted key",
        "inconsistent",
        "other root",
    ] {
        assert!(log.contains("ALARM") && log.contains(kind), "no alarm of kind {kind}");
    }
    until("a fault and its end are recorded", || {
        let said = results(&service, "one");
        said.iter().any(|r| r != "cosigned") && said.last().is_some_and(|r| r == "cosigned")
    });
    service.verify_ledger();
}

/// Without any witness leaves go on for the lag, then stop, and go on by themselves.
pub fn lag(program: &Path) {
    let (service, witnesses) = witnessed(program, "quorum = 2\nmax_lag = \"8s\"\n", "");
    let begun = Instant::now();
    witnesses.all("down");
    issue(&service, "before-the-lag").expect("a certificate before the lag is passed");
    until("the lag is passed", || {
        service.get("/readyz").is_some_and(|page| page.status == 503)
    });
    assert!(
        begun.elapsed() >= Duration::from_secs(7),
        "stopped after {:?}",
        begun.elapsed()
    );
    assert_eq!(issue(&service, "in-the-lag"), Err(Some(Reason::LedgerStopped)));
    let size = || runtime_records(&service);
    let before = size();
    assert_eq!(issue(&service, "in-the-lag"), Err(Some(Reason::LedgerStopped)));
    assert_eq!(before, size(), "nothing is recorded of what cannot be signed");
    assert_ne!(
        checkpoint(&service),
        b"",
        "the newest checkpoint is published without its cosignatures"
    );
    witnesses.all("good");
    until("it is ready by itself", || {
        service.get("/readyz").is_some_and(|page| page.status == 200)
    });
    issue(&service, "in-the-lag").expect("a certificate");
    service.verify_ledger();
}

/// How many records there are.
fn runtime_records(service: &crate::service::Service) -> usize {
    crate::service_client::runtime()
        .block_on(crate::service_client::records(service))
        .into_iter()
        .filter(|r| matches!(r.body.kind(), "intent" | "failed" | "issued"))
        .count()
}
