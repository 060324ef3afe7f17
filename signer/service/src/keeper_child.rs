//! In development the signer starts the keeper as a child, and again when it ends; in production they are two units.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use stele_keeper_client::Client;

use crate::config::{KeeperConfig, SpawnConfig};
use crate::error::SignerError;

/// How long the keeper may take to answer after it was started.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take to end when it is told to.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// The pause before it is started again; a token that refuses must not be asked in a loop.
const PAUSE: Duration = Duration::from_secs(5);

/// A keeper that is ours to end.
pub(crate) struct KeeperChild {
    child: Arc<Mutex<Child>>,
    ending: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
}

impl KeeperChild {
    /// Starts the keeper where the configuration says so, and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started, or does not answer in time.
    pub(crate) fn start(config: &KeeperConfig) -> Result<Option<Self>, SignerError> {
        let Some(spawn) = &config.spawn else { return Ok(None) };
        let client = Client::new(&config.socket);
        until_the_last_one_ended(&client)?;
        let child = Arc::new(Mutex::new(start(spawn)?));
        let begun = Instant::now();
        while client.status().is_err() {
            let ended = lock(&child)
                .try_wait()
                .map_err(|cause| SignerError::file(&spawn.binary, cause))?;
            if let Some(status) = ended {
                return Err(SignerError::other(format!("stele-keeper ended at its start: {status}")));
            }
            if begun.elapsed() > START_PATIENCE {
                let _ = lock(&child).kill();
                return Err(SignerError::other(
                    "stele-keeper did not answer within a minute of its start",
                ));
            }
            std::thread::sleep(LOOK);
        }
        let ending = Arc::new(AtomicBool::new(false));
        let watcher = watch(spawn.clone(), child.clone(), ending.clone())?;
        Ok(Some(Self {
            child,
            ending,
            watcher: Some(watcher),
        }))
    }

    /// Tells it to end and waits for it.
    pub(crate) fn end(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        let Some(watcher) = self.watcher.take() else { return };
        self.ending.store(true, Ordering::Relaxed);
        let _ = watcher.join();
        let mut child = lock(&self.child);
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if begun.elapsed() > END_PATIENCE {
                tracing::warn!("stele-keeper did not end in time and is killed");
                let _ = child.kill();
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for KeeperChild {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock(child: &Mutex<Child>) -> std::sync::MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The keeper of a signer that was killed ends by itself, and two never hold one log.
fn until_the_last_one_ended(client: &Client) -> Result<(), SignerError> {
    let begun = Instant::now();
    while client.status().is_ok() {
        if begun.elapsed() > END_PATIENCE {
            return Err(SignerError::other(
                "keeper.spawn: a keeper that is not this signer's answers at keeper.socket; end it, or leave out `spawn`",
            ));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// The child's standard input is a pipe that nothing is written to: its end tells the keeper that the signer is gone,
/// however it went.
fn start(spawn: &SpawnConfig) -> Result<Child, SignerError> {
    Command::new(&spawn.binary)
        .arg("run")
        .arg("--end-with-stdin")
        .arg("--config")
        .arg(&spawn.config)
        // Ctrl-C on a terminal is for the signer alone, which ends the keeper last.
        .process_group(0)
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|cause| SignerError::file(&spawn.binary, cause))
}

fn watch(spawn: SpawnConfig, child: Arc<Mutex<Child>>, ending: Arc<AtomicBool>) -> Result<JoinHandle<()>, SignerError> {
    let watcher = move || {
        while !ending.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK);
            let Ok(Some(status)) = lock(&child).try_wait() else {
                continue;
            };
            tracing::error!(%status, "stele-keeper ended; it is started again");
            let begun = Instant::now();
            while begun.elapsed() < PAUSE && !ending.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
            }
            if ending.load(Ordering::Relaxed) {
                return;
            }
            match start(&spawn) {
                Ok(fresh) => *lock(&child) = fresh,
                Err(error) => tracing::error!(%error, "stele-keeper could not be started"),
            }
        }
    };
    std::thread::Builder::new()
        .name("keeper-child".to_owned())
        .spawn(watcher)
        .map_err(|e| SignerError::other(e.to_string()))
}
