//! The keeper: token, log and judgement behind one set of operations, used by the socket and by `init`.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use stele_core::authority::texts::KeyText;
use stele_core::checkpoint::NoteVerifier;
use stele_core::keeping::{Appended, Committed};
use stele_core::merkle::HashReader as _;
use stele_core::record::{Body, Genesis, KeyRole};
use stele_core::types::{Digest, KeyName, SignedText};
use stele_hsm::{SignError, Token, TokenKey};
use stele_ledger::{Change, Ledger, RecentHashes};

use crate::admit::{still_complete, still_permitted};
use crate::checkpoints::Checkpoints;
use crate::clock::{Clock, Reading};
use crate::config::Config;
use crate::connections::Connections;
use crate::error::{KeeperError, Stop};
use crate::examine::{Asker, Surroundings, examine};
use crate::live::Phase;
use crate::mending::Mending;
use crate::pace::Pace;
use crate::policy;
use crate::reading::Readers;
use crate::starting::{Threads, checkpoint_key, find_keys, restart_gap, spawn};
use crate::state::{Standing, State, closed_epoch};
use crate::watchdog::Watchdog;
use crate::witness::Witnesses;
use crate::writer::{Job, Shared, Written};

/// How long an outcome waits for its checkpoint.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(20);
/// Appends that may wait for the writer; more are refused as busy.
const QUEUE: usize = 4096;

/// The keeper.
pub(crate) struct Keeper {
    /// Random name of this life.
    pub(crate) instance: String,
    /// Record 0.
    pub(crate) genesis: Genesis,
    /// Readers of the log.
    pub(crate) readers: Readers,
    /// Ends the process when a call of the module hangs.
    pub(crate) watch: Arc<Watchdog>,
    /// The open connections.
    pub(crate) connections: Connections,
    recent: RecentHashes,
    first_bundle: Option<Digest>,
    token: Arc<Token>,
    keys: RwLock<BTreeMap<KeyName, TokenKey>>,
    pub(crate) shared: Arc<Shared>,
    /// What witnesses cosigned.
    pub(crate) witnesses: Witnesses,
    jobs: SyncSender<Job>,
}

impl Keeper {
    /// Opens the log, finds its keys in the token, and starts the threads. Nothing is appended.
    ///
    /// # Errors
    /// When the log or a key is not what it must be.
    pub(crate) fn open(config: &Config, token: Token, ledger: Ledger) -> Result<(Self, Threads), KeeperError> {
        let state = State::load(&ledger)?;
        let genesis = state.genesis.clone();
        if genesis.origin != config.origin || genesis.purpose != config.purpose {
            return Err(KeeperError::Config(format!(
                "origin and purpose: found `{}` and {:?}; the log at {} was made for `{}` and {:?}",
                config.origin,
                config.purpose,
                config.ledger.display(),
                genesis.origin,
                genesis.purpose
            )));
        }
        let keys = find_keys(&token, &state)?;
        let checkpoint_key = checkpoint_key(&state, &keys)?.clone();
        let vkey = NoteVerifier::for_key(&genesis.origin, &checkpoint_key.spki_der)?;
        if vkey.to_string() != genesis.vkey {
            return Err(KeeperError::Config(
                "the checkpoint key in the token is not that of the log's genesis".to_owned(),
            ));
        }
        let witnesses = Witnesses::load(&ledger)?;
        let clock = Clock::start(config.limits.clock_step());
        let stopped = match &state.closed {
            Some(successor) => Some(closed_epoch(successor)),
            None => restart_gap(&state, &clock, config).map(Stop::Clock),
        };
        let checkpoints = Checkpoints::new(
            genesis.origin.clone(),
            ledger.size(),
            ledger.root(),
            ledger.checkpoint(),
            Pace::new(config.token.sessions),
        );
        let shared = Arc::new(Shared {
            standing: Mutex::new(Arc::new(state.standing())),
            state: Mutex::new(state),
            lives: Default::default(),
            clock: Mutex::new(clock),
            checkpoints,
            stopped: Mutex::new(stopped),
            mending: Mending::default(),
        });
        let (jobs, receiver) = sync_channel(QUEUE);
        let token = Arc::new(token);
        let instance = stele_core::types::hex(&token.random(8)?);
        let watch = Arc::new(Watchdog::start(config.limits.module_call())?);
        let recent = ledger.recent_hashes();
        let threads = spawn(
            ledger,
            &shared,
            receiver,
            &jobs,
            (&token, &watch),
            checkpoint_key,
            &vkey,
        )?;
        let readers = Readers::new(config.ledger.clone());
        let keeper = Self {
            connections: Connections::new(instance.clone()),
            instance,
            genesis,
            readers,
            watch,
            recent,
            first_bundle: config.first_bundle,
            token,
            keys: RwLock::new(keys),
            shared,
            witnesses,
            jobs,
        };
        Ok((keeper, threads))
    }

