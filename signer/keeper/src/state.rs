//! What the keeper must know to judge. It lies beside the entries and changes in the same transaction; in memory
//! there is a mirror of all but what only grows (serials and used approvals, which are looked up).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stele_core::authority::Bundle;
use stele_core::ceremony::CeremonyFile as _;
use stele_core::epoch::CarryOver;
use stele_core::record::{Body, FreezeTarget, Genesis, KeyGenerated, KeyRole, Purpose, Record, Successor};
use stele_core::types::{B64, Digest, KeyAlgorithm, KeyName, Origin, Serial, Time};
use stele_ledger::{Change, Ledger, LedgerReader};

use crate::error::{KeeperError, Stop};

/// Tables of the state.
pub(crate) mod table {
    /// Single values: `last_time`, `bundle`, `authority_origin`, `closed`, `cosigned`, `halted`.
    pub(crate) const META: &str = "meta";
    /// Key name to [`super::HeldKey`].
    pub(crate) const KEY: &str = "key";
    /// Key name to [`super::CaFacts`].
    pub(crate) const CA: &str = "ca";
    /// Index of an open intent to [`super::OpenIntent`].
    pub(crate) const OPEN: &str = "open";
    /// Freeze target to the index of its record.
    pub(crate) const FROZEN: &str = "frozen";
    /// Key and serial to [`super::Gone`]: what the next CRL must list.
    pub(crate) const GONE: &str = "gone";
    /// Key name to the number of its newest CRL.
    pub(crate) const CRL: &str = "crl";
    /// Digest of a used signed text to the index of its use.
    pub(crate) const USED: &str = "used";
    /// Plan index and step to the index of its intent.
    pub(crate) const STEP: &str = "step";
    /// Plan index to nothing: the plans that were accepted.
    pub(crate) const PLAN: &str = "plan";
    /// Key and serial to [`super::SerialUse`].
    pub(crate) const SERIAL: &str = "serial";
}

/// A key pair that the token holds for this log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldKey {
    /// What it signs.
    pub(crate) role: KeyRole,
    /// Its algorithm.
    pub(crate) algorithm: KeyAlgorithm,
    /// CKA_ID in hexadecimal.
    pub(crate) cka_id: String,
    /// Its SPKI.
    pub(crate) spki: B64,
    /// How it came into the token.
    #[serde(default = "generated")]
    pub(crate) provenance: String,
    /// Whether it was destroyed, or left behind with an earlier token; its name stays taken.
    #[serde(default)]
    pub(crate) gone: bool,
}

impl HeldKey {
    /// The key that a record says was generated.
    #[must_use]
    pub(crate) fn of(generated: &KeyGenerated) -> Self {
        Self {
            role: generated.role,
            algorithm: generated.algorithm,
            cka_id: generated.cka_id.clone(),
            spki: generated.spki.clone(),
            provenance: generated.provenance.clone(),
            gone: false,
        }
    }
}

fn generated() -> String {
    "generated".to_owned()
}

/// What matters of a CA certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CaFacts {
    /// Its subject, which must be the issuer of what its key signs.
    pub(crate) subject_der: B64,
    /// The end of its validity.
    pub(crate) not_after: Time,
}

/// An intent without an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenIntent {
    /// The key that was to sign.
    pub(crate) key: KeyName,
    /// The serial in it.
    pub(crate) serial: Option<Serial>,
    /// The end of its validity.
    pub(crate) not_after: Option<Time>,
}

/// A serial that the next CRL must list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gone {
    /// When it was revoked, or became unknown.
    pub(crate) time: Time,
    /// CRLReason code.
    pub(crate) reason: u8,
    /// Until when it must be listed.
    pub(crate) not_after: Time,
}

/// A serial that was put into an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SerialUse {
    /// The intent.
    pub(crate) intent: u64,
    /// What it is on.
    pub(crate) purpose: Purpose,
    /// The end of its validity.
    pub(crate) not_after: Time,
}

/// The newest bundle.
#[derive(Debug)]
pub(crate) struct Adopted {
    /// Index of its record.
    pub(crate) index: u64,
    /// The bundle.
    pub(crate) bundle: Bundle,
}

