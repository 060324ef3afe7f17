//! The one thread that writes the log. It takes whatever waits, judges each in turn, and makes all of it durable in one
//! transaction: concurrent appends share a sync, and a lone one waits for nobody.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stele_core::keeping::Appended;
use stele_core::record::{Body, Record};
use stele_core::types::Time;
use stele_ledger::{Change, Ledger};

use crate::admit::admit;
use crate::checkpoints::Checkpoints;
use crate::clock::{Clock, Reading, next_time};
use crate::error::{KeeperError, Stop};
use crate::examine::{Asker, Examined, Facts};
use crate::live::{Live, LiveIntents, Phase};
use crate::mending::Mending;
use crate::state::{Standing, State, closed_epoch};

/// How often the newest checkpoint is stored. Each time costs a sync for which appends wait, and a checkpoint that was
/// not stored is signed again when somebody wants one.
const REMEMBER_EVERY: Duration = Duration::from_secs(1);
/// The most records in one transaction.
const BATCH: usize = 256;

/// A durable record.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Where and when.
    pub(crate) at: Appended,
    /// Its exact bytes.
    pub(crate) record: Vec<u8>,
}

/// A job for the writer.
#[derive(Debug)]
pub(crate) enum Job {
    /// Append this body, which has this canonical form.
    Append(Box<Examined>, Vec<u8>, Answer),
    /// Remember this checkpoint over a tree of this size.
    Remember(u64, String),
    /// Writes failed: see whether they succeed again.
    TryAgain,
    /// Store this change, which comes with no record.
    Keep(Change),
}

/// What the writer shares with the threads that ask.
pub(crate) struct Shared {
    /// The mirror of the state. The writer holds it while it judges and syncs.
    pub(crate) state: Mutex<State>,
    /// What is durable of it.
    pub(crate) standing: Mutex<Arc<Standing>>,
    /// Open intents of this life.
    pub(crate) lives: LiveIntents,
    /// The clock.
    pub(crate) clock: Mutex<Clock>,
    /// The checkpoints.
    pub(crate) checkpoints: Checkpoints,
    /// Why nothing is signed at the moment.
    pub(crate) stopped: Mutex<Option<Stop>>,
    /// What a failing disk left undone.
    pub(crate) mending: Mending,
}

impl Shared {
    /// Why nothing is signed at the moment.
    #[must_use]
    pub(crate) fn stopped(&self) -> Option<Stop> {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stopped.or_else(|| self.standing().halted.clone().map(Stop::Log))
    }

    /// What is durable of the state.
    #[must_use]
    pub(crate) fn standing(&self) -> Arc<Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn publish(&self, state: &State) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(state.standing());
    }

    /// Stops signing, or resumes it.
    pub(crate) fn set_stopped(&self, why: Option<Stop>) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

/// The writer.
pub(crate) struct Writer {
    ledger: Ledger,
    shared: Arc<Shared>,
    jobs: Receiver<Job>,
    /// The newest checkpoint, where it is not stored yet.
    unstored: Option<(u64, String)>,
    /// When one was stored last.
    stored: Instant,
}

type Answer = SyncSender<Result<Written, KeeperError>>;
type Waiting = (Box<Examined>, Vec<u8>, Answer);

impl Writer {
    /// A writer of `ledger` for the jobs that come.
    #[must_use]
    pub(crate) fn new(ledger: Ledger, shared: Arc<Shared>, jobs: Receiver<Job>) -> Self {
        Self {
            ledger,
            shared,
            jobs,
            unstored: None,
            stored: Instant::now(),
        }
    }

    /// Works until no sender is left.
    pub(crate) fn run(mut self) {
        while let Ok(first) = self.jobs.recv() {
            let mut waiting = Vec::new();
            self.take(first, &mut waiting);
            while waiting.len() < BATCH
                && let Ok(next) = self.jobs.try_recv()
            {
                self.take(next, &mut waiting);
            }
            if !waiting.is_empty() {
                self.append(waiting);
            }
            if self.stored.elapsed() >= REMEMBER_EVERY {
                self.store_checkpoint();
            }
        }
        self.store_checkpoint();
    }