    /// The CA keys.
    pub(crate) fn ca_keys(&self) -> Vec<TokenKey> {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let of_role = |key: &&TokenKey| state.keys.get(&key.name).is_some_and(|k| k.role == KeyRole::Ca);
        held.values().filter(of_role).cloned().collect()
    }

    /// Uses a key from now on, or no more.
    pub(crate) fn set_key(&self, name: &KeyName, key: Option<TokenKey>) {
        let mut held = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        match key {
            Some(key) => held.insert(name.clone(), key),
            None => held.remove(name),
        };
    }

    /// The key of this name in the token.
    ///
    /// # Errors
    /// When this keeper holds none.
    pub(crate) fn key(&self, name: &KeyName) -> Result<TokenKey, KeeperError> {
        let held = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        held.get(name)
            .cloned()
            .ok_or_else(|| KeeperError::refused(format!("the key `{name}` is not in the token")))
    }

    /// The token.
    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// What the state says of the newest bundle.
    pub(crate) fn standing(&self) -> Arc<Standing> {
        self.shared.standing()
    }

    /// Whether the epoch is closed: then nothing is appended and nothing but the last checkpoint is signed.
    pub(crate) fn is_closed(&self) -> bool {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed.is_some()
    }

    /// Whether the log has a key of this name, or had one: names are not used again.
    pub(crate) fn knows_key(&self, name: &KeyName) -> bool {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.keys.contains_key(name)
    }

    /// The durable size of the log.
    #[must_use]
    pub(crate) fn size(&self) -> u64 {
        self.shared.checkpoints.size()
    }

