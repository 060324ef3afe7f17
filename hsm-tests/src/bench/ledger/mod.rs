//! The ledger: appends per second, what verification costs beside its floor, memory, bytes on disk.

mod appends;
/// The core's own makings of test logs.
#[path = "../../../../signer/core/tests/audit_support/mod.rs"]
mod support;
mod synthetic;
mod verify;

use super::Fallible;

/// Certificates whose hashes and signatures are checked bare, for the floor; it is the same for each.
const FLOOR: usize = 20_000;

/// Prints appends per second, and what the verification of a log of so many certificates costs.
///
/// # Errors
/// When something of what is measured fails.
pub fn ledger(certificates: u64) -> Fallible<()> {
    appends::measure()?;
    let scratch = tempfile::tempdir()?;
    println!("bytes on disk per certificate (its intent and its outcome)");
    let stored = synthetic::stored_bytes(&scratch.path().join("ledger.db"), 20_000)?;
    println!("  in the keeper's ledger: {stored}");
    let export = scratch.path().join("export");
    let made = synthetic::export(&export, certificates, FLOOR)?;
    println!("  in an export: {}", made.bytes / certificates);
    verify::measure(&export, certificates, &made)
}
