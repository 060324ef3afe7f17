//! The worker: it takes the newest checkpoint, asks every witness at once, and hands the keeper what the quorum cosigned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use stele_core::authority::Witness;
use stele_core::checkpoint::{Checkpoint, Note};
use stele_core::record::{Body, HaltReason, Halted, WitnessResult};
use stele_core::types::WitnessName;
use stele_keeper_client::ClientError;
use tokio::sync::{Mutex, mpsc};

use super::ask::{Asker, Fault, Target, answer_limit};
use super::http::{Http, tls_config};
use super::{GOOD, Outcome};
use crate::config::duration;
use crate::error::SignerError;
use crate::signer::Signer;

/// How long a round goes on for the others once the quorum cosigned.
const GRACE: Duration = Duration::from_millis(500);
/// A witness that fails is asked again after one second, then two, and so on up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The least time between two records about one witness: one that comes and goes must not fill the log.
const RECORD_EVERY: Duration = Duration::from_secs(10);
/// How many checkpoints late cosignatures are still taken for.
const REMEMBERED: usize = 4;

/// An answer: from whom, for which size.
type Told = (WitnessName, u64, Outcome);

/// What the worker keeps of a witness.
struct Witnessing {
    witness: Witness,
    asker: Arc<Mutex<Asker>>,
    busy: bool,
    pause: Duration,
    not_before: Instant,
    /// What the log says of it, and since when.
    recorded: Option<(&'static str, Instant)>,
    /// The answer to be recorded, where that is not done yet.
    unrecorded: Option<(WitnessResult, &'static str)>,
}

/// A checkpoint with what was gathered for it.
struct Gathered {
    note: Note,
    by: BTreeSet<WitnessName>,
}

/// See the module.
struct Worker {
    signer: Arc<Signer>,
    tls: Arc<ClientConfig>,
    witnesses: BTreeMap<WitnessName, Witnessing>,
    gathered: BTreeMap<u64, Gathered>,
    answers: mpsc::Receiver<Told>,
    tell: mpsc::Sender<Told>,
    /// Whether the claims that stand now were recorded.
    halted: bool,
}

/// Asks witnesses until it is dropped.
pub(crate) async fn run(signer: Arc<Signer>) {
    let every = duration(signer.config.witnessing.every);
    let mut worker = match Worker::new(signer.clone()) {
        Ok(worker) => worker,
        Err(error) => {
            tracing::error!(%error, "no witness is asked");
            return;
        }
    };
    let mut well = true;
    loop {
        let done = worker.round().await;
        match &done {
            Err(error) if well => tracing::warn!(%error, "asking witnesses fails"),
            Ok(()) if !well => tracing::info!("asking witnesses works again"),
            _ => {}
        }
        well = done.is_ok();
        let _ = tokio::time::timeout(every, signer.witnesses.wake.notified()).await;
    }
}

impl Worker {
    fn new(signer: Arc<Signer>) -> Result<Self, SignerError> {
        let (tell, answers) = mpsc::channel(64);
        Ok(Self {
            tls: tls_config(signer.config.witnessing.ca_file.as_deref())?,
            signer,
            witnesses: BTreeMap::new(),
            gathered: BTreeMap::new(),
            answers,
            tell,
            halted: false,
        })
    }

    async fn round(&mut self) -> Result<(), SignerError> {
        self.follow_bundle();
        if self.witnesses.is_empty() {
            return Ok(());
        }
        let target = self.newest().await?;
        self.take_waiting().await?;
        let mut asked = self.ask_all(&target);
        let until = Instant::now() + duration(self.signer.config.witnessing.timeout);
        let mut until_all = until;
        while !asked.is_empty() {
            let left = until.min(until_all).saturating_duration_since(Instant::now());
            let Ok(Some(told)) = tokio::time::timeout(left, self.answers.recv()).await else {
                break;
            };
            if told.1 == target.size {
                asked.remove(&told.0);
            }
            if self.take(told).await? {
                until_all = until_all.min(Instant::now() + GRACE);
            }
        }
        self.record_results().await;
        self.judge_claims().await
    }

    /// Follows the witnesses that the bundle in force lists and the configuration knows a place of.
    fn follow_bundle(&mut self) {
        let snapshot = self.signer.snapshot.load_full();
        let Ok(in_force) = snapshot.in_force() else { return };
        let listed = in_force.bundle.authority().witnesses();
        self.witnesses.retain(|_, w| listed.contains(&w.witness));
        self.signer
            .witnesses
            .retain(|name| listed.iter().any(|w| w.name == *name));
        for witness in listed {
            if self.witnesses.contains_key(&witness.name) {
                continue;
            }
            let Some(place) = self.signer.config.witness.get(&witness.name) else {
                let outcome = Fault::of(
                    "no place",
                    format!("[witness.{}] is not in the configuration", witness.name),
                );
                if self.signer.witnesses.note(&witness.name, &outcome) {
                    announce(&witness.name, 0, &outcome);
                }
                continue;
            };
            let http = Http::new(place.url.clone(), self.tls.clone(), answer_limit());
            let timeout = duration(self.signer.config.witnessing.timeout);
            let asker = Asker::new(witness.name.clone(), witness.key.clone(), http, timeout);
            let fresh = Witnessing {
                witness: witness.clone(),
                asker: Arc::new(Mutex::new(asker)),
                busy: false,
                pause: Duration::ZERO,
                not_before: Instant::now(),
                recorded: None,
                unrecorded: None,
            };
            self.witnesses.insert(witness.name.clone(), fresh);
        }
    }

    async fn newest(&mut self) -> Result<Target, SignerError> {
        let note = self.blocking(|signer| Ok(signer.keeper.checkpoint()?)).await?;
        let note: Note = note.parse()?;
        let size = note.text().parse::<Checkpoint>()?.size;
        // Only the log's own line: what else it may carry is of no use to a witness.
        let own: Vec<_> = note
            .signatures()
            .iter()
            .filter(|line| line.name() == self.signer.origin.as_str())
            .cloned()
            .collect();
        let note = Note::new(note.text(), own)?;
        let fresh = || Gathered {
            note: note.clone(),
            by: BTreeSet::new(),
        };
        self.gathered.entry(size).or_insert_with(fresh);
        while self.gathered.len() > REMEMBERED {
            self.gathered.pop_first();
        }
        Ok(Target { note, size })
    }

    /// Asks whoever has not cosigned this checkpoint, is not being asked, and does not rest after a fault.
    fn ask_all(&mut self, target: &Target) -> BTreeSet<WitnessName> {
        let now = Instant::now();
        let mut asked = BTreeSet::new();
        for (name, witness) in &mut self.witnesses {
            let done = self.gathered.get(&target.size).is_some_and(|g| g.by.contains(name));
            if done || witness.busy || now < witness.not_before {
                continue;
            }
            witness.busy = true;
            asked.insert(name.clone());
            let (asker, signer) = (witness.asker.clone(), self.signer.clone());
            let (tell, target) = (self.tell.clone(), target.clone());
            tokio::spawn(async move {
                let mut asker = asker.lock().await;
                let outcome = asker.ask(&signer, &target).await;
                let _ = tell.send((asker.name.clone(), target.size, outcome)).await;
            });
        }
        asked
    }

    /// Takes the answers that came after their round.
    async fn take_waiting(&mut self) -> Result<(), SignerError> {
        while let Ok(told) = self.answers.try_recv() {
            self.take(told).await?;
        }
        Ok(())
    }

    /// Takes one answer; tells whether its checkpoint has its quorum.
    async fn take(&mut self, (name, size, outcome): Told) -> Result<bool, SignerError> {
        let Some(witness) = self.witnesses.get_mut(&name) else {
            return Ok(false);
        };
        witness.answered(size, &outcome);
        if self.signer.witnesses.note(&name, &outcome) {
            announce(&name, size, &outcome);
        }
        let Outcome::Cosigned(lines) = outcome else {
            return Ok(false);
        };
        let Some(gathered) = self.gathered.get_mut(&size) else {
            return Ok(false);
        };
        for line in lines {
            gathered.note = gathered.note.with_lines(&line.to_string())?;
        }
        gathered.by.insert(name);
        let (note, count) = (gathered.note.to_string(), gathered.by.len());
        let policy = self.signer.witness_policy();
        if !policy.is_none_or(|p| p.is_met_by(count)) {
            return Ok(false);
        }
        match self.blocking(move |signer| Ok(signer.keeper.cosigned(&note)?)).await {
            Ok(()) => self.signer.witnesses.cover(size),
            // E.g. from before a change of the bundle; the next round brings a newer one.
            Err(SignerError::Keeper(error @ ClientError::Refused { .. })) => {
                tracing::warn!(size, %error, "the keeper did not take a cosigned checkpoint");
                return Ok(false);
            }
            Err(other) => return Err(other),
        }
        Ok(policy.is_some())
    }

    /// Records what changed. A record that cannot be written now is tried again in the next round.
    async fn record_results(&mut self) {
        let names: Vec<WitnessName> = self.witnesses.keys().cloned().collect();
        for name in names {
            let due = self.witnesses.get(&name).and_then(Witnessing::due);
            let Some((result, kind)) = due else { continue };
            let body = Body::WitnessResult(result);
            let recorded = self.blocking(move |signer| signer.append(&body).map(drop)).await;
            if let (Ok(()), Some(witness)) = (&recorded, self.witnesses.get_mut(&name)) {
                witness.recorded = Some((kind, Instant::now()));
                witness.unrecorded = None;
            }
        }
    }

    /// Halts when the quorum claims a larger log. It is said once for claims that last: operators may have decided.
    async fn judge_claims(&mut self) -> Result<(), SignerError> {
        let policy = self.signer.witness_policy();
        let claims = policy.and_then(|policy| self.signer.witnesses.believed_claims(&policy));
        let Some(claims) = claims else {
            self.halted = false;
            return Ok(());
        };
        if self.halted {
            return Ok(());
        }
        let said: Vec<String> = claims.iter().map(|(name, size)| format!("{name} {size}")).collect();
        let halt = move |signer: &Signer| {
            let size = signer.keeper.status()?.size;
            let found = format!(
                "witnesses cosigned more entries than the {size} of this log: {}",
                said.join(", ")
            );
            tracing::error!(%found, "signing halts");
            let halted = Halted {
                reason: HaltReason::LargerLog,
                found,
                checkpoint: None,
            };
            signer.append(&Body::Halted(halted)).map(drop)
        };
        self.blocking(halt).await?;
        self.halted = true;
        Ok(())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Signer) -> Result<T, SignerError> + Send + 'static,
    ) -> Result<T, SignerError> {
        let signer = self.signer.clone();
        tokio::task::spawn_blocking(move || work(&signer))
            .await
            .unwrap_or_else(|error| Err(SignerError::other(format!("a thread ended early: {error}"))))
    }
}

impl Witnessing {
    fn answered(&mut self, size: u64, outcome: &Outcome) {
        self.busy = false;
        let (kind, words) = match outcome {
            Outcome::Cosigned(_) => (GOOD, GOOD.to_owned()),
            Outcome::ClaimsLarger(claimed) => (
                "claims a larger log",
                format!("claims a larger log: it says that it cosigned {claimed} entries"),
            ),
            Outcome::Fault(fault) => (fault.kind, format!("{}: {}", fault.kind, fault.words)),
        };
        self.pause = if kind == GOOD {
            Duration::ZERO
        } else {
            (self.pause * 2).clamp(Duration::from_secs(1), LONGEST_PAUSE)
        };
        self.not_before = Instant::now() + self.pause;
        let told = self.recorded.is_some_and(|(recorded, _)| recorded == kind);
        let witness = self.witness.name.clone();
        let result = WitnessResult {
            witness,
            size,
            result: words,
        };
        self.unrecorded = (!told).then_some((result, kind));
    }

    /// What is to be recorded now, and its kind.
    fn due(&self) -> Option<(WitnessResult, &'static str)> {
        let rests = self.recorded.is_some_and(|(_, at)| at.elapsed() < RECORD_EVERY);
        self.unrecorded.clone().filter(|_| !rests)
    }
}

fn announce(name: &WitnessName, size: u64, outcome: &Outcome) {
    match outcome {
        Outcome::Cosigned(_) => tracing::info!(witness = %name, size, "a witness cosigns"),
        Outcome::ClaimsLarger(claimed) => {
            tracing::error!(witness = %name, size, claimed, "ALARM: a witness claims a larger log than ours");
        }
        Outcome::Fault(fault) => {
            tracing::error!(witness = %name, size, kind = fault.kind, why = fault.words, "ALARM: a witness does not cosign");
        }
    }
}
