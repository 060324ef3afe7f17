//! The index says what the log says: however it was read, and only of the log that it was read from.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod log;

use std::path::Path;

use log::*;
use proptest::prelude::*;
use proptest::sample::Index as Pick;
use rusqlite::Connection;
use rusqlite::types::Value;
use stele_core::merkle::{Frontier, leaf_hash};
use stele_core::record::*;
use stele_core::types::*;
use stele_index::{Index, IndexError, Reader};

/// Every row of every table, chunks and the edge of the tree included.
fn dump(path: &Path) -> Vec<(String, Vec<Vec<Value>>)> {
    let file = Connection::open(path).unwrap();
    let tables: Vec<String> = file
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(tables.len() > 10);
    let rows = |table: &String| {
        let mut statement = file.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
        let columns = statement.column_count();
        let rows = statement
            .query_map([], |row| (0..columns).map(|n| row.get(n)).collect())
            .unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    tables.iter().map(|table| (table.clone(), rows(table))).collect()
}

/// One step of a random log, over so few names that records meet each other. The picks choose earlier records.
#[derive(Clone, Debug)]
struct Op {
    kind: u8,
    who: u8,
    id: u8,
    digest: u8,
    n: u8,
    pick: Pick,
}

fn op() -> impl Strategy<Value = Op> {
    (0..18u8, 0..2u8, 0..3u8, 0..10u8, 0..5u8, any::<Pick>()).prop_map(|(kind, who, id, digest, n, pick)| Op {
        kind,
        who,
        id,
        // Mostly the same digest.
        digest: digest / 8,
        n,
        pick,
    })
}

/// An earlier record of a kind that `wanted` knows; any index when there is none.
fn earlier<T>(log: &Log, pick: Pick, wanted: impl Fn(&Body) -> Option<T>) -> Option<(u64, T)> {
    let mut fit: Vec<_> = log
        .records
        .iter()
        .filter_map(|(r, _)| wanted(&r.body).map(|t| (r.index, t)))
        .collect();
    let at = (!fit.is_empty()).then(|| pick.index(fit.len()))?;
    Some(fit.swap_remove(at))
}

fn add(log: &mut Log, op: &Op) {
    let attempt = u32::from(op.n) / 2;
    let asked = request(op.who, &format!("r{}", op.id), attempt + 1, op.digest);
    let proposed = earlier(log, op.pick, |b| matches!(b, Body::Proposal(_)).then_some(())).map_or(77, |found| found.0);
    let intended = earlier(log, op.pick, |b| match b {
        Body::Intent(intent) => Some(intent.clone()),
        _ => None,
    });
    let target = match op.n {
        0 => FreezeTarget::Caller(caller(op.who)),
        1 => FreezeTarget::Profile(profile().name),
        _ => FreezeTarget::Issuer(key()),
    };
    let body = match op.kind {
        0 => refusal(&asked),
        1 | 2 => proposal(asked, op.n),
        3 | 4 => decision(proposed, "alice", op.n > 0),
        5 => withdrawal(proposed),
        6..=8 => intent(asked, Purpose::Leaf, Some(op.n)),
        9 => intent(asked, Purpose::Crl, None),
        10 => failed(intended.map_or(77, |found| found.0)),
        11 => unknown(intended.map_or(77, |found| found.0), Some(op.n)),
        12 | 13 => {
            let Some((at, of)) = intended else { return };
            let (n, entries) = (op.n, if op.n == 1 { 3_000 } else { 2 });
            let der = match of.purpose {
                Purpose::Crl => crl(u64::from(n), entries),
                _ => certificate(n, &format!("cn{n}"), &["dns:a.example.org"]),
            };
            let signed = log.payload(&der);
            issued(at, of.request.clone(), of.purpose, of.serial.clone(), &der, signed)
        }
        14 => revocation(op.n, Reason::Superseded),
        15 => freeze(target),
        16 => unfreeze(target),
        _ => {
            let bytes = vec![op.n; usize::from(op.n) * 20_000];
            let payload = log.payload(&bytes);
            bundle(u64::from(op.n), &bytes, payload)
        }
    };
    log.push(body);
}

/// What the public look-ups say, in one text.
fn answers(reader: &Reader) -> String {
    let ids = (0..2u8).flat_map(|who| (0..3u8).map(move |id| (caller(who), parse(&format!("r{id}")))));
    let requests: Vec<_> = ids
        .map(|(who, id): (_, RequestId)| reader.request(&who, &id).unwrap())
        .collect();
    format!(
        "{requests:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        reader.open_intents().unwrap(),
        reader.unknown().unwrap(),
        reader.frozen().unwrap(),
        reader.listed(&key(), Time::from_secs(START)).unwrap(),
        reader.crl(&key()).unwrap(),
        reader.newest_bundle().unwrap(),
        reader.anomalies(None, 1000).unwrap(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn batches_do_not_matter(
        ops in prop::collection::vec(op(), 1..60),
        sizes in prop::collection::vec((1..9usize, 0..3usize, any::<bool>()), 1..20),
    ) {
        let mut log = Log::default();
        ops.iter().for_each(|op| add(&mut log, op));
        let dir = tempfile::tempdir().unwrap();
        let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
        let (at_once, reader) = log.index(&whole);
        let mut index = Index::open(&parts, &origin()).unwrap();
        for (size, again, reopen) in sizes.iter().cycle() {
            let next = index.next() as usize;
            if next == log.records.len() {
                break;
            }
            // Some records come again with the batch, and some batches come after a restart.
            index.apply(&log.records[next.saturating_sub(*again)..(next + size).min(log.records.len())]).unwrap();
            if *reopen {
                drop(index);
                index = Index::open(&parts, &origin()).unwrap();
            }
        }
        prop_assert_eq!(index.root(), at_once.root());
        prop_assert_eq!(answers(&index.reader()), answers(&reader));
        prop_assert_eq!(dump(&parts), dump(&whole));
    }
}

#[test]
fn a_gap_is_refused_whole_and_a_repetition_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let mut log = Log::default();
    for n in 1..=4 {
        log.push(revocation(n, Reason::Superseded));
    }
    let mut index = Index::open(&path, &origin()).unwrap();
    index.apply(&log.records[..1]).unwrap();
    let holed = [log.records[1].clone(), log.records[3].clone()];
    let error = index.apply(&holed).unwrap_err();
    assert!(matches!(error, IndexError::Gap { expected: 2, found: 3 }), "{error}");
    assert_eq!((index.next(), index.reader().next().unwrap()), (1, 1));
    assert!(index.reader().revoked(&key(), &serial(2)).unwrap().is_none());
    index.apply(&log.records).unwrap();
    let before = dump(&path);
    index.apply(&log.records[1..3]).unwrap();
    assert_eq!(dump(&path), before);
}

#[test]
fn a_log_that_does_not_continue_what_was_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let mut log = Log::default();
    for n in 1..=5 {
        log.push(revocation(n, Reason::Superseded));
    }
    drop(log.index(&path));
    let index = Index::open(&path, &origin()).unwrap();
    let root = |entries: &[(Record, Vec<u8>)]| {
        let mut frontier = Frontier::new();
        entries
            .iter()
            .for_each(|(_, bytes)| drop(frontier.push(leaf_hash(bytes))));
        frontier.root()
    };
    index
        .check_log(9, |size| Ok::<_, IndexError>(root(&log.records[..size as usize])))
        .unwrap();
    let behind = index.check_log(4, |_| -> Result<Digest, IndexError> {
        panic!("asked for a root beyond the log")
    });
    assert!(matches!(behind.unwrap_err(), IndexError::Behind { log: 4, index: 5 }));
    log.records[2].1[10] ^= 1;
    let diverged = index
        .check_log(5, |_| Ok::<_, IndexError>(root(&log.records)))
        .unwrap_err();
    assert!(matches!(diverged, IndexError::Diverged { size: 5, .. }), "{diverged}");
}

#[test]
fn a_file_of_another_kind_or_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    drop(Index::open(&path, &origin()).unwrap());
    let error = Index::open(&path, &parse("other.example.org/log")).err().unwrap();
    assert!(
        matches!(error, IndexError::OtherLog { .. }) && error.to_string().contains("reindex"),
        "{error}"
    );
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = Index::open(&path, &origin()).err().unwrap();
    assert!(
        matches!(error, IndexError::Foreign { .. }) && error.to_string().contains("99"),
        "{error}"
    );

    let text = dir.path().join("text");
    std::fs::write(&text, "not a database, but long enough to look at ".repeat(100)).unwrap();
    let error = Index::open(&text, &origin()).err().unwrap();
    assert!(
        matches!(error, IndexError::Database { .. }) && error.to_string().contains("reindex"),
        "{error}"
    );

    let other = dir.path().join("other");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE t (a)")
        .unwrap();
    assert!(matches!(
        Index::open(&other, &origin()).err().unwrap(),
        IndexError::Foreign { .. }
    ));
}

#[test]
fn readers_in_other_threads_see_whole_batches() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::open(&dir.path().join("index"), &origin()).unwrap();
    let mut log = Log::default();
    for n in 0..200u32 {
        let at = log.push(intent(request(1, &format!("r{n}"), 1, 1), Purpose::Leaf, Some(1)));
        log.push(failed(at));
    }
    let reader = index.reader();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let reader = reader.clone();
            scope.spawn(move || {
                while reader.next().unwrap() < 400 {
                    assert!(reader.open_intents().unwrap().is_empty(), "half a batch was seen");
                }
            });
        }
        for batch in log.records.chunks(2) {
            index.apply(batch).unwrap();
        }
    });
}