/// The mirror.
#[derive(Debug)]
pub(crate) struct State {
    /// Record 0.
    pub(crate) genesis: Genesis,
    /// The time of the newest record.
    pub(crate) last_time: Time,
    /// The newest bundle.
    pub(crate) bundle: Option<Arc<Adopted>>,
    /// The origin that bundle texts name: that of the ceremony of the first one.
    pub(crate) authority_origin: Option<Origin>,
    /// The keys.
    pub(crate) keys: BTreeMap<KeyName, HeldKey>,
    /// The CA certificates.
    pub(crate) cas: BTreeMap<KeyName, CaFacts>,
    /// Intents without an outcome.
    pub(crate) open: BTreeMap<u64, OpenIntent>,
    /// What is frozen.
    pub(crate) frozen: HashSet<FreezeTarget>,
    /// What the next CRLs must list.
    pub(crate) gone: BTreeMap<(KeyName, Serial), Gone>,
    /// Numbers of the newest CRLs.
    pub(crate) crl_numbers: HashMap<KeyName, u64>,
    /// Why signing has halted until operators confirm this history.
    pub(crate) halted: Option<String>,
    /// The log that goes on, once this one is closed.
    pub(crate) closed: Option<Successor>,
    /// What the batch under way puts into tables that are looked up on disk, where it is not yet.
    fresh: HashSet<(&'static str, Vec<u8>)>,
}

/// Why nothing is signed in a closed epoch.
#[must_use]
pub(crate) fn closed_epoch(successor: &Successor) -> Stop {
    Stop::Log(format!(
        "the epoch is closed and `{}` goes on; this log appends and signs nothing more",
        successor.origin
    ))
}

/// What threads beside the writer judge by. It is of the durable state and never of a batch under way, so that nobody
/// waits for a sync in order to read it.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// The time of the newest record.
    pub(crate) last_time: Time,
    /// The newest bundle.
    pub(crate) bundle: Option<Arc<Adopted>>,
    /// The origin that bundle texts name.
    pub(crate) authority_origin: Option<Origin>,
    /// What is frozen.
    pub(crate) frozen: HashSet<FreezeTarget>,
    /// Why signing has halted until operators confirm this history.
    pub(crate) halted: Option<String>,
}

impl Standing {
    /// The digest of the newest bundle.
    pub(crate) fn bundle_digest(&self) -> Option<Digest> {
        self.bundle.as_ref().map(|a| a.bundle.digest())
    }
}

/// Two parts of a state key; names have no NUL.
#[must_use]
pub(crate) fn pair(name: &str, rest: &[u8]) -> Vec<u8> {
    [name.as_bytes(), &[0], rest].concat()
}

/// Reads a JSON value of the state.
///
/// # Errors
/// When it is damaged.
pub(crate) fn decode<T: DeserializeOwned>(table: &str, value: &[u8]) -> Result<T, KeeperError> {
    serde_json::from_slice(value).map_err(|e| {
        KeeperError::Stopped(format!(
            "the keeper's state, table {table}: {e}; restore the log from its backup"
        ))
    })
}

/// A change that puts a JSON value.
///
/// # Errors
/// When it cannot be encoded.
pub(crate) fn put<T: Serialize>(table: &'static str, key: Vec<u8>, value: &T) -> Result<Change, KeeperError> {
    let value = serde_json::to_vec(value).map_err(|e| KeeperError::Refused(e.to_string()))?;
    Ok(Change::Put { table, key, value })
}

/// Looks up a JSON value.
///
/// # Errors
/// When the store fails or the value is damaged.
pub(crate) fn get<T: DeserializeOwned>(
    ledger: &Ledger,
    table: &'static str,
    key: &[u8],
) -> Result<Option<T>, KeeperError> {
    ledger.get_state(table, key)?.map(|v| decode(table, &v)).transpose()
}

fn map<K: Ord, V: DeserializeOwned>(
    ledger: &Ledger,
    table: &'static str,
    key: impl Fn(&[u8]) -> Option<K>,
) -> Result<BTreeMap<K, V>, KeeperError> {
    ledger
        .scan_state(table, b"")?
        .into_iter()
        .map(|(k, v)| {
            let damaged = || {
                KeeperError::Stopped(format!(
                    "the keeper's state, table {table}: a damaged key; restore the log from its backup"
                ))
            };
            Ok((key(&k).ok_or_else(damaged)?, decode(table, &v)?))
        })
        .collect()
}

fn name(key: &[u8]) -> Option<KeyName> {
    std::str::from_utf8(key).ok()?.parse().ok()
}

fn index(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}

fn name_and_serial(key: &[u8]) -> Option<(KeyName, Serial)> {
    let at = key.iter().position(|b| *b == 0)?;
    Some((name(key.get(..at)?)?, Serial::from_unsigned(key.get(at + 1..)?).ok()?))
}

