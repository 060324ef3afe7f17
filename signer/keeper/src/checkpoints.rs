//! Checkpoints: one in flight at a time, over whatever is durable when it begins; all who wait for a size share it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stele_core::checkpoint::Checkpoint;
use stele_core::types::{Digest, Origin};

use crate::error::KeeperError;
use crate::pace::Pace;

#[derive(Debug)]
struct Inner {
    /// The durable tree.
    head: (u64, Digest),
    /// The newest checkpoint: the size it covers, and the note.
    newest: Option<(u64, String)>,
    /// The largest size that somebody waits for.
    wanted: u64,
    /// Why the last attempt failed, and how many have failed since the last success.
    failure: Option<String>,
    attempts: u64,
    closing: bool,
}

/// The checkpoints of a log.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    origin: Origin,
    /// What share of the token they may take.
    pub(crate) pace: Pace,
    inner: Mutex<Inner>,
    /// Wakes the one who signs.
    asked: Condvar,
    /// Wakes those who wait. Apart from `asked`, so that a newcomer does not wake everybody who waits already.
    answered: Condvar,
}

impl Checkpoints {
    /// Checkpoints of the log that now has this head.
    #[must_use]
    pub(crate) fn new(origin: Origin, size: u64, root: Digest, newest: Option<(u64, String)>, pace: Pace) -> Self {
        let inner = Inner {
            head: (size, root),
            newest,
            wanted: 0,
            failure: None,
            attempts: 0,
            closing: false,
        };
        Self {
            origin,
            pace,
            inner: Mutex::new(inner),
            asked: Condvar::new(),
            answered: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log grew, durably.
    pub(crate) fn grown(&self, size: u64, root: Digest) {
        self.lock().head = (size, root);
    }

    /// The durable size.
    #[must_use]
    pub(crate) fn size(&self) -> u64 {
        self.lock().head.0
    }

    /// Waits for a checkpoint that covers `size` entries.
    ///
    /// # Errors
    /// When the token does not sign one in time.
    pub(crate) fn covering(&self, size: u64, patience: Duration) -> Result<(u64, String), KeeperError> {
        let until = Instant::now() + patience;
        let mut inner = self.lock();
        inner.wanted = inner.wanted.max(size);
        let attempts = inner.attempts;
        self.asked.notify_one();
        loop {
            if let Some((covered, note)) = inner.newest.as_ref().filter(|(covered, _)| *covered >= size) {
                return Ok((*covered, note.clone()));
            }
            let left = until.saturating_duration_since(Instant::now());
            // Two attempts: the one under way when we came may have failed for a reason that is gone.
            if left.is_zero() || inner.attempts > attempts + 2 || inner.closing {
                let why = inner
                    .failure
                    .clone()
                    .unwrap_or_else(|| "the token did not sign in time".to_owned());
                return Err(KeeperError::Stopped(format!(
                    "no checkpoint covers the record yet: {why}"
                )));
            }
            inner = self
                .answered
                .wait_timeout(inner, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Signs checkpoints as they are wanted, until [`Checkpoints::close`]. `sign` makes a note of the body; `remember`
    /// gets what was signed.
    pub(crate) fn run(&self, sign: impl Fn(&str) -> Result<String, KeeperError>, remember: impl Fn(u64, &str)) {
        while self.is_wanted() {
            self.pace.rest();
            let head = self.lock().head;
            let checkpoint = Checkpoint {
                origin: self.origin.clone(),
                size: head.0,
                root: head.1,
            };
            let began = Instant::now();
            let signed = sign(&checkpoint.body());
            self.pace.spent(began);
            let mut inner = self.lock();
            match signed {
                Ok(note) => {
                    remember(head.0, &note);
                    inner.newest = Some((head.0, note));
                    inner.failure = None;
                    inner.attempts = 0;
                }
                Err(error) => {
                    tracing::error!(%error, size = head.0, "a checkpoint could not be signed");
                    inner.failure = Some(error.to_string());
                    inner.attempts += 1;
                    // A token that fails at once must not be asked in a tight loop.
                    inner = self
                        .asked
                        .wait_timeout(inner, Duration::from_millis(200))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
            }
            drop(inner);
            self.answered.notify_all();
        }
    }

    /// Waits until a checkpoint is wanted; `false` when no more will be.
    fn is_wanted(&self) -> bool {
        let mut inner = self.lock();
        loop {
            if inner.closing {
                return false;
            }
            let covered = inner.newest.as_ref().map_or(0, |(size, _)| *size);
            if inner.wanted > covered && inner.head.0 > covered {
                return true;
            }
            inner = self.asked.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends [`Checkpoints::run`].
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.asked.notify_all();
        self.answered.notify_all();
    }
}