    fn take(&mut self, job: Job, waiting: &mut Vec<Waiting>) {
        match job {
            Job::Append(examined, bytes, reply) => waiting.push((examined, bytes, reply)),
            Job::Remember(size, note) => self.unstored = Some((size, note)),
            Job::TryAgain => self.try_again(),
            Job::Keep(change) => self.keep(change),
        }
    }

    fn keep(&mut self, change: Change) {
        // Cosignatures are asked for again, so a failure here loses nothing.
        if let Err(error) = self.ledger.append(&[], &[change]) {
            tracing::warn!(%error, "the cosigned checkpoint could not be stored");
        }
    }

    /// Stores a checkpoint that is stored already: a durable write that changes nothing.
    fn try_again(&mut self) {
        let tried = match self.unstored.take().or_else(|| self.ledger.checkpoint()) {
            Some((size, note)) => self.ledger.set_checkpoint(size, &note),
            None => Ok(()),
        };
        match tried {
            Ok(()) => {
                self.shared.mending.well();
                tracing::info!("the log can be written again");
            }
            Err(error) => self.shared.mending.failed(error.to_string()),
        }
    }

    fn store_checkpoint(&mut self) {
        let Some((size, note)) = self.unstored.take() else {
            return;
        };
        self.stored = Instant::now();
        // A checkpoint can be signed again over the same tree, so a failure here loses nothing.
        if let Err(error) = self.ledger.set_checkpoint(size, &note) {
            tracing::warn!(%error, size, "the newest checkpoint could not be stored; it will be signed again");
        }
    }

    fn append(&mut self, waiting: Vec<Waiting>) {
        let shared = self.shared.clone();
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.begin_batch();
        let mut batch = Batch::default();
        for (examined, bytes, reply) in waiting {
            let index = self.ledger.size() + batch.records.len() as u64;
            match self.judge(&mut state, &examined, &bytes, index) {
                Ok((written, changes)) => batch.add(examined, reply, written, changes),
                Err(error) => {
                    self.flush(&mut state, std::mem::take(&mut batch), Mirror::Doubtful);
                    let _ = reply.send(Err(error));
                }
            }
        }
        self.flush(&mut state, batch, Mirror::Exact);
    }

    fn judge(
        &self,
        state: &mut State,
        examined: &Examined,
        bytes: &[u8],
        index: u64,
    ) -> Result<(Written, Vec<Change>), KeeperError> {
        let time = self.time(state, &examined.body)?;
        let changes = admit(state, &self.ledger, &self.shared.lives, examined, index, time)?;
        let record = Record::stamp(index, time, bytes)?;
        Ok((
            Written {
                at: Appended { index, time },
                record,
            },
            changes,
        ))
    }

    /// The time of the next record. A stepped clock stops everything but the record of the step and what lifts it.
    fn time(&self, state: &State, body: &Body) -> Result<Time, KeeperError> {
        let reading = self.shared.clock.lock().unwrap_or_else(PoisonError::into_inner).read();
        let now = match (reading, body) {
            (Reading::Good(now), _) => now,
            (
                Reading::Stepped { expected, .. },
                Body::ClockStep(_) | Body::Recovery(_) | Body::Unknown(_) | Body::Stopped(_),
            ) => expected,
            (Reading::Stepped { expected, found }, _) => {
                let why = format!(
                    "the clock stepped from {expected} to {found}; operators confirm the new time with a `clock` recovery"
                );
                self.shared.set_stopped(Some(Stop::Clock(why.clone())));
                return Err(KeeperError::ClockStopped(why));
            }
        };
        next_time(now, state.last_time).map_err(|behind| {
            KeeperError::ClockStopped(format!(
                "the clock is {} s behind the last record ({}); set it right, or operators confirm it with a `clock` recovery",
                behind.as_secs(),
                state.last_time
            ))
        })
    }

