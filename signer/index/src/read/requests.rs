//! Requests, proposals, intents.

use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension as _, Row};
use stele_core::record::{Purpose, RequestRef};
use stele_core::types::{CallerSan, ProfileName, RequestId, Serial};

use super::{Reader, Walk, collect, page, page_rows};
use crate::blocks::{Of, Through};
use crate::convert::{Int, Json, Millis, Text};
use crate::error::IndexError;
use crate::view::{
    DecisionView, IntentView, Page, ProposalView, Proposed, RequestFilter, RequestView, State, StateKind,
};

const REQUEST: &str = "SELECT r.first, r.caller, r.id, r.digest, r.attempt, r.profile, r.purpose, r.intent, r.last,
    r.state, r.proposal, i.key, i.serial";
const WITH_INTENT: &str = "LEFT JOIN intent i ON i.idx = r.intent";

impl Reader {
    /// The newest attempt at a request.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn request(&self, caller: &CallerSan, id: &RequestId) -> Result<Option<RequestView>, IndexError> {
        // Most often there is none, which one query tells.
        let known = "SELECT 1 FROM request WHERE caller = ?1 AND id = ?2";
        if self.row(known, (Text(caller), Text(id)), |_| Ok(()))?.is_none() {
            return Ok(None);
        }
        self.with(|connection| {
            let sql = format!("{REQUEST} FROM request r {WITH_INTENT} WHERE r.caller = ?1 AND r.id = ?2");
            let found = connection
                .prepare_cached(&sql)?
                .query_row((Text(caller), Text(id)), request_row)
                .optional()?;
            found.map(|row| row.view(connection)).transpose()
        })
    }

    /// Requests in the order in which they first appeared, from the one after `after` on; at most 1,000.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list_requests(
        &self,
        filter: &RequestFilter,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Page<RequestView>, IndexError> {
        self.walk_requests(filter, Walk::Forward(after), limit)
    }

    /// As [`Self::list_requests`], newest first, from the one before `before` on.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn newest_requests(
        &self,
        filter: &RequestFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<RequestView>, IndexError> {
        self.walk_requests(filter, Walk::Back(before), limit)
    }

    fn walk_requests(&self, filter: &RequestFilter, walk: Walk, limit: u32) -> Result<Page<RequestView>, IndexError> {
        let (sql, params) = query(filter, walk, limit);
        let items = self.with(|connection| {
            let found = collect(connection, &sql, rusqlite::params_from_iter(params), request_row)?;
            found.into_iter().map(|row| row.view(connection)).collect()
        })?;
        Ok(page(items, limit, |view: &RequestView| view.first))
    }

    /// The proposal recorded at `index`, whatever became of its request.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn proposal(&self, index: u64) -> Result<Option<Proposed>, IndexError> {
        let Ok(at) = i64::try_from(index) else { return Ok(None) };
        self.with(|connection| {
            let found = connection
                .prepare_cached(
                    "SELECT r.caller, r.id, p.attempt, p.digest, p.profile
                     FROM proposal p JOIN request r ON r.first = p.request WHERE p.idx = ?1",
                )?
                .query_row([at], |row| {
                    let request = RequestRef {
                        caller: row.get::<_, Text<_>>(0)?.0,
                        id: row.get::<_, Text<_>>(1)?.0,
                        attempt: row.get(2)?,
                        digest: row.get::<_, Text<_>>(3)?.0,
                    };
                    Ok((request, row.get::<_, Text<ProfileName>>(4)?.0))
                })
                .optional()?;
            let Some((request, profile)) = found else {
                return Ok(None);
            };
            Ok(Some(Proposed {
                request,
                profile,
                proposal: proposal_view(connection, index)?,
            }))
        })
    }

    /// Intents without an outcome.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open_intents(&self) -> Result<Vec<IntentView>, IndexError> {
        self.intents(StateKind::Intended)
    }

    /// Intents whose fate nobody knows; they count as signed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn unknown(&self) -> Result<Vec<IntentView>, IndexError> {
        self.intents(StateKind::Unknown)
    }

    fn intents(&self, fate: StateKind) -> Result<Vec<IntentView>, IndexError> {
        self.rows(
            "SELECT i.idx, i.time, r.caller, r.id, i.attempt, i.purpose, i.key, i.serial, i.not_after
             FROM intent i JOIN request r ON r.first = i.request
             WHERE i.fate = ?1 AND i.fate <> '\"issued\"' ORDER BY i.idx",
            [Json(fate)],
            |row| {
                Ok(IntentView {
                    index: row.get::<_, Int>(0)?.0,
                    time: row.get::<_, Millis>(1)?.0,
                    caller: row.get::<_, Text<_>>(2)?.0,
                    id: row.get::<_, Text<_>>(3)?.0,
                    attempt: row.get(4)?,
                    purpose: row.get::<_, Json<Purpose>>(5)?.0,
                    key: row.get::<_, Text<_>>(6)?.0,
                    serial: row.get::<_, Option<Text<Serial>>>(7)?.map(|t| t.0),
                    not_after: row.get::<_, Option<Millis>>(8)?.map(|t| t.0),
                })
            },
        )
    }
}

