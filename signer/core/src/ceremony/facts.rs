//! What a ceremony's log says: where a run goes on, and what a transcript is held against.

use std::collections::BTreeMap;

use super::script::ROOT_KEY;
use crate::error::Error;
use crate::keycheck::PublicKey;
use crate::record::{
    Authority, Body, BundleAdopted, CeremonyNote, Chunk, ChunkSource, Genesis, Intent, Issued, KeyRole, LogPurpose,
    Plan, Record, SignerRequest,
};
use crate::types::{Digest, Time};

/// Something in the log and its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// The record's index.
    pub index: u64,
    /// The record's time.
    pub time: Time,
    /// What it says.
    pub body: T,
}

/// How far a step of the plan came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The intent.
    pub intent: Found<Intent>,
    /// Its outcome; none while it is open.
    pub outcome: Option<Outcome>,
}

/// What became of an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Signed.
    Issued(Box<Found<Issued>>),
    /// Not signed.
    Failed(String),
    /// Nobody knows.
    Unknown(String),
}

/// A ceremony's log, sorted by what it says.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Record 0.
    pub genesis: Genesis,
    /// The root key.
    pub root: Option<PublicKey>,
    /// What people did or said.
    pub notes: Vec<CeremonyNote>,
    /// What the signer asked.
    pub request: Option<Found<SignerRequest>>,
    /// The authority bundle.
    pub bundle: Option<Found<BundleAdopted>>,
    /// The plan.
    pub plan: Option<Found<Plan>>,
    /// Attempts at each step of the plan, in order.
    pub attempts: BTreeMap<u32, Vec<Attempt>>,
    /// Digest of the manifest, once the ceremony was closed.
    pub closed: Option<Digest>,
    chunks: BTreeMap<u64, Chunk>,
}

impl ChunkSource for Facts {
    fn chunk(&self, index: u64) -> Option<Chunk> {
        self.chunks.get(&index).cloned()
    }
}

impl Facts {
    /// Reads a log.
    ///
    /// # Errors
    /// When it is no ceremony's log, or says twice what can only be said once.
    pub fn read(records: Vec<Record>) -> Result<Self, Error> {
        let mut records = records.into_iter();
        let genesis = match records.next().map(|r| r.body) {
            Some(Body::Genesis(genesis)) if genesis.purpose == LogPurpose::Ceremony => genesis,
            _ => return Err(Error::malformed("record 0", "no genesis of a ceremony's log", "one")),
        };
        let mut facts = Self {
            genesis,
            root: None,
            notes: Vec::new(),
            request: None,
            bundle: None,
            plan: None,
            attempts: BTreeMap::new(),
            closed: None,
            chunks: BTreeMap::new(),
        };
        records.try_for_each(|record| facts.add(record))?;
        Ok(facts)
    }

    fn add(&mut self, record: Record) -> Result<(), Error> {
        let (index, time) = (record.index, record.time);
        match record.body {
            Body::KeyGenerated(key) if key.role == KeyRole::Ca && key.key.as_str() == ROOT_KEY => {
                once(&mut self.root, PublicKey::from_spki_der(&key.spki.0)?, index)
            }
            Body::Chunk(chunk) => {
                self.chunks.insert(index, chunk);
                Ok(())
            }
            Body::CeremonyNote(note) => {
                self.notes.push(note);
                Ok(())
            }
            Body::SignerRequest(body) => once(&mut self.request, Found { index, time, body }, index),
            Body::BundleAdopted(body) => once(&mut self.bundle, Found { index, time, body }, index),
            Body::Plan(body) => once(&mut self.plan, Found { index, time, body }, index),
            Body::CeremonyClosed(closed) => once(&mut self.closed, closed.manifest, index),
            Body::Intent(intent) => {
                if let Authority::Plan { step, .. } = intent.authority {
                    let intent = Found {
                        index,
                        time,
                        body: *intent,
                    };
                    self.attempts
                        .entry(step)
                        .or_default()
                        .push(Attempt { intent, outcome: None });
                }
                Ok(())
            }
            Body::Issued(issued) => self.end(
                issued.intent,
                Outcome::Issued(Box::new(Found {
                    index,
                    time,
                    body: *issued,
                })),
            ),
            Body::Failed(failed) => self.end(failed.intent, Outcome::Failed(failed.reason)),
            Body::Unknown(unknown) => self.end(unknown.intent, Outcome::Unknown(unknown.reason)),
            _ => Ok(()),
        }
    }

    fn end(&mut self, intent: u64, outcome: Outcome) -> Result<(), Error> {
        let attempt = self.attempts.values_mut().flatten().find(|a| a.intent.index == intent);
        // An intent that is no plan's: the root key's own CSR under `bootstrap`.
        let Some(attempt) = attempt else { return Ok(()) };
        once(&mut attempt.outcome, outcome, intent)
    }

    /// What a step brought forth, if it was carried out.
    #[must_use]
    pub fn issued(&self, step: u32) -> Option<&Found<Issued>> {
        self.attempts
            .get(&step)?
            .iter()
            .find_map(|attempt| match &attempt.outcome {
                Some(Outcome::Issued(issued)) => Some(issued.as_ref()),
                _ => None,
            })
    }

    /// Whether somebody noted exactly this.
    #[must_use]
    pub fn noted(&self, subject: &str, text: &str) -> bool {
        self.notes
            .iter()
            .any(|note| note.subject == subject && note.text == text)
    }

    /// The root key.
    ///
    /// # Errors
    /// When the log has none.
    pub fn root_key(&self) -> Result<&PublicKey, Error> {
        self.root
            .as_ref()
            .ok_or_else(|| Error::malformed("log", "no root key", "a key `root`, made by `init`"))
    }
}

fn once<T>(place: &mut Option<T>, value: T, index: u64) -> Result<(), Error> {
    if place.replace(value).is_some() {
        return Err(Error::malformed(
            format!("record {index}"),
            "a second one of its kind",
            "each once in a ceremony",
        ));
    }
    Ok(())
}
