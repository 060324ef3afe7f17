//! How much of the token checkpoints may take: while others wait for it, a twentieth of its capacity. On a token where
//! nobody waits a checkpoint takes nothing from anybody, and is signed at once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One part in so many of the token's capacity.
const SHARE: u32 = 20;
/// From this part of its sessions on a token counts as busy: a token in software has fewer hands than sessions.
const BUSY: usize = 4;
/// The longest rest, for a checkpoint that waits ever longer serves nobody.
const LONGEST: Duration = Duration::from_secs(2);
/// How often a rest looks whether the token has become free.
const LOOK: Duration = Duration::from_millis(2);

/// Tells checkpoints when to rest.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Sessions of the token that sign at a time.
    sessions: usize,
    /// Signatures under way, those that wait for a session included.
    signing: AtomicUsize,
    /// Time that signatures have taken since the newest checkpoint began, in microseconds.
    others: AtomicU64,
    last: Mutex<Last>,
}

/// The newest checkpoint's signature.
#[derive(Clone, Copy, Debug)]
struct Last {
    began: Instant,
    /// What one costs the token: the fastest of late, since the others waited for a session besides.
    cost: Duration,
}

/// A signature under way; it ends when this is dropped.
pub(crate) struct Signing<'p> {
    pace: &'p Pace,
    began: Instant,
}

impl Drop for Signing<'_> {
    fn drop(&mut self) {
        let took = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.pace.others.fetch_add(took, Ordering::Relaxed);
        self.pace.signing.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pace {
    /// For a token with so many sessions.
    #[must_use]
    pub(crate) fn new(sessions: usize) -> Self {
        Self {
            sessions: sessions.max(1),
            signing: AtomicUsize::new(0),
            others: AtomicU64::new(0),
            last: Mutex::new(Last {
                began: Instant::now(),
                cost: Duration::ZERO,
            }),
        }
    }

    /// A CA key signs, or waits for a session.
    pub(crate) fn signing(&self) -> Signing<'_> {
        self.signing.fetch_add(1, Ordering::Relaxed);
        Signing {
            pace: self,
            began: Instant::now(),
        }
    }

    /// A checkpoint was signed, from `began` until now.
    pub(crate) fn spent(&self, began: Instant) {
        let took = began.elapsed();
        self.others.store(0, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = match last.cost {
            Duration::ZERO => took,
            before => took.min(before + before / 8),
        };
        *last = Last { began, cost };
    }

    /// Waits while the token is busy and the newest checkpoint's share of it is not yet earned by other signatures.
    pub(crate) fn rest(&self) {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let until = last.began + LONGEST;
        while self.is_busy() && self.others(&last) < last.cost * (SHARE - 1) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    fn is_busy(&self) -> bool {
        self.signing.load(Ordering::Relaxed) * BUSY >= self.sessions
    }

    /// What others had of the token since then. Those who wait for a session have nothing of it yet, so that it is no more
    /// than all sessions can give.
    fn others(&self, last: &Last) -> Duration {
        let sessions = u32::try_from(self.sessions).unwrap_or(u32::MAX);
        let most = last.began.elapsed().saturating_mul(sessions);
        Duration::from_micros(self.others.load(Ordering::Relaxed)).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLIS: Duration = Duration::from_millis(1);

    fn rested(pace: &Pace) -> Duration {
        let from = Instant::now();
        pace.rest();
        from.elapsed()
    }

    /// A checkpoint that costs ten milliseconds, on a token of 4 sessions.
    #[test]
    fn an_idle_token_gives_whatever_is_asked_and_a_busy_one_a_twentieth() {
        let pace = Pace::new(4);
        pace.spent(Instant::now() - 10 * MILLIS);
        assert!(rested(&pace) < 20 * MILLIS, "nobody signs");
        let mut other = pace.signing();
        pace.others.store(100_000, Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(200 * MILLIS);
                pace.others.store(190_000, Ordering::Relaxed);
            });
            let waited = rested(&pace);
            assert!(waited > 150 * MILLIS && waited < LONGEST, "{waited:?}");
        });
        pace.spent(Instant::now() - 10 * MILLIS);
        other.began = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(100 * MILLIS);
                drop(other);
            });
            let waited = rested(&pace);
            assert!(
                waited > 50 * MILLIS && waited < LONGEST,
                "it has become idle: {waited:?}"
            );
        });
    }

    /// Sixty who wait for the one session do not make its time sixty times as long.
    #[test]
    fn waiting_for_a_session_is_no_use_of_the_token() {
        let pace = Pace::new(1);
        pace.spent(Instant::now() - 10 * MILLIS);
        let _other = pace.signing();
        pace.others.store(60_000_000, Ordering::Relaxed);
        let waited = rested(&pace);
        assert!(waited > 150 * MILLIS && waited < LONGEST, "{waited:?}");
    }

    /// Where a checkpoint waited for a session the wait is not the token's work.
    #[test]
    fn the_fastest_of_late_counts() {
        let pace = Pace::new(1);
        let cost = |millis| {
            pace.spent(Instant::now() - Duration::from_millis(millis));
            pace.last.lock().unwrap().cost.as_millis()
        };
        let first = cost(8);
        assert!(first >= 8);
        assert!(cost(100_000) <= first * 9 / 8 + 1);
        assert!(cost(3) < first);
    }
}
