//! Records by what they are about.

use std::ops::Range;

use rusqlite::types::ToSql;
use rusqlite::{Connection, Row};
use stele_core::types::{CallerSan, KeyName, ProfileName, RequestId, Serial, Time};

use super::{Reader, Walk, beginning, collect, page, page_rows};
use crate::blocks::{Of, Through};
use crate::convert::{Int, Millis, Text};
use crate::error::IndexError;
use crate::view::{Anomaly, Filter, Page, RecordView};

/// A condition and the value of its one parameter.
type Condition = (&'static str, Box<dyn ToSql>);

impl Reader {
    /// Records that fit `filter`, in the log's order, from the one after `after` on; at most 1,000.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find(&self, filter: &Filter, after: Option<u64>, limit: u32) -> Result<Page<RecordView>, IndexError> {
        self.walk(filter, Walk::Forward(after), limit)
    }

    /// As [`Self::find`], newest first, from the one before `before` on.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find_newest(
        &self,
        filter: &Filter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<RecordView>, IndexError> {
        self.walk(filter, Walk::Back(before), limit)
    }

    fn walk(&self, filter: &Filter, walk: Walk, limit: u32) -> Result<Page<RecordView>, IndexError> {
        self.with(|connection| {
            let (sql, params) = query(filter, walk, range(connection, filter, walk)?, limit);
            collect(connection, &sql, rusqlite::params_from_iter(params), record_row)
        })
        .map(|items| page(items, limit, |view| view.index))
    }

    /// Records that contradict those before them, or hold what does not read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn anomalies(&self, after: Option<u64>, limit: u32) -> Result<Page<Anomaly>, IndexError> {
        let items = self.rows(
            "SELECT idx, what FROM anomaly WHERE idx >= ?1 ORDER BY idx LIMIT ?2",
            (beginning(after), page_rows(limit)),
            |row| {
                Ok(Anomaly {
                    index: row.get::<_, Int>(0)?.0,
                    what: row.get(1)?,
                })
            },
        )?;
        Ok(page(items, limit, |anomaly| anomaly.index))
    }
}

/// Where in the log records can be that fit.
fn range(connection: &Connection, filter: &Filter, walk: Walk) -> rusqlite::Result<Range<i64>> {
    let Range { mut start, mut end } = walk.range();
    if let Some(from) = filter.from {
        start = start.max(first_at(connection, from)?);
    }
    if let Some(until) = filter.until {
        end = end.min(first_at(connection, until)?);
    }
    Ok(start..end)
}

/// The first record of this time or later. Times never go back in a log, so halving finds it.
fn first_at(connection: &Connection, time: Time) -> rusqlite::Result<i64> {
    let mut time_of = connection.prepare_cached("SELECT time FROM record WHERE idx = ?1")?;
    let next: Int = connection.query_row("SELECT next FROM meta", [], |row| row.get(0))?;
    let (mut low, mut high) = (0, next.0);
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Millis = time_of.query_row([Int(middle)], |row| row.get(0))?;
        if found.0 < time {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(i64::try_from(low).unwrap_or(i64::MAX))
}

/// A name, a request or a serial is rare and has an index; everything else is read through blocks.
fn query(filter: &Filter, walk: Walk, range: Range<i64>, limit: u32) -> (String, Vec<Box<dyn ToSql>>) {
    let by_index = filter.request.is_some() || filter.serial.is_some();
    let through = match filter.name {
        // CROSS JOIN keeps the order: a name is rarer than anything else.
        Some(_) => Through::new(
            "name n CROSS JOIN record r ON r.idx = n.idx",
            "n.idx",
            walk,
            range,
            Vec::new(),
        ),
        None if by_index => Through::new("record r", "r.idx", walk, range, Vec::new()),
        None => Through::new("record r", "r.idx", walk, range, wanted(filter)),
    };
    let Through {
        from,
        condition,
        mut params,
        order,
    } = through;
    let mut sql = format!(
        "SELECT r.idx, r.time, r.kind, r.caller, r.request, r.profile, r.key, r.serial FROM {from} WHERE {condition}"
    );
    for (condition, value) in conditions(filter) {
        sql.push_str(condition);
        params.push(value);
    }
    sql.push_str(&format!(" ORDER BY {order} LIMIT ?"));
    params.push(Box::new(page_rows(limit)));
    (sql, params)
}

/// What a record must have, as far as blocks tell; what is rarer comes first.
fn wanted(filter: &Filter) -> Vec<(Of, String)> {
    let common = |kind: &String| matches!(kind.as_str(), "intent" | "issued");
    let kind = filter.kind.as_ref().map(|v| (Of::Kind, v.clone()));
    let (common, rare): (Option<_>, Option<_>) = match &filter.kind {
        Some(name) if common(name) => (kind, None),
        _ => (None, kind),
    };
    let caller = filter.caller.as_ref().map(|v| (Of::Caller, v.to_string()));
    let profile = filter.profile.as_ref().map(|v| (Of::Profile, v.to_string()));
    let key = filter.key.as_ref().map(|v| (Of::Key, v.to_string()));
    [rare, caller, profile, key, common].into_iter().flatten().collect()
}

fn conditions(filter: &Filter) -> Vec<Condition> {
    fn text<T: ToString>(condition: &'static str, value: Option<&T>) -> Option<Condition> {
        value.map(|value| (condition, Box::new(value.to_string()) as _))
    }
    [
        text(" AND n.text = ?", filter.name.as_ref()),
        text(" AND r.kind = ?", filter.kind.as_ref()),
        text(" AND r.caller = ?", filter.caller.as_ref()),
        text(" AND r.request = ?", filter.request.as_ref()),
        text(" AND r.profile = ?", filter.profile.as_ref()),
        text(" AND r.key = ?", filter.key.as_ref()),
        text(" AND r.serial = ?", filter.serial.as_ref()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn record_row(row: &Row<'_>) -> rusqlite::Result<RecordView> {
    Ok(RecordView {
        index: row.get::<_, Int>(0)?.0,
        time: row.get::<_, Millis>(1)?.0,
        kind: row.get(2)?,
        caller: row.get::<_, Option<Text<CallerSan>>>(3)?.map(|t| t.0),
        request: row.get::<_, Option<Text<RequestId>>>(4)?.map(|t| t.0),
        profile: row.get::<_, Option<Text<ProfileName>>>(5)?.map(|t| t.0),
        key: row.get::<_, Option<Text<KeyName>>>(6)?.map(|t| t.0),
        serial: row.get::<_, Option<Text<Serial>>>(7)?.map(|t| t.0),
    })
}
