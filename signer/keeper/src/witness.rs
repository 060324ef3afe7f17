//! What witnesses cosigned, judged here: the signer only carries their answers. A hostile one can withhold them, and
//! then the permitted lag passes; it cannot make them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use stele_core::authority::{Authority, WitnessPolicy};
use stele_core::checkpoint::witness::CosignedCheckpoint;
use stele_core::checkpoint::{Checkpoint, Note, NoteVerifier};
use stele_core::record::{self, Body, Cosigned, HaltReason, Halted, Intent, LogPurpose, Purpose, Record};
use stele_core::types::Time;
use stele_ledger::{Change, Ledger};

use crate::clock::Reading;
use crate::error::KeeperError;
use crate::examine::{Asker, require};
use crate::keeper::Keeper;
use crate::state::{Standing, get, put, table};

/// The key of the newest cosigned checkpoint in the state.
const KEY: &[u8] = b"cosigned";
/// How long the newest checkpoint waits for its cosignatures before it is published without, in seconds.
const PUBLISH_PATIENCE: u64 = 10;

/// A checkpoint that witnesses cosigned, every signature in it verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    /// Its size.
    size: u64,
    /// The note.
    note: String,
    /// The verifier keys of those who cosigned: a later bundle may list other witnesses.
    by: Vec<String>,
}

impl Held {
    /// How many of the witnesses of `authority` cosigned.
    fn cosigners(&self, authority: &Authority) -> usize {
        let is_in = |key: &NoteVerifier| self.by.contains(&key.to_string());
        authority.witnesses().iter().filter(|w| is_in(&w.key)).count()
    }

    /// Both, where they are of the same checkpoint; else the newer one.
    fn with(self, other: &Self) -> Result<Self, KeeperError> {
        if other.size != self.size {
            return Ok(if other.size > self.size { other.clone() } else { self });
        }
        let (note, older): (Note, Note) = (self.note.parse()?, other.note.parse()?);
        let (mut merged, mut by) = (note, self.by);
        for line in older.signatures() {
            let there =
                |l: &stele_core::checkpoint::SignatureLine| (l.name(), l.key_id()) == (line.name(), line.key_id());
            if !merged.signatures().iter().any(there) {
                merged = merged.with_lines(&line.to_string())?;
            }
        }
        by.extend(other.by.iter().cloned());
        by.sort();
        by.dedup();
        Ok(Self {
            size: self.size,
            note: merged.to_string(),
            by,
        })
    }
}

/// The newest cosigned checkpoint, and the times of the records that the lag is measured from.
#[derive(Debug, Default)]
pub(crate) struct Witnesses {
    held: Mutex<Option<Arc<Held>>>,
    times: Mutex<BTreeMap<u64, Time>>,
}

impl Witnesses {
    /// What the store holds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn load(ledger: &Ledger) -> Result<Self, KeeperError> {
        let held = get::<Held>(ledger, table::META, KEY)?;
        Ok(Self {
            held: Mutex::new(held.map(Arc::new)),
            times: Mutex::default(),
        })
    }

    fn held(&self) -> Option<Arc<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the newer; answers with what has to be stored.
    fn keep(&self, fresh: Held) -> Result<Option<Change>, KeeperError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = match held.as_deref() {
            Some(older) => fresh.with(older)?,
            None => fresh,
        };
        if held.as_deref() == Some(&newest) {
            return Ok(None);
        }
        let change = put(table::META, KEY.to_vec(), &newest)?;
        *held = Some(Arc::new(newest));
        Ok(Some(change))
    }
}

/// The rules of the bundle in force, where it demands witnesses.
fn demanded(standing: &Standing) -> Option<(&Authority, &WitnessPolicy)> {
    let authority = standing.bundle.as_deref()?.bundle.authority();
    Some((authority, authority.witness_policy()?))
}

