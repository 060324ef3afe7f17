//! What a ceremony's log says: where a run goes on, and what a transcript is held against.

mod standing;

use std::collections::BTreeMap;

use super::script::ROOT_KEY;
use crate::crl::parse_tbs_crl;
use crate::error::Error;
use crate::keycheck::PublicKey;
use crate::record::{
    Authority, Body, BundleAdopted, CeremonyNote, Chunk, ChunkSource, Genesis, Intent, Issued, KeyRole, LogPurpose,
    Plan, Purpose, Record, Revocation, SignerRequest,
};
use crate::types::{Digest, Time};

pub use standing::Certified;
use standing::Gone;

/// The subject of the note with which a later ceremony begins; its text is the ceremony's number.
pub const NUMBER_NOTE: &str = "ceremony";

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

/// One of the ceremonies of a log: from where it begins to where the next one does.
#[derive(Clone, Debug, Default)]
pub struct Sitting {
    /// The index of its first record.
    pub begins: u64,
    /// What people did or said.
    pub notes: Vec<CeremonyNote>,
    /// What the signer asked.
    pub request: Option<Found<SignerRequest>>,
    /// The plan.
    pub plan: Option<Found<Plan>>,
    /// Attempts at each step of the plan, in order.
    pub attempts: BTreeMap<u32, Vec<Attempt>>,
    /// Digest of the manifest, once the ceremony was closed.
    pub closed: Option<Digest>,
}

impl Sitting {
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
}

/// A ceremony's log, sorted by what it says.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Record 0.
    pub genesis: Genesis,
    /// The root key.
    pub root: Option<PublicKey>,
    /// The authority bundles, in order.
    pub bundles: Vec<Found<BundleAdopted>>,
    /// The revocations, in order.
    pub revocations: Vec<Found<Revocation>>,
    /// The ceremonies before the newest one.
    pub earlier: Vec<Sitting>,
    /// The newest ceremony.
    pub sitting: Sitting,
    gone: Vec<Gone>,
    /// The numbers of the root's CRLs, each with the index of its intent.
    crls: Vec<(u64, u64)>,
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
            bundles: Vec::new(),
            revocations: Vec::new(),
            earlier: Vec::new(),
            sitting: Sitting::default(),
            gone: Vec::new(),
            crls: Vec::new(),
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
            Body::CeremonyNote(note) => self.note(index, note),
            Body::SignerRequest(body) => once(&mut self.sitting.request, Found { index, time, body }, index),
            Body::BundleAdopted(body) => {
                self.bundles.push(Found { index, time, body });
                Ok(())
            }
            Body::Plan(body) => once(&mut self.sitting.plan, Found { index, time, body }, index),
            Body::CeremonyClosed(closed) => once(&mut self.sitting.closed, closed.manifest, index),
            Body::Revocation(body) => {
                self.gone.extend(Gone::revoked(index, time, &body));
                self.revocations.push(Found { index, time, body });
                Ok(())
            }
            Body::Intent(intent) => self.intent(Found {
                index,
                time,
                body: *intent,
            }),
            Body::Issued(issued) => self.end(
                issued.intent,
                Outcome::Issued(Box::new(Found {
                    index,
                    time,
                    body: *issued,
                })),
            ),
            Body::Failed(failed) => self.end(failed.intent, Outcome::Failed(failed.reason)),
            Body::Unknown(unknown) => {
                self.gone.extend(Gone::unknown(index, time, &unknown));
                self.end(unknown.intent, Outcome::Unknown(unknown.reason))
            }
            _ => Ok(()),
        }
    }

    /// A later ceremony begins with its number; nothing else could tell where.
    fn note(&mut self, index: u64, note: CeremonyNote) -> Result<(), Error> {
        if note.subject == NUMBER_NOTE {
            let next = self.number() + 1;
            if note.text != next.to_string() {
                return Err(Error::malformed(
                    format!("record {index}, `{NUMBER_NOTE}`"),
                    format!("`{}`", note.text.escape_debug()),
                    format!("`{next}`, the number of the next ceremony"),
                ));
            }
            let begun = Sitting {
                begins: index,
                ..Sitting::default()
            };
            self.earlier.push(std::mem::replace(&mut self.sitting, begun));
        }
        self.sitting.notes.push(note);
        Ok(())
    }

    fn intent(&mut self, intent: Found<Intent>) -> Result<(), Error> {
        let Authority::Plan { step, .. } = intent.body.authority else {
            return Ok(());
        };
        if intent.body.purpose == Purpose::Crl {
            let crl = parse_tbs_crl(&intent.body.tbs.resolve(self)?)?;
            self.crls.push((intent.index, crl.number));
        }
        let attempt = Attempt { intent, outcome: None };
        self.sitting.attempts.entry(step).or_default().push(attempt);
        Ok(())
    }

    fn end(&mut self, intent: u64, outcome: Outcome) -> Result<(), Error> {
        // A restart may find out only in the next ceremony that nobody knows.
        let sittings = self.earlier.iter_mut().chain([&mut self.sitting]);
        let mut attempts = sittings.flat_map(|sitting| sitting.attempts.values_mut()).flatten();
        // An intent that is no plan's: the root key's own CSR under `bootstrap`.
        let Some(attempt) = attempts.find(|a| a.intent.index == intent) else {
            return Ok(());
        };
        once(&mut attempt.outcome, outcome, intent)
    }

    /// The number of the newest ceremony, from 1.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.earlier.len() + 1
    }

    /// The signer's request that an earlier ceremony recorded last.
    #[must_use]
    pub fn request_before(&self) -> Option<&SignerRequest> {
        let requests = self.earlier.iter().rev().filter_map(|s| s.request.as_ref());
        requests.map(|found| &found.body).next()
    }

    /// Whether the newest ceremony itself adopted the first bundle.
    #[must_use]
    pub fn first_bundle_is_new(&self) -> bool {
        self.bundles
            .first()
            .is_some_and(|found| found.index >= self.sitting.begins)
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