    fn flush(&mut self, state: &mut State, batch: Batch, mirror: Mirror) {
        let appended = match batch.records.is_empty() {
            true => Ok(()),
            false => {
                let changes: Vec<Change> = batch.changes.into_values().collect();
                self.ledger.append(&batch.records, &changes).map(drop)
            }
        };
        match appended {
            Ok(()) => {
                self.shared.mending.well();
                // Before anybody hears that a freeze or a bundle stands, it counts.
                match mirror {
                    Mirror::Exact => self.shared.publish(state),
                    Mirror::Doubtful => self.reload(state),
                }
                self.shared.checkpoints.grown(self.ledger.size(), self.ledger.root());
                for (examined, reply, written) in batch.waiting {
                    self.live(*examined, written.at.index);
                    let _ = reply.send(Ok(written));
                }
            }
            Err(error) => {
                tracing::error!(%error, "the log cannot be written: nothing auditable happens until it can");
                let why = error.to_string();
                self.shared.mending.failed(why.clone());
                self.reload(state);
                for (_, reply, _) in batch.waiting {
                    let _ = reply.send(Err(KeeperError::Stopped(why.clone())));
                }
            }
        }
    }

    /// What a durable record means for the intents of this life.
    fn live(&self, examined: Examined, index: u64) {
        match (examined.body, examined.facts) {
            (Body::Intent(intent), Facts::Intent(facts)) => {
                let connection = match examined.asker {
                    Asker::Connection(number) => number,
                    Asker::Init | Asker::Itself => 0,
                };
                let live = Live {
                    intent: Arc::new(*intent),
                    tbs: Arc::new(facts.tbs),
                    crl: facts.crl.map(Arc::new),
                    connection,
                    phase: Phase::Fresh,
                };
                self.shared.lives.add(index, live);
            }
            (Body::Issued(issued), _) => self.shared.lives.close(issued.intent),
            (Body::Failed(failed), _) => self.shared.lives.close(failed.intent),
            (Body::Unknown(unknown), _) => self.shared.lives.close(unknown.intent),
            (Body::Recovery(recovery), _) if recovery.action == "clock" => {
                self.shared
                    .clock
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .confirm();
                self.shared.set_stopped(None);
            }
            (Body::EpochClosed(closed), _) => self.shared.set_stopped(Some(closed_epoch(&closed.successor))),
            _ => {}
        }
    }

    fn reload(&self, state: &mut State) {
        match State::load(&self.ledger) {
            Ok(truth) => {
                *state = truth;
                self.shared.publish(state);
            }
            Err(error) => {
                tracing::error!(%error, "the keeper's state cannot be read back");
                self.shared.set_stopped(Some(Stop::Log(format!(
                    "{error}; restart the keeper when the store can be read again"
                ))));
            }
        }
    }
}

/// How the mirror stands to the records of a batch.
#[derive(Clone, Copy)]
enum Mirror {
    /// It is what they make of the state.
    Exact,
    /// `admit` may have begun to change it before it refused a later record: once these are durable, the truth is read
    /// back.
    Doubtful,
}

#[derive(Default)]
struct Batch {
    records: Vec<Vec<u8>>,
    /// Of each key of the state only the newest change: some change with every record.
    changes: BTreeMap<(&'static str, Vec<u8>), Change>,
    waiting: Vec<(Box<Examined>, Answer, Written)>,
}

impl Batch {
    fn add(&mut self, examined: Box<Examined>, reply: Answer, written: Written, changes: Vec<Change>) {
        self.records.push(written.record.clone());
        for change in changes {
            let (Change::Put { table, key, .. } | Change::Delete { table, key }) = &change;
            self.changes.insert((table, key.clone()), change);
        }
        self.waiting.push((examined, reply, written));
    }
}