impl Keeper {
    /// Takes a checkpoint of this log that witnesses cosigned. Under a policy their number must be the quorum.
    ///
    /// # Errors
    /// When it is not by this log's key, a cosignature is forged, too few witnesses of the bundle cosigned, or it shows
    /// another history, which halts.
    pub(crate) fn cosigned(&self, note: &str) -> Result<(), KeeperError> {
        let standing = self.shared.standing();
        let authority = standing.bundle.as_deref().map(|a| a.bundle.authority());
        let witnesses = authority.map(Authority::witness_keys).unwrap_or_default();
        let opened = self.own_history(note, &witnesses)?;
        let needed = authority.and_then(Authority::witness_policy).map_or(1, |p| p.quorum);
        require(
            u32::try_from(opened.by.len()).is_ok_and(|by| by >= needed.max(1)),
            format!(
                "the checkpoint of size {} is cosigned by {} witnesses of the bundle; {needed} are needed",
                opened.checkpoint.size,
                opened.by.len()
            ),
        )?;
        // A reader of this checkpoint knows the witnesses of the bundle that lies under it, and no others.
        require(
            standing
                .bundle
                .as_deref()
                .is_none_or(|a| opened.checkpoint.size > a.index),
            "the checkpoint does not cover the bundle that lists its witnesses; a newer one does",
        )?;
        let fresh = Held {
            size: opened.checkpoint.size,
            note: opened.note.to_string(),
            by: opened.by.iter().map(ToString::to_string).collect(),
        };
        if let Some(change) = self.witnesses.keep(fresh)? {
            self.keep(change);
        }
        Ok(())
    }

    /// Looks at a checkpoint that somebody showed. One by another key is nothing; one by this log's key must be of this
    /// history, or signing halts.
    ///
    /// # Errors
    /// When it does not read or is not by this log's key; when it shows another history.
    pub(crate) fn seen(&self, note: &str) -> Result<(), KeeperError> {
        self.own_history(note, &[]).map(drop)
    }

    /// Opens a note under this log's key and compares it with the log.
    fn own_history(&self, note: &str, witnesses: &[NoteVerifier]) -> Result<CosignedCheckpoint, KeeperError> {
        let log: NoteVerifier = self.genesis.vkey.parse()?;
        let opened = CosignedCheckpoint::open(note, &log, witnesses)?;
        let Checkpoint { size, root, .. } = opened.checkpoint;
        let known = self.size();
        let (reason, found) = if size > known {
            let found = format!("a checkpoint under this log's own key over {size} entries; the log has {known}");
            (HaltReason::LargerLog, found)
        } else {
            let own = self.readers.with(|r| r.root_at(size).map_err(KeeperError::from))?;
            if own == root {
                return Ok(opened);
            }
            let found =
                format!("a checkpoint under this log's own key with root {root} at size {size}; here it is {own}");
            (HaltReason::ConflictingCheckpoint, found)
        };
        // Without foreign lines the record is small, whoever sent the note.
        let checkpoint = Some(opened.note.to_string());
        self.halt(Halted {
            reason,
            found: found.clone(),
            checkpoint,
        })?;
        Err(KeeperError::Stopped(format!(
            "witnesses: {found}; nothing is signed any more"
        )))
    }

    fn halt(&self, halted: Halted) -> Result<(), KeeperError> {
        tracing::error!(found = %halted.found, "signing halts");
        if self.shared.standing().halted.is_some() {
            return Ok(());
        }
        let found = halted.found.clone();
        self.append(Body::Halted(halted), Asker::Itself)
            .map(drop)
            // What cannot be recorded stops all the same, for this life; the other checkpoint will be seen again.
            .inspect_err(|_| {
                self.shared
                    .set_stopped(Some(crate::error::Stop::Log(format!("witnesses: {found}"))))
            })
    }

    /// The newest checkpoint, with its cosignatures where it has them.
    ///
    /// # Errors
    /// When the token does not sign one in time.
    pub(crate) fn checkpoint(&self) -> Result<String, KeeperError> {
        let (size, note) = self.newest_checkpoint()?;
        let held = self.witnesses.held().filter(|held| held.size == size);
        Ok(held.map_or(note, |held| held.note.clone()))
    }

    /// The checkpoint for the public: under a policy the newest that the quorum cosigned, unless that lags more than a
    /// short time behind; then the newest.
    ///
    /// # Errors
    /// When the token does not sign one in time.
    pub(crate) fn published(&self) -> Result<String, KeeperError> {
        let standing = self.shared.standing();
        if let Some((authority, policy)) = demanded(&standing)
            && let Some(held) = self.quorum_of(authority, policy)
        {
            let since = self.uncovered_since(&standing, held.size)?;
            let waits = since
                .zip(self.now())
                .is_none_or(|((_, since), now)| now < since.plus_secs(PUBLISH_PATIENCE));
            if waits {
                return Ok(held.note.clone());
            }
        }
        self.checkpoint()
    }

    fn quorum_of(&self, authority: &Authority, policy: &WitnessPolicy) -> Option<Arc<Held>> {
        self.witnesses
            .held()
            .filter(|held| policy.is_met_by(held.cosigners(authority)))
    }