/// Few requests are not issued, and an index finds them; others are read through blocks.
fn query(filter: &RequestFilter, walk: Walk, limit: u32) -> (String, Vec<Box<dyn ToSql>>) {
    let open = filter.state.is_some_and(|state| state != StateKind::Issued);
    let caller = filter.caller.as_ref().map(|v| (Of::RequestCaller, v.to_string()));
    let profile = filter.profile.as_ref().map(|v| (Of::RequestProfile, v.to_string()));
    let wanted = caller.into_iter().chain(profile).filter(|_| !open).collect();
    let Through {
        from,
        condition,
        mut params,
        order,
    } = Through::new("request r", "r.first", walk, walk.range(), wanted);
    let mut sql = format!("{REQUEST} FROM {from} {WITH_INTENT} WHERE {condition}");
    let mut also = |condition: &str, value: Option<Box<dyn ToSql>>| {
        if let Some(value) = value {
            sql.push_str(condition);
            params.push(value);
        }
    };
    also(
        " AND r.caller = ?",
        filter.caller.clone().map(|v| Box::new(Text(v)) as _),
    );
    also(" AND r.state = ?", filter.state.map(|v| Box::new(Json(v)) as _));
    also(
        " AND r.profile = ?",
        filter.profile.clone().map(|v| Box::new(Text(v)) as _),
    );
    if open {
        sql.push_str(" AND r.state <> '\"issued\"'");
    }
    sql.push_str(&format!(" ORDER BY {order} LIMIT ?"));
    params.push(Box::new(page_rows(limit)));
    (sql, params)
}

/// A row of [`REQUEST`], whose state is still to be read from other tables.
struct RequestRow {
    view: RequestView,
    kind: StateKind,
    proposal: Option<u64>,
}

fn request_row(row: &Row<'_>) -> rusqlite::Result<RequestRow> {
    let intent = row.get::<_, Option<Int>>(7)?.map(|n| n.0);
    let last = row.get::<_, Int>(8)?.0;
    let kind = row.get::<_, Json<StateKind>>(9)?.0;
    let proposal = row.get::<_, Option<Int>>(10)?.map(|n| n.0);
    // Those of these states that need an intent or a proposal come from a record that set it.
    let (of_intent, of_proposal) = (intent.unwrap_or(last), proposal.unwrap_or(last));
    let state = match kind {
        StateKind::Refused | StateKind::Pending => State::Refused { refusal: last },
        StateKind::Denied => State::Denied {
            proposal: of_proposal,
            decision: last,
        },
        StateKind::Withdrawn => State::Withdrawn {
            proposal: of_proposal,
            withdrawal: last,
        },
        StateKind::Intended => State::Intended { intent: of_intent },
        StateKind::Issued => State::Issued {
            intent: of_intent,
            outcome: last,
            key: row.get::<_, Text<_>>(11)?.0,
            serial: row.get::<_, Option<Text<Serial>>>(12)?.map(|t| t.0),
        },
        StateKind::Failed => State::Failed {
            intent: of_intent,
            outcome: last,
        },
        StateKind::Unknown => State::Unknown {
            intent: of_intent,
            outcome: last,
        },
    };
    let view = RequestView {
        first: row.get::<_, Int>(0)?.0,
        caller: row.get::<_, Text<_>>(1)?.0,
        id: row.get::<_, Text<_>>(2)?.0,
        digest: row.get::<_, Text<_>>(3)?.0,
        attempt: row.get(4)?,
        profile: row.get::<_, Option<Text<ProfileName>>>(5)?.map(|t| t.0),
        purpose: row.get::<_, Option<Json<Purpose>>>(6)?.map(|t| t.0),
        intent,
        last,
        state,
    };
    Ok(RequestRow { view, kind, proposal })
}

impl RequestRow {
    fn view(mut self, connection: &Connection) -> rusqlite::Result<RequestView> {
        if let (StateKind::Pending, Some(proposal)) = (self.kind, self.proposal) {
            self.view.state = State::Pending(proposal_view(connection, proposal)?);
        }
        Ok(self.view)
    }
}

fn proposal_view(connection: &Connection, index: u64) -> rusqlite::Result<ProposalView> {
    let decisions = collect(
        connection,
        "SELECT idx, operator, approve, text FROM decision WHERE proposal = ?1 ORDER BY idx",
        [Int(index)],
        |row| {
            Ok(DecisionView {
                index: row.get::<_, Int>(0)?.0,
                operator: row.get::<_, Text<_>>(1)?.0,
                approve: row.get(2)?,
                text: row.get::<_, Json<_>>(3)?.0,
            })
        },
    )?;
    connection
        .prepare_cached("SELECT need, expires FROM proposal WHERE idx = ?1")?
        .query_row([Int(index)], |row| {
            Ok(ProposalView {
                index,
                need: row.get::<_, Json<_>>(0)?.0,
                expires: row.get::<_, Millis>(1)?.0,
                decisions,
            })
        })
}
