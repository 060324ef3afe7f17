//! The file: its format, its tables, its connections.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use stele_core::types::Origin;

use crate::convert::Text;
use crate::error::IndexError;

/// "STLX", SQLite's application id of an index.
const APPLICATION_ID: i32 = 0x5354_4c58;
/// Raised with every change of the tables or of what is written into them; an older file is rebuilt, not migrated.
const FORMAT_VERSION: i32 = 2;
/// Readers never wait for the writer (WAL); only recovery after a crash makes connections wait for each other.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages in the write-ahead log before SQLite copies them into the file (16 MiB; its default is 1,000 pages): by then most
/// have been overwritten several times.
const WAL_PAGES: i32 = 4_000;

/// SQLite's `cache_size` of a reader, negative in KiB. There may be a reader for each call, and the system caches the
/// file as well.
const READER_CACHE: i32 = -256;

/// What was issued, as nearly everything was, is not found by its state; the conditions of `request_open` and
/// `intent_open` stand in the queries, too, or SQLite does not use them. What has few values has no index of its own: see
/// [`crate::blocks`].
///
/// `idx` is a record's index in the log everywhere, and an index (in SQLite's sense) on a column ends in the row's
/// `idx`, so that pages come out in the log's order without sorting.
const SCHEMA: &str = "
    CREATE TABLE meta (only INTEGER PRIMARY KEY CHECK (only = 0), origin TEXT NOT NULL, next INTEGER NOT NULL) STRICT;
    CREATE TABLE edge (level INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT;
    CREATE TABLE anomaly (idx INTEGER PRIMARY KEY, what TEXT NOT NULL) STRICT;

    CREATE TABLE record (idx INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, caller TEXT,
        request TEXT, profile TEXT, key TEXT, serial TEXT) STRICT;
    CREATE INDEX record_request ON record (request, caller) WHERE request IS NOT NULL;
    CREATE INDEX record_serial ON record (serial) WHERE serial IS NOT NULL;
    CREATE TABLE block (what TEXT NOT NULL, value TEXT NOT NULL, number INTEGER NOT NULL,
        PRIMARY KEY (what, value, number)) STRICT, WITHOUT ROWID;
    CREATE TABLE name (text TEXT NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (text, idx)) STRICT, WITHOUT ROWID;
    CREATE TABLE chunk (idx INTEGER PRIMARY KEY, chunk TEXT NOT NULL) STRICT;

    CREATE TABLE request (first INTEGER PRIMARY KEY, caller TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL,
        attempt INTEGER NOT NULL, profile TEXT, purpose TEXT, proposal INTEGER, intent INTEGER, state TEXT NOT NULL,
        last INTEGER NOT NULL, UNIQUE (caller, id)) STRICT;
    CREATE INDEX request_open ON request (state) WHERE state <> '\"issued\"';
    CREATE TABLE proposal (idx INTEGER PRIMARY KEY, request INTEGER NOT NULL, attempt INTEGER NOT NULL,
        digest TEXT NOT NULL, profile TEXT NOT NULL, key TEXT NOT NULL, serial TEXT NOT NULL, need TEXT NOT NULL,
        expires INTEGER NOT NULL) STRICT;
    CREATE TABLE decision (idx INTEGER PRIMARY KEY, proposal INTEGER NOT NULL, operator TEXT NOT NULL,
        approve INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
    CREATE INDEX decision_proposal ON decision (proposal);
    CREATE TABLE intent (idx INTEGER PRIMARY KEY, time INTEGER NOT NULL, request INTEGER NOT NULL,
        attempt INTEGER NOT NULL, purpose TEXT NOT NULL, profile TEXT, key TEXT NOT NULL, serial TEXT,
        not_after INTEGER, fate TEXT NOT NULL, fated INTEGER) STRICT;
    CREATE INDEX intent_open ON intent (fate, key) WHERE fate <> '\"issued\"';

    CREATE TABLE certificate (idx INTEGER PRIMARY KEY, key TEXT NOT NULL, serial TEXT NOT NULL,
        not_after INTEGER NOT NULL, der BLOB NOT NULL, UNIQUE (key, serial)) STRICT;
    CREATE TABLE ca (key TEXT PRIMARY KEY, idx INTEGER NOT NULL, record TEXT NOT NULL, root INTEGER NOT NULL)
        STRICT;
    CREATE TABLE crl (key TEXT PRIMARY KEY, idx INTEGER NOT NULL, number INTEGER NOT NULL, this_update INTEGER NOT NULL,
        next_update INTEGER NOT NULL, der BLOB NOT NULL) STRICT;
    CREATE TABLE revoked (key TEXT NOT NULL, serial TEXT NOT NULL, idx INTEGER NOT NULL, time INTEGER NOT NULL,
        not_after INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (key, serial)) STRICT, WITHOUT ROWID;
    CREATE INDEX revoked_until ON revoked (key, not_after);
    CREATE TABLE carried (key TEXT NOT NULL, serial TEXT NOT NULL, not_after INTEGER NOT NULL, ca INTEGER NOT NULL,
        PRIMARY KEY (key, serial)) STRICT, WITHOUT ROWID;
    CREATE TABLE frozen (target TEXT PRIMARY KEY, idx INTEGER NOT NULL) STRICT;
    CREATE TABLE bundle (only INTEGER PRIMARY KEY CHECK (only = 0), idx INTEGER NOT NULL, number TEXT NOT NULL,
        sha256 TEXT NOT NULL, bytes BLOB, fault TEXT) STRICT;";

/// Opens the index of `origin` for writing; lays it out in a new or empty file.
pub(crate) fn open(path: &Path, origin: &Origin) -> Result<Connection, IndexError> {
    let sql = IndexError::sql(path);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
        .map_err(IndexError::sql(path))?;
    connection
        .pragma_update(None, "wal_autocheckpoint", WAL_PAGES)
        .map_err(&sql)?;
    if is_empty(&connection).map_err(&sql)? {
        create(&mut connection, origin).map_err(&sql)?;
    }
    check(&connection, path, origin)?;
    Ok(connection)
}

/// Opens a file that [`open`] has checked, for reading.
pub(crate) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "cache_size", READER_CACHE)?;
    Ok(connection)
}