/// The bundle that the record at `index` brought: by adoption, or from the log before.
fn adopted(reader: &LedgerReader, index: u64) -> Result<Adopted, KeeperError> {
    let chunks = crate::reading::Chunks(reader);
    let bundle = match Record::decode(&reader.entry(index)?)?.body {
        Body::BundleAdopted(adopted) => Bundle::parse(&adopted.bundle.resolve(&chunks)?)?,
        Body::CarriedOver(carried) => {
            let bytes = carried.carry_over.resolve(&chunks)?;
            Bundle::parse(CarryOver::decode(&bytes)?.bundle.as_bytes())?
        }
        other => {
            return Err(KeeperError::Stopped(format!(
                "record {index} is of kind {}, not bundle_adopted or carried_over",
                other.kind()
            )));
        }
    };
    Ok(Adopted { index, bundle })
}

impl State {
    /// Reads the mirror from the store; the time it takes does not depend on the log's size.
    ///
    /// # Errors
    /// When the store fails or something in it is damaged.
    pub(crate) fn load(ledger: &Ledger) -> Result<Self, KeeperError> {
        let reader = ledger.reader()?;
        let genesis = match Record::decode(&reader.entry(0)?)?.body {
            Body::Genesis(genesis) => genesis,
            other => {
                return Err(KeeperError::Stopped(format!(
                    "record 0 is of kind {}, not genesis: this is no log of a keeper",
                    other.kind()
                )));
            }
        };
        let bundle = match get::<u64>(ledger, table::META, b"bundle")? {
            None => None,
            Some(index) => Some(Arc::new(adopted(&reader, index)?)),
        };
        let frozen: BTreeMap<Vec<u8>, u64> = map(ledger, table::FROZEN, |k| Some(k.to_vec()))?;
        Ok(Self {
            genesis,
            last_time: get(ledger, table::META, b"last_time")?.unwrap_or(Time::from_secs(0)),
            bundle,
            authority_origin: get(ledger, table::META, b"authority_origin")?,
            keys: map(ledger, table::KEY, name)?,
            cas: map(ledger, table::CA, name)?,
            open: map(ledger, table::OPEN, index)?,
            frozen: frozen
                .keys()
                .map(|k| decode(table::FROZEN, k))
                .collect::<Result<_, _>>()?,
            gone: map(ledger, table::GONE, name_and_serial)?,
            crl_numbers: map(ledger, table::CRL, name)?.into_iter().collect(),
            closed: get(ledger, table::META, b"closed")?,
            fresh: HashSet::new(),
            halted: get(ledger, table::META, b"halted")?,
        })
    }

    /// Forgets what earlier batches put: it is on disk by now.
    pub(crate) fn begin_batch(&mut self) {
        self.fresh.clear();
    }

    /// Notes what a record of the batch under way puts.
    pub(crate) fn note_fresh(&mut self, changes: &[Change]) {
        let looked_up = [table::USED, table::STEP, table::SERIAL];
        let puts = changes.iter().filter_map(|change| match change {
            Change::Put { table, key, .. } if looked_up.contains(table) => Some((*table, key.clone())),
            _ => None,
        });
        self.fresh.extend(puts);
    }

    /// Whether a key stands in a table: on disk, or put by an earlier record of the batch under way.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn is_taken(&self, ledger: &Ledger, table: &'static str, key: &[u8]) -> Result<bool, KeeperError> {
        Ok(self.fresh.contains(&(table, key.to_vec())) || ledger.get_state(table, key)?.is_some())
    }

    /// Digest of the newest bundle.
    #[must_use]
    pub(crate) fn bundle_digest(&self) -> Option<Digest> {
        self.bundle.as_ref().map(|a| a.bundle.digest())
    }

    /// What others may see of it, once it is durable.
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            last_time: self.last_time,
            bundle: self.bundle.clone(),
            authority_origin: self.authority_origin.clone(),
            frozen: self.frozen.clone(),
            halted: self.halted.clone(),
        }
    }

    /// What a CRL of `key` signed at `now` must list.
    pub(crate) fn must_list<'s>(&'s self, key: &'s KeyName, now: Time) -> impl Iterator<Item = (&'s Serial, &'s Gone)> {
        self.gone
            .iter()
            .filter(move |((k, _), gone)| k == key && gone.not_after >= now)
            .map(|((_, serial), gone)| (serial, gone))
    }
}