    /// Why nothing is signed, or nothing recorded, at the moment.
    #[must_use]
    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.shared
            .stopped()
            .or_else(|| self.shared.mending.failure().map(Stop::Log))
    }

    /// Index of the newest bundle's record.
    #[must_use]
    pub(crate) fn bundle_index(&self) -> Option<u64> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bundle
            .as_ref()
            .map(|b| b.index)
    }

    /// Appends a body; durable when this returns.
    ///
    /// # Errors
    /// When it may not be, or could not be made durable.
    pub(crate) fn append(&self, body: Body, asker: Asker) -> Result<Appended, KeeperError> {
        let bytes = body.encode()?;
        self.write(body, bytes, asker).map(|w| w.at)
    }

    /// As [`Keeper::append`], of a body in canonical JSON.
    ///
    /// # Errors
    /// As [`Keeper::append`], and when it does not read.
    pub(crate) fn append_encoded(&self, bytes: Vec<u8>, asker: Asker) -> Result<Written, KeeperError> {
        self.write(Body::decode(&bytes)?, bytes, asker)
    }

    /// As [`Keeper::append_encoded`], of an intent and nothing else.
    ///
    /// # Errors
    /// As [`Keeper::append_encoded`].
    pub(crate) fn append_intent(&self, bytes: Vec<u8>, asker: Asker) -> Result<Written, KeeperError> {
        let body = Body::decode(&bytes)?;
        if !matches!(body, Body::Intent(_)) {
            return Err(KeeperError::refused(format!(
                "a record of kind {} is no intent",
                body.kind()
            )));
        }
        self.write(body, bytes, asker)
    }

    /// What an examination needs to know now.
    fn surroundings(&self) -> Surroundings<'_> {
        let standing = self.shared.standing();
        let now = match self.shared.clock.lock().unwrap_or_else(PoisonError::into_inner).read() {
            Reading::Good(now) => now,
            Reading::Stepped { expected, .. } => expected.max(standing.last_time),
        };
        Surroundings {
            purpose: self.genesis.purpose,
            origin: &self.genesis.origin,
            bundle: standing.bundle.clone(),
            first_bundle: self.first_bundle,
            authority_origin: standing.authority_origin.clone(),
            now,
            readers: &self.readers,
        }
    }

    /// What operators' texts about a key say, once they suffice.
    ///
    /// # Errors
    /// When they do not.
    pub(crate) fn examine_key(&self, texts: &[SignedText]) -> Result<KeyText, KeeperError> {
        policy::examine_key(texts, &self.surroundings()).map(|(text, _)| text)
    }

    /// `bytes` are the body's canonical form.
    fn write(&self, body: Body, bytes: Vec<u8>, asker: Asker) -> Result<Written, KeeperError> {
        if let Body::Intent(intent) = &body {
            self.require_witnessed(intent)?;
        }
        let examined = examine(body, asker, &self.surroundings())?;
        let (reply, answer) = sync_channel(1);
        self.jobs
            .try_send(Job::Append(Box::new(examined), bytes, reply))
            .map_err(|e| match e {
                TrySendError::Full(_) => KeeperError::Busy(format!("{QUEUE} appends wait already; try again")),
                TrySendError::Disconnected(_) => KeeperError::Stopped("the keeper is shutting down".to_owned()),
            })?;
        answer
            .recv()
            .map_err(|_| KeeperError::Stopped("the keeper is shutting down".to_owned()))?
    }

    /// Signs the intent at `index`, once.
    ///
    /// # Errors
    /// [`KeeperError::FateUnknown`] when the key may have signed; anything else when it did not.
    pub(crate) fn sign(&self, index: u64, deadline: Duration) -> Result<Vec<u8>, KeeperError> {
        if let Some(stop) = self.shared.stopped() {
            return Err(stop.into());
        }
        self.shared.lives.call(index)?;
        let live = self
            .shared
            .lives
            .get(index)
            .ok_or_else(|| KeeperError::refused("the intent is gone"))?;
        let outcome = self.permit_and_sign(index, &live, deadline);
        let phase = match &outcome {
            Ok(signature) => Phase::Signed(signature.clone()),
            Err(KeeperError::FateUnknown(_)) => Phase::Unclear,
            Err(_) => Phase::NotSigned,
        };
        self.shared.lives.called(index, phase);
        if let Err(KeeperError::FateUnknown(why)) = &outcome {
            self.unknown(index, why)?;
        }
        outcome
    }

    fn permit_and_sign(
        &self,
        index: u64,
        live: &crate::live::Live,
        deadline: Duration,
    ) -> Result<Vec<u8>, KeeperError> {
        self.require_witnessed(&live.intent)?;
        self.require_cosigned(index, &live.intent)?;
        if live.intent.authority != stele_core::record::Authority::Bootstrap {
            let standing = self.shared.standing();
            still_permitted(&live.intent, standing.bundle_digest(), &standing.frozen)?;
        }
        if let Some(crl) = &live.crl {
            let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            still_complete(&state, &live.intent.key, crl, state.last_time)?;
        }
        let key = self.key(&live.intent.key)?;
        let _busy = self.shared.checkpoints.pace.signing();
        let _watched = self.watch.begin("sign");
        self.token
            .sign(&key, live.intent.algorithm, &live.tbs, deadline)
            .map_err(|error| match error {
                SignError::NotCalled(cause) => KeeperError::Token(cause),
                SignError::FateUnknown(cause) => KeeperError::FateUnknown(cause.to_string()),
            })
    }

    /// Appends an outcome and waits for a checkpoint that covers it.
    ///
    /// # Errors
    /// As [`Keeper::append`], and when no checkpoint can be signed in time; the outcome then stands all the same.
    pub(crate) fn commit(&self, body: Body, asker: Asker) -> Result<Committed, KeeperError> {
        let bytes = body.encode()?;
        self.commit_both(body, bytes, asker)
    }

    /// As [`Keeper::commit`], of a body in canonical JSON.
    ///
    /// # Errors
    /// As [`Keeper::commit`], and when it does not read.
    pub(crate) fn commit_encoded(&self, bytes: Vec<u8>, asker: Asker) -> Result<Committed, KeeperError> {
        self.commit_both(Body::decode(&bytes)?, bytes, asker)
    }

    fn commit_both(&self, body: Body, bytes: Vec<u8>, asker: Asker) -> Result<Committed, KeeperError> {
        if !matches!(body, Body::Issued(_) | Body::Failed(_) | Body::CeremonyClosed(_)) {
            return Err(KeeperError::refused(format!(
                "a record of kind {} is no outcome",
                body.kind()
            )));
        }
        let written = self.write(body, bytes, asker)?;
        let index = written.at.index;
        let (size, checkpoint) = self.shared.checkpoints.covering(index + 1, CHECKPOINT_PATIENCE)?;
        let read = |level, place| self.readers.with(|r| Ok::<_, KeeperError>(r.hash(level, place)?));
        let proof = self.recent.inclusion_proof(index, size, read)?;
        Ok(Committed {
            index,
            time: written.at.time,
            record: written.record,
            checkpoint,
            proof: proof.into_iter().map(|h| h.0).collect(),
        })
    }

    /// A checkpoint over everything that is durable now: its size and the note, without cosignatures.
    ///
    /// # Errors
    /// When the token does not sign one in time.
    pub(crate) fn newest_checkpoint(&self) -> Result<(u64, String), KeeperError> {
        self.shared.checkpoints.covering(self.size(), CHECKPOINT_PATIENCE)
    }

    /// Has the writer store a change of the state that comes with no record.
    pub(crate) fn keep(&self, change: Change) {
        // Only when the keeper is shutting down; it is obtained again.
        let _ = self.jobs.send(Job::Keep(change));
    }

    /// Has the writer see whether the log can be written again.
    pub(crate) fn try_again(&self) {
        let _ = self.jobs.try_send(Job::TryAgain);
    }

    /// Random bytes from the token.
    ///
    /// # Errors
    /// When the token gives none.
    pub(crate) fn random(&self, length: u32) -> Result<Vec<u8>, KeeperError> {
        let _watched = self.watch.begin("draw random bytes");
        Ok(self.token.random(length)?)
    }

    /// Makes the token sign with a session key.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn probe(&self) -> Result<(), KeeperError> {
        let _watched = self.watch.begin("probe");
        Ok(self.token.probe()?)
    }

    /// What the next CRL of `key` must be: its number, and what it must list.
    ///
    /// # Errors
    /// When the keeper holds no such key.
    pub(crate) fn crl_state(
        &self,
        key: &KeyName,
    ) -> Result<(u64, Vec<(stele_core::types::Serial, crate::state::Gone)>), KeeperError> {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.keys.contains_key(key) {
            return Err(KeeperError::refused(format!("this keeper holds no key `{key}`")));
        }
        let number = state.crl_numbers.get(key).map_or(1, |n| n + 1);
        let entries = state
            .must_list(key, state.last_time)
            .map(|(s, g)| (s.clone(), g.clone()))
            .collect();
        Ok((number, entries))
    }

    /// Ends the threads; everything that was appended is durable.
    pub(crate) fn close(self, threads: Threads) {
        self.shared.checkpoints.close();
        drop(self.jobs);
        let _ = threads.checkpointer.join();
        let _ = threads.writer.join();
    }
}