fn connect(path: &Path, mode: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // NORMAL: a power cut may take the newest commits, never the file's consistency; the log has them.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // Otherwise a join is planned anew whenever other values are bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0 && number(connection, "application_id")? == 0)
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

fn create(connection: &mut Connection, origin: &Origin) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO meta VALUES (0, ?1, 0)", [Text(origin)])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT_VERSION)?;
    transaction.commit()
}

fn check(connection: &Connection, path: &Path, origin: &Origin) -> Result<(), IndexError> {
    let sql = IndexError::sql(path);
    let found = match (
        number(connection, "application_id").map_err(&sql)?,
        number(connection, "user_version").map_err(&sql)?,
    ) {
        (APPLICATION_ID, FORMAT_VERSION) => None,
        (APPLICATION_ID, other) => Some(format!("format version {other}, not {FORMAT_VERSION}")),
        _ => Some("no index's mark in the file".to_owned()),
    };
    if let Some(found) = found {
        return Err(IndexError::Foreign {
            path: path.to_owned(),
            found,
        });
    }
    let found: Text<Origin> = connection
        .query_row("SELECT origin FROM meta", [], |row| row.get(0))
        .optional()
        .map_err(&sql)?
        .ok_or_else(|| IndexError::Foreign {
            path: path.to_owned(),
            found: "an index without an origin".to_owned(),
        })?;
    if found.0 != *origin {
        return Err(IndexError::OtherLog {
            path: path.to_owned(),
            found: found.0,
            expected: origin.clone(),
        });
    }
    Ok(())
}
