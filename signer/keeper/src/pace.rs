//! How much of the token checkpoints may take: while others wait for it, a twentieth of its capacity. On a token where
//! nobody waits a checkpoint takes nothing from anybody, and is signed at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One part in so many of the token's capacity.
const SHARE: u32 = 20;
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
    last: Mutex<Last>,
}

/// The newest checkpoint's signature.
#[derive(Debug)]
struct Last {
    began: Instant,
    /// What one costs the token: the fastest of late, since the others waited for a session besides.
    cost: Duration,
}

/// A signature under way; it ends when this is dropped.
pub(crate) struct Signing<'p>(&'p Pace);

impl Drop for Signing<'_> {
    fn drop(&mut self) {
        self.0.signing.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pace {
    /// For a token with so many sessions.
    #[must_use]
    pub(crate) fn new(sessions: usize) -> Self {
        Self {
            sessions: sessions.max(1),
            signing: AtomicUsize::new(0),
            last: Mutex::new(Last {
                began: Instant::now(),
                cost: Duration::ZERO,
            }),
        }
    }

    /// A CA key signs, or waits for a session.
    pub(crate) fn signing(&self) -> Signing<'_> {
        self.signing.fetch_add(1, Ordering::Relaxed);
        Signing(self)
    }

    /// A checkpoint was signed, from `began` until now.
    pub(crate) fn spent(&self, began: Instant) {
        let took = began.elapsed();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = match last.cost {
            Duration::ZERO => took,
            before => took.min(before + before / 8),
        };
        *last = Last { began, cost };
    }

    /// Waits while the token has no session to spare and the newest checkpoint is too young for another.
    pub(crate) fn rest(&self) {
        let until = self.due();
        while self.signing.load(Ordering::Relaxed) >= self.sessions {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    /// When the next checkpoint has its share of a busy token. The token's capacity is that of all its sessions.
    fn due(&self) -> Instant {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions = u32::try_from(self.sessions).unwrap_or(u32::MAX);
        last.began + (last.cost * SHARE / sessions).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkpoint of a tenth of a second on a token of 4 sessions: every half second one, while all are in use.
    #[test]
    fn a_busy_token_gives_a_twentieth_and_an_idle_one_whatever_is_asked() {
        let pace = Pace::new(4);
        let began = Instant::now() - Duration::from_millis(100);
        pace.spent(began);
        let rested = |pace: &Pace| {
            let from = Instant::now();
            pace.rest();
            from.elapsed()
        };
        assert!(rested(&pace) < Duration::from_millis(50), "nobody signs");
        let three: Vec<_> = (0..3).map(|_| pace.signing()).collect();
        assert!(rested(&pace) < Duration::from_millis(50), "one session is free");
        let fourth = pace.signing();
        let waited = rested(&pace);
        assert!(waited > Duration::from_millis(300), "{waited:?}");
        assert!(began.elapsed() >= Duration::from_millis(500));
        assert!(rested(&pace) < Duration::from_millis(50), "the share is there again");
        drop((three, fourth));
    }

    /// Where a signature waited for a session the wait is not the token's work.
    #[test]
    fn the_fastest_of_late_counts() {
        let pace = Pace::new(1);
        let cost = |millis| {
            pace.spent(Instant::now() - Duration::from_millis(millis));
            pace.last.lock().unwrap().cost.as_millis()
        };
        assert!((8..12).contains(&cost(8)));
        assert!(cost(1000) < 14);
        assert!(cost(1000) < 16);
        assert!(cost(3) < 6);
    }
}
