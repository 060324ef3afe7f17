//! The disk fails under the real processes: {append, outcome, checkpoint, head, export tile, index} × {fails, fails but
//! persisted, killed}. Afterwards, once it is mended: the ledger verifies, a retry works, and everything that a client
//! received is found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a surprise ends the test"
)]

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use stele_api::convert::{Issued, SignAnswer};
use stele_hsm_tests::crash::examine;
use stele_hsm_tests::faults::{DiskError, Fault, Faults, Mode, Operation};
use stele_hsm_tests::service::{PATIENCE, Service, both, succeed};
use stele_hsm_tests::service_client::{leaf, runtime, sign, sign_persistently};

const MODES: [Mode; 3] = [Mode::Fail, Mode::Persist, Mode::Kill];
/// Longer than the keeper waits between two times that it stores the newest checkpoint.
const CHECKPOINT_DUE: Duration = Duration::from_millis(1200);

const fn fault(mode: Mode, operation: Operation, nth: u32, error: DiskError, part: &'static str) -> Fault {
    Fault {
        mode,
        operation,
        nth,
        error,
        part,
    }
}

/// A running service whose disk obeys a switch.
fn faulty() -> (Service, Faults) {
    let mut service = Service::new();
    let faults = Faults::new(&service.path(""));
    service.start_with(&faults.environment());
    (service, faults)
}

/// Mends the disk and waits until the service works again. A signer that was killed is started; a keeper that was is
/// its signer's business.
fn recover(service: &mut Service, faults: &Faults, signer_dies: bool) {
    if signer_dies {
        assert_eq!(service.wait_end().signal(), Some(9));
        faults.mend();
        service.wait_keepers(0);
        service.launch_with(&faults.environment());
    }
    faults.mend();
    service.wait_keepers(1);
    service.wait_ready();
}

/// Runs one cell for each mode: a certificate before, a call into the fault, mending, the same call again.
fn cells(operation: Operation, nth: u32, part: &'static str) {
    let runtime = runtime();
    let (mut service, faults) = faulty();
    let mut received: Vec<Issued> = Vec::new();
    for mode in MODES {
        let name = format!("{mode:?}-{operation:?}-{nth}").to_lowercase();
        let channel = runtime.block_on(async { service.channel("caller") });
        received.push(runtime.block_on(sign_persistently(&channel, &leaf(&format!("before:{name}")))));
        std::thread::sleep(CHECKPOINT_DUE);
        faults.set(fault(mode, operation, nth, DiskError::InputOutput, part));
        let request = leaf(&format!("into:{name}"));
        if let Ok(SignAnswer::Issued(issued)) = runtime.block_on(sign(&channel, request.clone())) {
            received.push(*issued);
        }
        recover(&mut service, &faults, mode == Mode::Kill && part.starts_with("index"));
        let channel = runtime.block_on(async { service.channel("caller") });
        received.push(runtime.block_on(sign_persistently(&channel, &request)));
        runtime.block_on(examine(&service, &received));
    }
    service.stop();
}

#[test]
fn the_append_of_an_intent() {
    cells(Operation::Sync, 1, "ledger.db-wal");
}

#[test]
fn the_append_of_an_outcome() {
    cells(Operation::Sync, 2, "ledger.db-wal");
}

#[test]
fn the_storing_of_a_checkpoint() {
    cells(Operation::Sync, 3, "ledger.db-wal");
}

#[test]
fn the_index() {
    cells(Operation::Write, 1, "index.db-wal");
}

/// The keeper's start copies the write-ahead log into the database file: the log's head as the next life reads it.
#[test]
fn the_head_at_a_start() {
    let runtime = runtime();
    let (mut service, faults) = faulty();
    let mut received: Vec<Issued> = Vec::new();
    for mode in MODES {
        let channel = runtime.block_on(async { service.channel("caller") });
        received.push(runtime.block_on(sign_persistently(&channel, &leaf(&format!("head:{mode:?}")))));
        service.kill_both();
        service.wait_keepers(0);
        faults.set(fault(mode, Operation::Sync, 1, DiskError::InputOutput, "ledger.db$"));
        service.launch_with(&faults.environment());
        assert!(
            !service.wait_end().success(),
            "{mode:?}: a keeper that cannot read its log does not start"
        );
        faults.mend();
        service.wait_keepers(0);
        service.start_with(&faults.environment());
        runtime.block_on(examine(&service, &received));
    }
    service.stop();
}

#[test]
fn the_tiles_of_an_export() {
    let runtime = runtime();
    let mut service = Service::started();
    let channel = runtime.block_on(async { service.channel("caller") });
    let faults = Faults::new(&service.path(""));
    for (operation, mode) in [Operation::Write, Operation::Sync]
        .into_iter()
        .flat_map(|operation| MODES.map(|mode| (operation, mode)))
    {
        runtime.block_on(sign_persistently(
            &channel,
            &leaf(&format!("export:{operation:?}:{mode:?}")),
        ));
        for nth in 1..=3 {
            let dir = service.fresh("faulty");
            faults.set(fault(mode, operation, nth, DiskError::Full, "faulty/"));
            let out = service
                .stele_as("auditor")
                .envs(faults.environment())
                .args(["audit", "export"])
                .arg(&dir)
                .output()
                .unwrap();
            match mode {
                Mode::Kill => assert_eq!(out.status.signal(), Some(9), "{}", both(&out)),
                Mode::Fail | Mode::Persist => {
                    assert!(!out.status.success(), "{mode:?} {operation:?} {nth}: {}", both(&out));
                    assert!(both(&out).contains("No space left"), "{}", both(&out));
                }
            }
            faults.mend();
            service.verify_export(&dir);
        }
    }
    service.stop();
}

/// Full, read-only, or failing: nothing is signed, the answer and the readiness say so, and it resumes when mended.
#[test]
fn a_disk_that_is_full_or_read_only_stops_signing_until_it_is_mended() {
    let runtime = runtime();
    let (mut service, faults) = faulty();
    let channel = runtime.block_on(async { service.channel("caller") });
    let mut received = vec![runtime.block_on(sign_persistently(&channel, &leaf("well")))];
    for error in [DiskError::Full, DiskError::ReadOnly, DiskError::InputOutput] {
        faults.set(fault(Mode::Fail, Operation::Write, 1, error, "ledger.db"));
        let request = leaf(&format!("disk:{error:?}"));
        for _ in 0..3 {
            let refused = runtime.block_on(sign(&channel, request.clone())).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::Unavailable, "{error:?}: {refused:?}");
            let said = stele_api::status::explain(&refused);
            assert!(
                said.contains("LEDGER_UNAVAILABLE") || said.contains("ledger"),
                "{error:?}: {said}"
            );
        }
        not_ready(&service);
        faults.mend();
        service.wait_ready();
        received.push(runtime.block_on(sign_persistently(&channel, &request)));
        runtime.block_on(examine(&service, &received));
    }
    // What can be read is readable all the while.
    faults.set(fault(Mode::Fail, Operation::Write, 1, DiskError::Full, "ledger.db"));
    succeed(service.stele_as("auditor").args(["audit", "open"]));
    faults.mend();
    service.stop();
}

fn not_ready(service: &Service) {
    let until = Instant::now() + PATIENCE;
    while service.get("/readyz").is_some_and(|page| page.status == 200) {
        assert!(Instant::now() < until, "it says that it is ready");
        std::thread::sleep(Duration::from_millis(100));
    }
}
