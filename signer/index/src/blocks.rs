//! Where in the log a value occurs that occurs often: a caller, a kind, a profile, a key. A row says that it does somewhere
//! in a block of records; a look-up reads those blocks. An index entry for each record would cost a certificate a
//! dozen more places in the file, and find hardly more.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;

use rusqlite::Transaction;
use rusqlite::types::ToSql;

use crate::convert::Int;
use crate::read::Walk;

/// Records in a block.
const BLOCK: u64 = 512;

/// What a value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Of {
    /// The kind of a record.
    Kind,
    /// The caller that a record is about.
    Caller,
    /// The profile that a record is about.
    Profile,
    /// The key that a record is about.
    Key,
    /// The caller of a request, at its first record.
    RequestCaller,
    /// The profile of a request, at its first record.
    RequestProfile,
}

impl Of {
    /// As it stands in the column `what`.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Caller => "caller",
            Self::Profile => "profile",
            Self::Key => "key",
            Self::RequestCaller => "request_caller",
            Self::RequestProfile => "request_profile",
        }
    }
}

/// What a batch of records adds, each only once.
#[derive(Default)]
pub(crate) struct Blocks(BTreeSet<(Of, String, u64)>);

impl Blocks {
    /// The value occurs at this index.
    pub(crate) fn note(&mut self, of: Of, value: impl Display, index: u64) {
        self.0.insert((of, value.to_string(), index / BLOCK));
    }

    /// Writes what is new.
    pub(crate) fn write(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut row = tx.prepare_cached("INSERT OR IGNORE INTO block VALUES (?1, ?2, ?3)")?;
        self.0
            .iter()
            .try_for_each(|(of, value, number)| row.execute((of.text(), value, Int(*number))).map(drop))
    }
}

/// A query for rows within a range of indexes, of which some values are wanted. It reads through the blocks of the first
/// value, as far as these hold the others, too; where no value is wanted it reads the table itself.
pub(crate) struct Through {
    /// What stands after FROM.
    pub(crate) from: String,
    /// What begins the conditions after WHERE; others follow with AND.
    pub(crate) condition: String,
    /// The values of its parameters.
    pub(crate) params: Vec<Box<dyn ToSql>>,
    /// What stands after ORDER BY.
    pub(crate) order: String,
}

impl Through {
    /// Rows of `table`, which has the records' indexes in its column `place`.
    pub(crate) fn new(table: &str, place: &str, walk: Walk, range: Range<i64>, wanted: Vec<(Of, String)>) -> Self {
        let direction = walk.direction();
        let (low, high) = (range.start, range.end);
        if wanted.is_empty() {
            return Self {
                from: table.to_owned(),
                condition: format!("{place} >= ? AND {place} < ?"),
                params: vec![Box::new(low), Box::new(high)],
                order: format!("{place} {direction}"),
            };
        }
        // The sign + keeps SQLite from walking the table by its own index, for each block anew.
        let mut conditions = vec![format!(
            "+{place} >= ? AND +{place} < ? AND b.number >= ? / {BLOCK} AND b.number <= ? / {BLOCK}"
        )];
        let mut params: Vec<Box<dyn ToSql>> = vec![Box::new(low), Box::new(high), Box::new(low), Box::new(high)];
        for (number, (of, value)) in wanted.into_iter().enumerate() {
            conditions.push(match number {
                0 => "b.what = ? AND b.value = ?".to_owned(),
                _ => {
                    "EXISTS (SELECT 1 FROM block x WHERE x.what = ? AND x.value = ? AND x.number = b.number)".to_owned()
                }
            });
            params.push(Box::new(of.text()));
            params.push(Box::new(value));
        }
        Self {
            from: format!(
                "block b CROSS JOIN {table} ON {place} BETWEEN b.number * {BLOCK} AND b.number * {BLOCK} + {BLOCK} - 1"
            ),
            condition: conditions.join(" AND "),
            params,
            order: format!("b.number {direction}, {place} {direction}"),
        }
    }
}
