//! Requests: from refusal or proposal to an outcome.

use rusqlite::Row;
use stele_core::record::{
    Decision, Failed, Intent, ProfileRef, Proposal, Purpose, Refused, RequestRef, Unknown, Withdrawal,
};
use stele_core::types::{CallerSan, Digest, KeyName, ProfileName, RequestId, Serial};

use super::{About, Step};
use crate::blocks::Of;
use crate::convert::{Int, Json, Millis, Text};
use crate::view::StateKind;

/// What is known of a request before this record.
struct Known {
    first: u64,
    digest: Digest,
    attempt: u32,
    proposal: Option<u64>,
    state: StateKind,
}

impl Step<'_> {
    /// A refusal tells where the request stands unless the id is bound to another digest, or a signature is under way
    /// or made.
    pub(super) fn refusal(&self, refused: &Refused) -> rusqlite::Result<About> {
        let (index, digest, profile) = (Int(self.index), Text(refused.digest), Text(&refused.profile));
        let refusal = Json(StateKind::Refused);
        let known = self.known(&refused.caller, &refused.id)?;
        let first = known.as_ref().map_or(self.index, |known| known.first);
        self.note(Of::RequestCaller, Some(&refused.caller), first);
        self.note(Of::RequestProfile, Some(&refused.profile), first);
        match known {
            None => self.execute(
                "INSERT INTO request VALUES (?1, ?2, ?3, ?4, 0, ?5, NULL, NULL, NULL, ?6, ?1)",
                (
                    index,
                    Text(&refused.caller),
                    Text(&refused.id),
                    digest,
                    profile,
                    refusal,
                ),
            )?,
            Some(known) if known.attempt == 0 => self.execute(
                "UPDATE request SET digest = ?2, profile = ?3, last = ?4 WHERE first = ?1",
                (Int(known.first), digest, profile, index),
            )?,
            Some(known) => {
                let signing = matches!(known.state, StateKind::Intended | StateKind::Issued);
                if known.digest == refused.digest && !signing {
                    self.set_state(known.first, StateKind::Refused)?;
                }
            }
        }
        Ok(About {
            caller: Some(refused.caller.clone()),
            request: Some(refused.id.clone()),
            profile: Some(refused.profile.clone()),
            ..About::default()
        })
    }

    pub(super) fn proposal(&self, proposal: &Proposal) -> rusqlite::Result<About> {
        let profile = Some(&proposal.profile);
        let (first, fits) = self.bind(&proposal.request, profile, proposal.purpose, StateKind::Pending)?;
        if fits {
            let sql = "UPDATE request SET proposal = ?2 WHERE first = ?1";
            self.execute(sql, (Int(first), Int(self.index)))?;
        }
        self.execute(
            "INSERT INTO proposal VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            (
                Int(self.index),
                Int(first),
                proposal.request.attempt,
                Text(proposal.request.digest),
                Text(&proposal.profile.name),
                Text(&proposal.key),
                Text(&proposal.serial),
                Json(&proposal.need),
                Millis(proposal.expires),
            ),
        )?;
        Ok(about(&proposal.request, profile, &proposal.key, Some(&proposal.serial)))
    }

    pub(super) fn decision(&self, decision: &Decision) -> rusqlite::Result<About> {
        self.execute(
            "INSERT INTO decision VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                Int(self.index),
                saturated(decision.proposal),
                Text(&decision.operator),
                decision.approve,
                Json(&decision.text),
            ),
        )?;
        let end = (!decision.approve).then_some(StateKind::Denied);
        self.about_proposal(decision.proposal, end)
    }

    pub(super) fn withdrawal(&self, withdrawal: &Withdrawal) -> rusqlite::Result<About> {
        let mut about = self.about_proposal(withdrawal.proposal, Some(StateKind::Withdrawn))?;
        about.caller.get_or_insert_with(|| withdrawal.caller.clone());
        Ok(about)
    }

    pub(super) fn intent(&self, intent: &Intent) -> rusqlite::Result<About> {
        let profile = intent.profile.as_ref();
        let (first, fits) = self.bind(&intent.request, profile, intent.purpose, StateKind::Intended)?;
        if fits {
            self.execute(
                "UPDATE request SET intent = ?2 WHERE first = ?1",
                (Int(first), Int(self.index)),
            )?;
        }
        self.execute(
            "INSERT INTO intent VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, NULL)",
            (
                Int(self.index),
                Millis(self.time),
                Int(first),
                intent.request.attempt,
                Json(intent.purpose),
                profile.map(|p| Text(&p.name)),
                Text(&intent.key),
                intent.serial.as_ref().map(Text),
                intent.not_after.map(Millis),
                Json(StateKind::Intended),
            ),
        )?;
        Ok(about(&intent.request, profile, &intent.key, intent.serial.as_ref()))
    }

    pub(super) fn failed(&self, failed: &Failed) -> rusqlite::Result<About> {
        self.fate(failed.intent, StateKind::Failed)
    }

    pub(super) fn unknown(&self, unknown: &Unknown) -> rusqlite::Result<About> {
        let mut about = self.fate(unknown.intent, StateKind::Unknown)?;
        about.key = Some(unknown.key.clone());
        about.serial.clone_from(&unknown.serial);
        Ok(about)
    }

    /// Records what became of an intent, and tells what that is about. Its request moves only with its newest intent; a second outcome changes
    /// nothing.
    pub(super) fn fate(&self, intent: u64, fate: StateKind) -> rusqlite::Result<About> {
        let read = |row: &Row<'_>| {
            let about = About {
                caller: Some(row.get::<_, Text<CallerSan>>(0)?.0),
                request: Some(row.get::<_, Text<RequestId>>(1)?.0),
                profile: row.get::<_, Option<Text<ProfileName>>>(2)?.map(|t| t.0),
                key: Some(row.get::<_, Text<KeyName>>(3)?.0),
                serial: row.get::<_, Option<Text<Serial>>>(4)?.map(|t| t.0),
            };
            let newest = row.get::<_, Option<Int>>(7)?.is_some_and(|newest| newest.0 == intent);
            Ok((
                about,
                row.get::<_, Json<StateKind>>(5)?.0,
                row.get::<_, Int>(6)?.0,
                newest,
            ))
        };
        let found = self.row(
            "SELECT r.caller, r.id, i.profile, i.key, i.serial, i.fate, i.request, r.intent
             FROM intent i JOIN request r ON r.first = i.request WHERE i.idx = ?1",
            [saturated(intent)],
            read,
        )?;
        let Some((about, before, first, newest)) = found else {
            self.anomaly(&format!(
                "an outcome of the intent at {intent}, which is not in the log before it"
            ))?;
            return Ok(About::default());
        };
        if before == StateKind::Intended {
            let sql = "UPDATE intent SET fate = ?2, fated = ?3 WHERE idx = ?1";
            self.execute(sql, (Int(intent), Json(fate), Int(self.index)))?;
            if newest {
                self.set_state(first, fate)?;
            }
        } else {
            self.anomaly(&format!(
                "a second outcome of the intent at {intent}, which is {before:?} already"
            ))?;
        }
        Ok(about)
    }

    /// Binds the id to the digest and moves the request on to this attempt. Gives the request's first record, and
    /// whether the attempt fits it.
    fn bind(
        &self,
        request: &RequestRef,
        profile: Option<&ProfileRef>,
        purpose: Purpose,
        state: StateKind,
    ) -> rusqlite::Result<(u64, bool)> {
        let first = match self.known(&request.caller, &request.id)? {
            Some(known) if known.attempt > 0 && known.digest != request.digest => {
                self.anomaly("another digest under a request id that is bound")?;
                return Ok((known.first, false));
            }
            Some(known) if request.attempt < known.attempt => {
                self.anomaly(&format!("attempt {} after attempt {}", request.attempt, known.attempt))?;
                return Ok((known.first, false));
            }
            Some(known) => known.first,
            None => self.index,
        };
        self.note(Of::RequestCaller, Some(&request.caller), first);
        self.note(Of::RequestProfile, profile.map(|p| &p.name), first);
        self.execute(
            "INSERT INTO request VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, NULL, ?8, ?9) ON CONFLICT (first) DO UPDATE
             SET digest = ?4, attempt = ?5, profile = ?6, purpose = ?7, state = ?8, last = ?9",
            (
                Int(first),
                Text(&request.caller),
                Text(&request.id),
                Text(request.digest),
                // A bound request is told from an unbound one by its attempt.
                request.attempt.max(1),
                profile.map(|p| Text(&p.name)),
                Json(purpose),
                Json(state),
                Int(self.index),
            ),
        )?;
        Ok((first, true))
    }

    /// What a record about a proposal is about; `end` is where it takes a request that waits for that proposal.
    fn about_proposal(&self, proposal: u64, end: Option<StateKind>) -> rusqlite::Result<About> {
        let read = |row: &Row<'_>| {
            let about = About {
                caller: Some(row.get::<_, Text<CallerSan>>(0)?.0),
                request: Some(row.get::<_, Text<RequestId>>(1)?.0),
                profile: Some(row.get::<_, Text<ProfileName>>(2)?.0),
                key: Some(row.get::<_, Text<KeyName>>(3)?.0),
                serial: Some(row.get::<_, Text<Serial>>(4)?.0),
            };
            Ok(about)
        };
        let found = self.row(
            "SELECT r.caller, r.id, p.profile, p.key, p.serial
             FROM proposal p JOIN request r ON r.first = p.request WHERE p.idx = ?1",
            [saturated(proposal)],
            read,
        )?;
        let (Some(caller), Some(id)) = found
            .as_ref()
            .map_or((None, None), |a| (a.caller.as_ref(), a.request.as_ref()))
        else {
            self.anomaly(&format!(
                "about the proposal at {proposal}, which is not in the log before it"
            ))?;
            return Ok(About::default());
        };
        if let (Some(end), Some(known)) = (end, self.known(caller, id)?)
            && known.state == StateKind::Pending
            && known.proposal == Some(proposal)
        {
            self.set_state(known.first, end)?;
        }
        Ok(found.unwrap_or_default())
    }

    fn known(&self, caller: &CallerSan, id: &RequestId) -> rusqlite::Result<Option<Known>> {
        self.row(
            "SELECT first, digest, attempt, proposal, state FROM request WHERE caller = ?1 AND id = ?2",
            (Text(caller), Text(id)),
            |row| {
                Ok(Known {
                    first: row.get::<_, Int>(0)?.0,
                    digest: row.get::<_, Text<Digest>>(1)?.0,
                    attempt: row.get(2)?,
                    proposal: row.get::<_, Option<Int>>(3)?.map(|n| n.0),
                    state: row.get::<_, Json<StateKind>>(4)?.0,
                })
            },
        )
    }

    fn set_state(&self, first: u64, state: StateKind) -> rusqlite::Result<()> {
        let sql = "UPDATE request SET state = ?2, last = ?3 WHERE first = ?1";
        self.execute(sql, (Int(first), Json(state), Int(self.index)))
    }
}

/// An index that a record names may be any number; beyond SQLite's integers there is no record.
fn saturated(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

fn about(request: &RequestRef, profile: Option<&ProfileRef>, key: &KeyName, serial: Option<&Serial>) -> About {
    About {
        caller: Some(request.caller.clone()),
        request: Some(request.id.clone()),
        profile: profile.map(|p| p.name.clone()),
        key: Some(key.clone()),
        serial: serial.cloned(),
    }
}
