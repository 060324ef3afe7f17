//! What a keeper needs before it can work: its keys, a look at the clock, its threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use stele_core::checkpoint::{self, NoteVerifier};
use stele_core::record::KeyRole;
use stele_core::types::{Digest, KeyName, unhex};
use stele_hsm::{KeyOrigin, Token, TokenKey};
use stele_ledger::Ledger;

use crate::clock::{Clock, Reading};
use crate::config::Config;
use crate::error::KeeperError;
use crate::state::State;
use crate::watchdog::Watchdog;
use crate::writer::{Job, Shared, Writer};

/// How long a checkpoint waits for a session of the token.
const CHECKPOINT_DEADLINE: Duration = Duration::from_secs(5);

/// The threads that work for a keeper.
pub(crate) struct Threads {
    /// Writes the log.
    pub(crate) writer: JoinHandle<()>,
    /// Signs checkpoints.
    pub(crate) checkpointer: JoinHandle<()>,
}

/// The keys of the log, found in the token.
pub(crate) fn find_keys(token: &Token, state: &State) -> Result<BTreeMap<KeyName, TokenKey>, KeeperError> {
    let held = state.keys.iter().filter(|(_, held)| !held.gone);
    held.map(|(name, held)| {
        let (id, spki) = (unhex("cka_id", &held.cka_id)?, Digest::of(&held.spki.0));
        let key = token.find_of_origin(name, &id, spki, origin_of(&held.provenance)?)?;
        Ok((name.clone(), key))
    })
    .collect()
}

/// What a record says of a key's way into the token.
///
/// # Errors
/// When the word is unknown.
pub(crate) fn origin_of(provenance: &str) -> Result<KeyOrigin, KeeperError> {
    match provenance {
        "generated" => Ok(KeyOrigin::Generated),
        "cloned" => Ok(KeyOrigin::Cloned),
        "trusted_wrap" => Ok(KeyOrigin::TrustedWrap),
        other => Err(KeeperError::refused(format!(
            "provenance: found `{other}`; permitted: generated, cloned or trusted_wrap"
        ))),
    }
}

/// The key that signs the log's checkpoints.
pub(crate) fn checkpoint_key<'k>(
    state: &State,
    keys: &'k BTreeMap<KeyName, TokenKey>,
) -> Result<&'k TokenKey, KeeperError> {
    let name = state
        .keys
        .iter()
        .find(|(_, k)| k.role == KeyRole::Checkpoint)
        .map(|(n, _)| n);
    name.and_then(|n| keys.get(n)).ok_or_else(|| {
        KeeperError::Stopped("the log records no checkpoint key: `stele-keeper init` did not finish".to_owned())
    })
}

/// Why the time since the last record must be confirmed first, where it is too long.
pub(crate) fn restart_gap(state: &State, clock: &Clock, config: &Config) -> Option<String> {
    let Reading::Good(now) = clock.read() else { return None };
    let gap = now.millis().saturating_sub(state.last_time.millis());
    (u128::from(gap) > config.limits.restart_gap().as_millis() && state.last_time.millis() > 0).then(|| {
        format!("the last record is of {}, the clock says {now}: more than limits.restart_gap_days; operators confirm the time with a `clock` recovery", state.last_time)
    })
}

/// Starts the threads.
pub(crate) fn spawn(
    ledger: Ledger,
    shared: &Arc<Shared>,
    receiver: Receiver<Job>,
    jobs: &SyncSender<Job>,
    (token, watch): (&Arc<Token>, &Arc<Watchdog>),
    key: TokenKey,
    vkey: &NoteVerifier,
) -> Result<Threads, KeeperError> {
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let failed = |e: std::io::Error| KeeperError::Stopped(format!("a thread could not be started: {e}"));
    let writer = Writer::new(ledger, shared.clone(), receiver);
    let writer = thread("writer").spawn(move || writer.run()).map_err(failed)?;
    let (shared, jobs, token, vkey) = (shared.clone(), jobs.clone(), token.clone(), vkey.clone());
    let watch = watch.clone();
    let checkpointer = thread("checkpointer")
        .spawn(move || {
            let algorithm = key.algorithm.checkpoint_signature();
            let sign = |body: &str| {
                let _watched = watch.begin("sign a checkpoint");
                let signature = token
                    .sign(&key, algorithm, body.as_bytes(), CHECKPOINT_DEADLINE)
                    .map_err(|e| KeeperError::Stopped(e.to_string()))?;
                Ok(checkpoint::assemble(body, &vkey, &signature)?)
            };
            shared.checkpoints.run(sign, |size, note| {
                let _ = jobs.send(Job::Remember(size, note.to_owned()));
            });
        })
        .map_err(failed)?;
    Ok(Threads { writer, checkpointer })
}
