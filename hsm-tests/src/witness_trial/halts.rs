//! What stops signing until people decide: the log is not what others saw.

use std::path::Path;
use std::process::Command;

use stele_api::status::Reason;

use super::{checkpoint, confirm_history, issue, metric, post, size, until, witnessed};
use crate::service::{Service, both, succeed};

const POLICY: &str = "quorum = 2\nmax_lag = \"10m\"\n";

fn ready(service: &Service) -> bool {
    service.get("/readyz").is_some_and(|page| page.status == 200)
}

/// Saves the log's store, or puts a saved one back, with an index that is built anew.
fn store(service: &Service, from: &str, to: &str) {
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (
            service.path(&format!("{from}{suffix}")),
            service.path(&format!("{to}{suffix}")),
        );
        let _ = std::fs::remove_file(&to);
        if from.exists() {
            std::fs::copy(from, to).expect("a copy");
        }
        let _ = std::fs::remove_file(service.path(&format!("signer/index.db{suffix}")));
    }
}

/// Tries to start, and answers with what it said when it ended.
fn refused_start(service: &Service) -> String {
    let out = service
        .signer_command("stele-signer", "run")
        .output()
        .expect("stele-signer runs");
    assert!(!out.status.success(), "it started");
    both(&out)
}

/// One that claims a larger log raises an alarm; two halt, until operators confirm the history.
pub fn claims(program: &Path) {
    let (mut service, witnesses) = witnessed(program, POLICY, "");
    witnesses.mode("one", "larger");
    issue(&service, "one-claims").expect("a certificate");
    until("an alarm", || {
        metric(&service, "stele_witness_cosigning", "one") == Some(0)
    });
    issue(&service, "one-still-claims").expect("a certificate");
    witnesses.mode("two", "larger");
    issue(&service, "two-claim").expect("the last certificate");
    until("signing halts", || !ready(&service));
    assert_eq!(issue(&service, "halted"), Err(Some(Reason::LedgerStopped)));
    // It lasts over a restart, whatever the witnesses say then.
    service.stop();
    let said = refused_start(&service);
    assert!(
        said.contains("set back") && said.contains("one") && said.contains("two"),
        "{said}"
    );
    witnesses.all("good");
    service.start_halted();
    assert_eq!(issue(&service, "halted"), Err(Some(Reason::LedgerStopped)));
    confirm_history(&service);
    until("it is ready", || ready(&service));
    issue(&service, "halted").expect("a certificate");
    service.verify_ledger();
}

/// An old copy of the log in place of the newer one: witnesses know better than index and exports, which are gone.
pub fn set_back(program: &Path) {
    let (mut service, witnesses) = witnessed(program, POLICY, "");
    service.stop();
    store(&service, "signer/ledger.db", "old.db");
    service.start();
    let before = witnesses.size("one");
    for n in 0..12 {
        issue(&service, &format!("later-{n}")).expect("a certificate");
    }
    until("witnesses cosign it", || {
        ["one", "two", "three"]
            .iter()
            .all(|name| witnesses.size(name) > before + 24)
    });
    service.stop();
    store(&service, "signer/ledger.db", "new.db");
    store(&service, "old.db", "signer/ledger.db");
    let said = refused_start(&service);
    assert!(said.contains("set back"), "{said}");
    // One witness alone is not believed, but it is at least an alarm; the newer log is taken again.
    store(&service, "new.db", "signer/ledger.db");
    service.start();
    issue(&service, "again").expect("a certificate");
    service.verify_ledger();
}

/// A mirror shows a checkpoint under this log's key that is not of this history.
pub fn other_history(program: &Path) {
    let (mut service, witnesses) = witnessed(program, POLICY, "");
    service.stop();
    store(&service, "signer/ledger.db", "old.db");
    // The other history: the same keys, the same beginning, other records.
    service.write_config("");
    service.start();
    issue(&service, "other").expect("a certificate");
    until("the newest checkpoint is published", || {
        size(&checkpoint(&service)) > witnesses.size("one") + 2
    });
    let fork = checkpoint(&service);
    service.stop();
    store(&service, "old.db", "signer/ledger.db");
    let board = format!(
        "checkpoints = [\"http://127.0.0.1:{}/board\"]\nlook_every = \"1s\"",
        witnesses.port
    );
    service.write_config(&witnesses.places(&board));
    service.start();
    for n in 0..4 {
        issue(&service, &format!("true-{n}")).expect("a certificate");
    }
    let own = checkpoint(&service);
    post(witnesses.port, "/board", &own);
    std::thread::sleep(std::time::Duration::from_secs(3));
    issue(&service, "own-checkpoint").expect("its own checkpoint harms nobody");
    post(witnesses.port, "/board", &fork);
    until("signing halts", || !ready(&service));
    assert_eq!(issue(&service, "halted"), Err(Some(Reason::LedgerStopped)));
    let dir = service.fresh("ledger");
    succeed(service.stele_as("auditor").args(["audit", "export"]).arg(&dir));
    let mut verify: Command = service.stele_as("auditor");
    let said = both(&verify.args(["audit", "verify"]).arg(&dir).output().expect("stele runs"));
    assert!(said.contains("halt"), "{said}");
}
