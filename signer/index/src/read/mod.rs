//! Look-ups.

mod certificates;
mod records;
mod requests;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Params, Row};

use crate::convert::Int;
use crate::error::IndexError;
use crate::store;
use crate::view::Page;

/// The most answers in a page, whatever was asked for.
const MAX_PAGE: u32 = 1_000;

/// Connections that are kept for the next look-up. Each has a cache of its own; most look-ups are short, so that few
/// serve many threads.
const IDLE: usize = 4;

/// Looks things up, from any thread. Clones share their connections; as many are opened as calls run at a time.
#[derive(Clone)]
pub struct Reader {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Reader {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path: Arc::new(path),
            idle: Arc::default(),
        }
    }

    /// How many records this reader sees applied.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next(&self) -> Result<u64, IndexError> {
        let next = self.row("SELECT next FROM meta", [], |row| row.get::<_, Int>(0))?;
        Ok(next.map_or(0, |next| next.0))
    }

    /// Runs `read` on one snapshot of the index, so that an answer put together from several queries is whole.
    fn with<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, IndexError> {
        self.with_connection(|connection| {
            let transaction = connection.transaction()?;
            let answer = read(&transaction)?;
            transaction.finish()?;
            Ok(answer)
        })
    }

    /// Runs `query`, which is one query and so sees one snapshot by itself.
    fn with_connection<T>(&self, query: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, IndexError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let run = || {
            let mut connection = idle.map_or_else(|| store::open_to_read(&self.path), Ok)?;
            let answer = query(&mut connection)?;
            Ok((connection, answer))
        };
        // A connection that failed is not used again.
        let (connection, answer) = run().map_err(IndexError::sql(&self.path))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(answer)
    }

    fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, IndexError> {
        self.with_connection(|connection| connection.prepare_cached(sql)?.query_row(params, read).optional())
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, IndexError> {
        self.with_connection(|connection| collect(connection, sql, params, read))
    }
}

fn collect<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map(params, read)?.collect()
}

/// How many rows to read for a page of `limit`: one more tells whether there is a next page.
fn page_rows(limit: u32) -> i64 {
    i64::from(limit.clamp(1, MAX_PAGE)) + 1
}

/// Makes a page of rows that were read by [`page_rows`].
fn page<T>(mut items: Vec<T>, limit: u32, place: impl Fn(&T) -> u64) -> Page<T> {
    let full = usize::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(usize::MAX);
    let more = items.len() > full;
    items.truncate(full);
    let next = if more { items.last().map(place) } else { None };
    Page { items, next }
}

/// The first index that a page after `after` may hold; none is beyond SQLite's integers.
fn beginning(after: Option<u64>) -> i64 {
    after.map_or(0, |after| i64::try_from(after.saturating_add(1)).unwrap_or(i64::MAX))
}

/// In which order a list is read, and from where.
#[derive(Clone, Copy)]
pub(crate) enum Walk {
    /// In the log's order, from the one after this index.
    Forward(Option<u64>),
    /// Newest first, from the one before this index.
    Back(Option<u64>),
}

impl Walk {
    /// The direction, as SQL.
    pub(crate) const fn direction(self) -> &'static str {
        match self {
            Self::Forward(_) => "ASC",
            Self::Back(_) => "DESC",
        }
    }

    /// The indexes that may be read; none is beyond SQLite's integers.
    fn range(self) -> Range<i64> {
        match self {
            Self::Forward(after) => beginning(after)..i64::MAX,
            Self::Back(None) => 0..i64::MAX,
            Self::Back(Some(before)) => 0..i64::try_from(before).unwrap_or(i64::MAX),
        }
    }
}