    fn now(&self) -> Option<Time> {
        match self.shared.clock.lock().unwrap_or_else(PoisonError::into_inner).read() {
            Reading::Good(now) => Some(now),
            Reading::Stepped { .. } => None,
        }
    }

    /// The first record that the witnessed checkpoint of `covered` entries leaves out, and since when it waits: a
    /// bundle's demands begin with its adoption.
    fn uncovered_since(&self, standing: &Standing, covered: u64) -> Result<Option<(u64, Time)>, KeeperError> {
        if covered >= self.size() {
            return Ok(None);
        }
        let adopted = standing.bundle.as_ref().map_or(0, |a| a.index);
        let since = self.time_of(covered)?.max(self.time_of(adopted)?);
        let mut times = self.witnesses.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.retain(|index, _| *index == covered || *index == adopted);
        Ok(Some((covered, since)))
    }

    fn time_of(&self, index: u64) -> Result<Time, KeeperError> {
        let times = || self.witnesses.times.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(time) = times().get(&index) {
            return Ok(*time);
        }
        let entry = self.readers.with(|r| r.entry(index).map_err(KeeperError::from))?;
        let time = Record::decode(&entry)?.time;
        times().insert(index, time);
        Ok(time)
    }

    /// Why no certificate is signed at the moment, for want of witnesses.
    #[must_use]
    pub(crate) fn unwitnessed(&self) -> Option<String> {
        self.require_lag(&self.shared.standing()).err().map(|e| e.to_string())
    }

    fn require_lag(&self, standing: &Standing) -> Result<(), KeeperError> {
        let Some((authority, policy)) = demanded(standing).filter(|_| self.genesis.purpose == LogPurpose::Signer)
        else {
            return Ok(());
        };
        let (Some(lag), Some(now)) = (policy.max_lag, self.now()) else {
            return Ok(());
        };
        let covered = self.quorum_of(authority, policy).map_or(0, |held| held.size);
        match self.uncovered_since(standing, covered)? {
            Some((index, since)) if now > since.plus_secs(lag.0) => Err(KeeperError::Stopped(format!(
                "witnesses: record {index} waits since {since} for a checkpoint that {} of them cosigned, longer than \
                 the bundle's witness_policy.max_lag of {lag}; `witness_result` records and the signer's log say which \
                 fail and why; signing goes on by itself when they cosign",
                policy.quorum
            ))),
            _ => Ok(()),
        }
    }

    /// What must hold of witnesses before an intent is recorded, and again before it is signed. Revocation goes on: CRLs
    /// wait for nobody.
    ///
    /// # Errors
    /// When the permitted lag is passed, or signing has halted.
    pub(crate) fn require_witnessed(&self, intent: &Intent) -> Result<(), KeeperError> {
        if intent.authority == record::Authority::Bootstrap || self.genesis.purpose == LogPurpose::Ceremony {
            return Ok(());
        }
        let standing = self.shared.standing();
        if let Some(why) = &standing.halted {
            return Err(KeeperError::Stopped(why.clone()));
        }
        match intent.purpose {
            Purpose::Crl => Ok(()),
            _ => self.require_lag(&standing),
        }
    }

    /// Where the bundle wants the intents of CA certificates witnessed: that this one is, recorded before the key is
    /// called. A ceremony has no network and no witnesses; its people are.
    ///
    /// # Errors
    /// When no checkpoint that covers it is cosigned by the quorum, or that cannot be recorded.
    pub(crate) fn require_cosigned(&self, index: u64, intent: &Intent) -> Result<(), KeeperError> {
        let standing = self.shared.standing();
        let certifies_ca = matches!(intent.purpose, Purpose::Intermediate | Purpose::Root);
        let Some((authority, policy)) = demanded(&standing)
            .filter(|(_, policy)| policy.ca_intents && certifies_ca && self.genesis.purpose == LogPurpose::Signer)
        else {
            return Ok(());
        };
        let held = self.quorum_of(authority, policy).filter(|held| held.size > index);
        let held = held.ok_or_else(|| {
            KeeperError::Stopped(format!(
                "witnesses: the bundle's witness_policy.ca_intents wants the intent at {index} under a checkpoint that {} \
                 of them cosigned, and there is none yet; ask again when they answer",
                policy.quorum
            ))
        })?;
        let checkpoint = held.note.clone();
        self.append(
            Body::Cosigned(Cosigned {
                intent: index,
                checkpoint,
            }),
            Asker::Itself,
        )
        .map(drop)
    }
}
