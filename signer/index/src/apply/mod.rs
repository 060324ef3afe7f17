//! What each record changes.

mod certificates;
mod epoch;
mod requests;
mod stop;

use std::cell::RefCell;
use std::fmt::Display;

use rusqlite::{OptionalExtension as _, Params, Row, Transaction};
use stele_core::record::{Body, Chunk, ChunkSource, Payload, Record};
use stele_core::types::{CallerSan, KeyName, ProfileName, RequestId, Serial, Time};

use crate::blocks::{Blocks, Of};
use crate::convert::{Int, Json, Millis, Text};

/// Chunks stand just before the record that names them (the widest gap is what concurrent writers append meanwhile);
/// those further back are forgotten, so that the index does not keep every CRL there ever was.
const CHUNKS_KEPT: u64 = 65_536;

/// What a record is about, as far as records are looked up by it.
#[derive(Default)]
struct About {
    caller: Option<CallerSan>,
    request: Option<RequestId>,
    profile: Option<ProfileName>,
    key: Option<KeyName>,
    serial: Option<Serial>,
}

/// One record on its way into the tables.
pub(crate) struct Step<'a> {
    tx: &'a Transaction<'a>,
    index: u64,
    time: Time,
    record: &'a Record,
    blocks: &'a RefCell<Blocks>,
}

impl<'a> Step<'a> {
    pub(crate) const fn new(tx: &'a Transaction<'a>, record: &'a Record, blocks: &'a RefCell<Blocks>) -> Self {
        Self {
            tx,
            index: record.index,
            time: record.time,
            record,
            blocks,
        }
    }

    pub(crate) fn apply(&self, body: &Body) -> rusqlite::Result<()> {
        let about = self.effect(body)?;
        self.note(Of::Kind, Some(&body.kind()), self.index);
        self.note(Of::Caller, about.caller.as_ref(), self.index);
        self.note(Of::Profile, about.profile.as_ref(), self.index);
        self.note(Of::Key, about.key.as_ref(), self.index);
        self.execute(
            "INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                Int(self.index),
                Millis(self.time),
                body.kind(),
                about.caller.map(Text),
                about.request.map(Text),
                about.profile.map(Text),
                about.key.map(Text),
                about.serial.map(Text),
            ),
        )
    }

    /// Makes what stands at `index` findable by a value that it may have.
    fn note(&self, of: Of, value: Option<&impl Display>, index: u64) {
        if let Some(value) = value {
            self.blocks.borrow_mut().note(of, value, index);
        }
    }

    fn effect(&self, body: &Body) -> rusqlite::Result<About> {
        match body {
            Body::Chunk(chunk) => self.chunk(chunk),
            Body::KeyGenerated(stele_core::record::KeyGenerated { key, .. })
            | Body::KeyDestroyed(stele_core::record::KeyDestroyed { key, .. }) => Ok(About {
                key: Some(key.clone()),
                ..About::default()
            }),
            Body::CarriedOver(carried) => self.carried_over(carried),
            Body::BundleAdopted(adopted) => self.bundle(adopted),
            Body::CaCertificate(ca) => self.ca_certificate(ca),
            Body::Proposal(proposal) => self.proposal(proposal),
            Body::Decision(decision) => self.decision(decision),
            Body::Withdrawal(withdrawal) => self.withdrawal(withdrawal),
            Body::Refusal(refused) => self.refusal(refused),
            Body::AccessRefused(refused) => Ok(About {
                caller: Some(refused.caller.clone()),
                ..About::default()
            }),
            Body::RefusalsCounted(counted) => Ok(About {
                caller: Some(counted.caller.clone()),
                ..About::default()
            }),
            Body::Intent(intent) => self.intent(intent),
            Body::Issued(issued) => self.issued(issued),
            Body::Failed(failed) => self.failed(failed),
            Body::Unknown(unknown) => self.unknown(unknown),
            Body::Revocation(revocation) => self.revocation(revocation),
            Body::Freeze(freeze) => self.freeze(freeze),
            Body::Unfreeze(unfreeze) => self.unfreeze(unfreeze),
            Body::Genesis(_)
            | Body::Started(_)
            | Body::Stopped(_)
            | Body::TokenLogin(_)
            | Body::ClockStep(_)
            | Body::SignerRequest(_)
            | Body::Plan(_)
            | Body::CeremonyNote(_)
            | Body::CeremonyClosed(_)
            | Body::CeremonyImported(_)
            | Body::EpochClosed(_)
            | Body::Recovery(_)
            | Body::WitnessResult(_)
            | Body::Cosigned(_)
            | Body::Halted(_) => Ok(About::default()),
        }
    }

    fn chunk(&self, chunk: &Chunk) -> rusqlite::Result<About> {
        self.execute("INSERT INTO chunk VALUES (?1, ?2)", (Int(self.index), Json(chunk)))?;
        let oldest = self.index.saturating_sub(CHUNKS_KEPT);
        self.execute("DELETE FROM chunk WHERE idx < ?1", [Int(oldest)])?;
        Ok(About::default())
    }

    /// The whole payload, or why the chunks that it names do not make it.
    fn whole(&self, payload: &Payload) -> rusqlite::Result<Result<Vec<u8>, stele_core::Error>> {
        let chunks = Chunks {
            step: self,
            failed: std::cell::Cell::new(None),
        };
        let whole = payload.resolve(&chunks);
        match chunks.failed.into_inner() {
            Some(error) => Err(error),
            None => Ok(whole),
        }
    }

    /// Notes that this record does not fit, and goes on.
    fn anomaly(&self, what: &str) -> rusqlite::Result<()> {
        self.execute(
            "INSERT INTO anomaly VALUES (?1, ?2) ON CONFLICT DO UPDATE SET what = what || '; ' || excluded.what",
            (Int(self.index), what),
        )
    }

    fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<()> {
        self.tx.prepare_cached(sql)?.execute(params).map(drop)
    }

    fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.tx.prepare_cached(sql)?.query_row(params, read).optional()
    }
}

/// The chunks in the index, as a source; it remembers when SQLite failed, which is no fault of the payload.
struct Chunks<'s, 'a> {
    step: &'s Step<'a>,
    failed: std::cell::Cell<Option<rusqlite::Error>>,
}

impl ChunkSource for Chunks<'_, '_> {
    fn chunk(&self, index: u64) -> Option<Chunk> {
        let at = i64::try_from(index).ok()?;
        let read = self.step.row("SELECT chunk FROM chunk WHERE idx = ?1", [at], |row| {
            row.get::<_, Json<Chunk>>(0)
        });
        match read {
            Ok(chunk) => chunk.map(|chunk| chunk.0),
            Err(error) => {
                self.failed.set(Some(error));
                None
            }
        }
    }
}
