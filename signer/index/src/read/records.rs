//! Records by what they are about.

use rusqlite::Row;
use rusqlite::types::ToSql;
use stele_core::types::{CallerSan, KeyName, ProfileName, RequestId, Serial};

use super::{Reader, Walk, beginning, page, page_rows};
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
        // A name is rarer than anything else, so the records are reached through it; CROSS JOIN keeps that order.
        let (from, place) = match filter.name {
            Some(_) => ("name n CROSS JOIN record r ON r.idx = n.idx", "n.idx"),
            None => ("record r", "r.idx"),
        };
        let mut sql = format!(
            "SELECT r.idx, r.time, r.kind, r.caller, r.request, r.profile, r.key, r.serial FROM {from} WHERE {place} {}",
            walk.comparison()
        );
        let mut params: Vec<Box<dyn ToSql>> = vec![Box::new(walk.bound())];
        for (condition, value) in conditions(filter) {
            sql.push_str(condition);
            params.push(value);
        }
        sql.push_str(&format!(" ORDER BY {place} {} LIMIT ?", walk.direction()));
        params.push(Box::new(page_rows(limit)));
        let items = self.rows(&sql, rusqlite::params_from_iter(params), record_row)?;
        Ok(page(items, limit, |view| view.index))
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

fn conditions(filter: &Filter) -> Vec<Condition> {
    fn text<T: ToString>(condition: &'static str, value: Option<&T>) -> Option<Condition> {
        value.map(|value| (condition, Box::new(value.to_string()) as _))
    }
    // Times never go back in a log, so a range of times is a range of indexes.
    let from = " AND r.idx >= coalesce((SELECT idx FROM record WHERE time >= ? ORDER BY time, idx LIMIT 1), 9223372036854775807)";
    let until = " AND r.idx < coalesce((SELECT idx FROM record WHERE time >= ? ORDER BY time, idx LIMIT 1), 9223372036854775807)";
    [
        text(" AND n.text = ?", filter.name.as_ref()),
        text(" AND r.kind = ?", filter.kind.as_ref()),
        text(" AND r.caller = ?", filter.caller.as_ref()),
        text(" AND r.request = ?", filter.request.as_ref()),
        text(" AND r.profile = ?", filter.profile.as_ref()),
        text(" AND r.key = ?", filter.key.as_ref()),
        text(" AND r.serial = ?", filter.serial.as_ref()),
        filter.from.map(|time| (from, Box::new(Millis(time)) as _)),
        filter.until.map(|time| (until, Box::new(Millis(time)) as _)),
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
