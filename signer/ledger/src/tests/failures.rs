//! Failing writes, damaged files, and files that are no ledger.

use std::path::Path;

use super::{assert_log, entries, note, place, put};
use crate::{Ledger, LedgerError, LedgerReader};

/// Each way in which a write fails here: as SQLite's own limit, its own refusal, and in the middle of the transaction.
#[test]
fn a_failed_write_leaves_nothing_and_the_next_one_works() {
    let fail_and_mend = [
        ("PRAGMA max_page_count = 12", "PRAGMA max_page_count = 1000000"),
        ("PRAGMA query_only = 1", "PRAGMA query_only = 0"),
        (
            "CREATE TEMP TRIGGER t BEFORE INSERT ON hash WHEN new.position = 30 BEGIN SELECT RAISE(ABORT, 'x'); END",
            "DROP TRIGGER t",
        ),
    ];
    for (number, (fail, mend)) in fail_and_mend.into_iter().enumerate() {
        let (_dir, path) = place();
        let mut ledger = Ledger::create(&path).unwrap();
        ledger.append(&entries(0..5), &[put(b"k", b"before")]).unwrap();
        ledger.connection().execute_batch(fail).unwrap();
        let error = ledger.append(&entries(5..500), &[put(b"k", b"after")]).unwrap_err();
        match number {
            0 => assert!(matches!(error, LedgerError::Full { .. }), "{error}"),
            1 => assert!(matches!(error, LedgerError::ReadOnly { .. }), "{error}"),
            _ => assert!(matches!(error, LedgerError::Database { .. }), "{error}"),
        }
        assert_log(&ledger, 5);
        assert_eq!(ledger.get_state("serial", b"k").unwrap().unwrap(), b"before");
        ledger.connection().execute_batch(mend).unwrap();
        assert_eq!(ledger.append(&entries(5..500), &[put(b"k", b"after")]).unwrap(), 5);
        assert_log(&ledger, 500);
        drop(ledger);
        assert_log(&Ledger::open(&path).unwrap(), 500);
    }
}

#[test]
fn a_failed_checkpoint_leaves_the_older_one() {
    let (_dir, path) = place();
    let mut ledger = Ledger::create(&path).unwrap();
    ledger.append(&entries(0..3), &[]).unwrap();
    let first = note(3, ledger.root());
    ledger.set_checkpoint(3, &first).unwrap();
    ledger.append(&entries(3..9), &[]).unwrap();
    let second = note(9, ledger.root());
    ledger.connection().execute_batch("PRAGMA query_only = 1").unwrap();
    assert!(ledger.set_checkpoint(9, &second).is_err());
    assert_eq!(ledger.checkpoint(), Some((3, first)));
    ledger.connection().execute_batch("PRAGMA query_only = 0").unwrap();
    ledger.set_checkpoint(9, &second).unwrap();
    drop(ledger);
    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(ledger.checkpoint(), Some((9, second.clone())));
    assert_eq!(ledger.reader().unwrap().checkpoint().unwrap(), Some((9, second)));
}

#[test]
fn only_a_ledger_is_opened() {
    let (_dir, path) = place();
    assert!(matches!(Ledger::open(&path), Err(LedgerError::Missing { .. })));
    assert!(matches!(LedgerReader::open(&path), Err(LedgerError::Missing { .. })));
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    assert!(matches!(Ledger::open(&path), Err(LedgerError::Foreign { .. })));
    std::fs::write(&path, "a text of some length that is no database".repeat(100)).unwrap();
    assert!(matches!(Ledger::open(&path), Err(LedgerError::Corrupt { .. })));
    std::fs::remove_file(&path).unwrap();
    drop(Ledger::create(&path).unwrap());
    sql(&path, "PRAGMA user_version = 2");
    let error = Ledger::open(&path).err().unwrap();
    assert!(error.to_string().contains("format version 2"), "{error}");
}

fn sql(path: &Path, statements: &str) {
    rusqlite::Connection::open(path)
        .unwrap()
        .execute_batch(statements)
        .unwrap();
}

/// What an altered row changes is noticed at the start, or by whoever reads it.
#[test]
fn altered_rows_are_noticed() {
    let at_start = [
        "UPDATE entry SET body = x'00' WHERE idx = 20",
        "DELETE FROM entry WHERE idx = 20",
        "DELETE FROM hash WHERE position = (SELECT max(position) FROM hash)",
        "INSERT INTO entry VALUES (21, x'00')",
        "INSERT INTO entry VALUES (9223372036854775807, x'00')",
        "UPDATE checkpoint SET size = 8",
        "UPDATE checkpoint SET size = -1",
        "UPDATE hash SET hash = zeroblob(32) WHERE position = 30", // the subtree over the first 16
        "UPDATE hash SET hash = x'00' WHERE position = 30",
    ];
    let later = [
        "UPDATE entry SET body = x'00' WHERE idx = 3",
        "DELETE FROM entry WHERE idx = 3",
    ];
    for alteration in at_start.iter().chain(&later) {
        let (_dir, path) = place();
        let mut ledger = Ledger::create(&path).unwrap();
        ledger.append(&entries(0..21), &[]).unwrap();
        ledger.set_checkpoint(21, &note(21, ledger.root())).unwrap();
        drop(ledger);
        sql(&path, alteration);
        match Ledger::open(&path) {
            Err(error) => assert!(matches!(error, LedgerError::Corrupt { .. }), "{alteration}: {error}"),
            Ok(ledger) => {
                assert!(later.contains(alteration), "{alteration}");
                let error = ledger.reader().unwrap().entries(0..21).unwrap_err();
                assert!(matches!(error, LedgerError::Corrupt { .. }), "{alteration}: {error}");
            }
        }
    }
}

/// Whatever page is overwritten: an error, or what was appended; never other bytes.
#[test]
fn a_damaged_page_never_yields_wrong_entries() {
    let (_dir, path) = place();
    let mut ledger = Ledger::create(&path).unwrap();
    ledger.append(&entries(0..400), &[]).unwrap();
    drop(ledger);
    let sound = std::fs::read(&path).unwrap();
    let mut failures = 0;
    for page in 0..sound.len() / 4096 {
        let mut damaged = sound.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0xa5);
        std::fs::write(&path, damaged).unwrap();
        let read = Ledger::open(&path).and_then(|l| l.reader()?.entries(0..400));
        match read {
            Ok(read) => assert_eq!(read, entries(0..400)),
            Err(error) => {
                assert!(matches!(error, LedgerError::Corrupt { .. }), "{error}");
                failures += 1;
            }
        }
    }
    // Only the pages of the empty tables may be lost without notice.
    assert!(failures >= sound.len() / 4096 - 4, "{failures}");
}
