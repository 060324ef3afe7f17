//! Everything that calls and workers share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use stele_core::door::Steps;
use stele_core::keeping::{Appended, Keeper as _, KeeperFault};
use stele_core::keycheck::PublicKey;
use stele_core::record::Body;
use stele_core::types::{CallerName, CallerSan, KeyName, Origin, Position, Serial};
use stele_index::{Index, Reader};
use stele_keeper_client::{Client, Status};
use tokio::sync::{Notify, watch};

use crate::config::{Config, duration};
use crate::error::SignerError;
use crate::exports;
use crate::floods::Floods;
use crate::follower::Doubts;
use crate::heard::Heard;
use crate::metrics::Metrics;
use crate::rates::Rates;
use crate::reservations::Reservations;
use crate::snapshot::Snapshot;
use crate::tree;
use crate::witness::Witnesses;

/// See the module.
pub(crate) struct Signer {
    /// The configuration.
    pub(crate) config: Config,
    /// The keeper.
    pub(crate) keeper: Client,
    /// The log's origin.
    pub(crate) origin: Origin,
    /// The log's verifier key.
    pub(crate) vkey: String,
    /// The CA keys that the keeper holds.
    pub(crate) held: ArcSwap<BTreeMap<KeyName, PublicKey>>,
    /// The index, for the one who follows the log.
    pub(crate) index: Mutex<Index>,
    /// The index, for look-ups.
    pub(crate) reader: Reader,
    /// What every call reads.
    pub(crate) snapshot: ArcSwap<Snapshot>,
    /// Whether a record that changes the snapshot was indexed since it was read.
    pub(crate) stale: AtomicBool,
    /// Appends that failed, so that the log may hold a record that the index has not read.
    pub(crate) doubts: Doubts,
    /// Records of this process that the index does not have yet.
    pub(crate) heard: Heard,
    /// One more than the index of the newest outcome that was answered; the index may be behind it.
    pub(crate) answered: AtomicU64,
    /// Wakes the worker that follows the log.
    pub(crate) grown: Notify,
    /// Tells how many records are indexed.
    pub(crate) indexed: watch::Sender<u64>,
    /// Requests under way.
    pub(crate) reservations: Reservations,
    /// Rate limits.
    pub(crate) rates: Rates,
    /// Keeps refusals from filling the log.
    pub(crate) floods: Floods,
    /// Wakes the worker that signs CRLs.
    pub(crate) crls_due: Notify,
    /// One CRL at a time: each needs the number after the one before.
    pub(crate) crl_turn: Mutex<()>,
    /// One proposal at a time: none may take the room that another counted.
    pub(crate) proposing: Mutex<()>,
    /// One signed file or hand-over at a time.
    pub(crate) apply_turn: Mutex<()>,
    /// How the witnesses stand.
    pub(crate) witnesses: Witnesses,
    /// Counters.
    pub(crate) metrics: Metrics,
    /// Random serials in stock.
    serials: Mutex<Vec<Serial>>,
    /// Told at every step of the door.
    pub(crate) steps: Arc<dyn Steps + Send + Sync>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// A caller whom the bundle lists.
    Caller {
        /// Its name there.
        name: CallerName,
        /// The identity in its certificate.
        san: CallerSan,
    },
    /// A local user of this machine.
    Local(CallerSan),
}

impl Who {
    /// The identity that records name.
    pub(crate) const fn san(&self) -> &CallerSan {
        match self {
            Self::Caller { san, .. } | Self::Local(san) => san,
        }
    }
}

fn held(status: &Status) -> Result<BTreeMap<KeyName, PublicKey>, SignerError> {
    let keys = status.keys.iter();
    keys.map(|k| Ok((k.name.clone(), PublicKey::from_spki_der(&k.spki)?)))
        .collect()
}

impl Signer {
    /// Connects to the keeper, opens the index, and refuses a log that is not the one it followed before.
    ///
    /// # Errors
    /// When the keeper does not answer, or the index does not open or disagrees with the log.
    pub(crate) fn open(config: Config, steps: Arc<dyn Steps + Send + Sync>) -> Result<Self, SignerError> {
        let keeper = Client::new(&config.keeper.socket);
        let status = keeper.status()?;
        let held = ArcSwap::from_pointee(held(&status)?);
        let index = Index::open(&config.index, &status.origin)?;
        index.check_log(status.size, |size| tree::root(&keeper, size))?;
        exports::check(&config.exports, (&status.origin, &status.vkey), status.size, |size| {
            tree::root(&keeper, size)
        })?;
        let reader = index.reader();
        let signer = Self {
            snapshot: ArcSwap::from_pointee(Snapshot::default()),
            stale: AtomicBool::new(true),
            doubts: Doubts::default(),
            heard: Heard::default(),
            answered: AtomicU64::new(0),
            grown: Notify::new(),
            indexed: watch::Sender::new(index.next()),
            config,
            keeper,
            origin: status.origin,
            vkey: status.vkey,
            held,
            index: Mutex::new(index),
            reader,
            reservations: Reservations::default(),
            rates: Rates::default(),
            floods: Floods::default(),
            crls_due: Notify::new(),
            crl_turn: Mutex::new(()),
            apply_turn: Mutex::new(()),
            witnesses: Witnesses::default(),
            proposing: Mutex::default(),
            metrics: Metrics::default(),
            serials: Mutex::new(Vec::new()),
            steps,
        };
        signer.follow()?;
        Ok(signer)
    }

    /// Asks the keeper again which keys it holds: the quorum may have had one generated or destroyed.
    ///
    /// # Errors
    /// When the keeper does not answer.
    pub(crate) fn refresh_held(&self) -> Result<(), SignerError> {
        self.held.store(Arc::new(held(&self.keeper.status()?)?));
        Ok(())
    }

    /// How long a signature may wait for the token.
    pub(crate) const fn deadline(&self) -> Duration {
        duration(self.config.limits.deadline)
    }

    /// A place in the log.
    pub(crate) fn position(&self, index: u64) -> Position {
        Position {
            origin: self.origin.clone(),
            index,
        }
    }

    /// Appends a record and waits until the index has it.
    ///
    /// # Errors
    /// When the keeper refuses it; when the index cannot follow, though the record stands.
    pub(crate) fn append(&self, body: &Body) -> Result<Appended, SignerError> {
        let at = self.keeper.append(body).inspect_err(|_| self.doubts.add())?;
        self.follow_through(at.index).inspect_err(|_| self.doubts.add())?;
        Ok(at)
    }

    /// A fresh serial. The token's randomness is fetched for many at a time.
    ///
    /// # Errors
    /// When the token gives none.
    pub(crate) fn serial(&self) -> Result<Serial, SignerError> {
        /// Octets of one serial (RFC 5280 section 4.1.2.2).
        const OCTETS: usize = 20;
        if let Some(serial) = self.serials.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(serial);
        }
        let random: [u8; 50 * OCTETS] = self.keeper.random()?;
        let (drawn, _) = random.as_chunks::<OCTETS>();
        let mut fresh: Vec<Serial> = drawn.iter().map(|entropy| Serial::from_entropy(*entropy)).collect();
        let serial = fresh
            .pop()
            .ok_or_else(|| KeeperFault::Lost("no random bytes".to_owned()))?;
        self.serials
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(&mut fresh);
        Ok(serial)
    }
}
