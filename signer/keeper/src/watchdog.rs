//! A call of the PKCS#11 module cannot be interrupted. One that hangs takes the keeper down, so that its unit starts it
//! again; what was open is `unknown` then, by the ordinary path.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::KeeperError;

/// How often the calls under way are looked at.
const POLL: Duration = Duration::from_secs(1);
/// The process's exit code after a call that hung; `sysexits.h` calls it EX_TEMPFAIL.
const EXIT_HUNG: i32 = 75;

/// The calls under way.
#[derive(Debug, Default)]
struct Calls {
    next: u64,
    begun: BTreeMap<u64, (Instant, &'static str)>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Watchdog(Arc<Mutex<Calls>>);

/// A call under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    calls: Arc<Mutex<Calls>>,
    number: u64,
}

fn lock(calls: &Mutex<Calls>) -> MutexGuard<'_, Calls> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watchdog {
    /// Watches from now on. Waiting for a session counts, so `limit` must be above the longest deadline.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(limit: Duration) -> Result<Self, KeeperError> {
        let calls = Arc::new(Mutex::new(Calls::default()));
        let watched = Arc::downgrade(&calls);
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || {
                while let Some(calls) = watched.upgrade() {
                    if let Some((what, after)) = hung(&lock(&calls), limit) {
                        tracing::error!(
                            what,
                            seconds = after.as_secs(),
                            "the PKCS#11 module does not come back; the keeper ends so that it is started again"
                        );
                        std::process::exit(EXIT_HUNG);
                    }
                    drop(calls);
                    std::thread::sleep(POLL);
                }
            })
            .map_err(|e| KeeperError::Stopped(format!("a thread could not be started: {e}")))?;
        Ok(Self(calls))
    }

    /// A call of the module begins.
    #[must_use]
    pub(crate) fn begin(&self, what: &'static str) -> Watched {
        let mut calls = lock(&self.0);
        let number = calls.next;
        calls.next += 1;
        calls.begun.insert(number, (Instant::now(), what));
        Watched {
            calls: self.0.clone(),
            number,
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        lock(&self.calls).begun.remove(&self.number);
    }
}

/// The oldest call, where it is older than `limit`.
fn hung(calls: &Calls, limit: Duration) -> Option<(&'static str, Duration)> {
    let (begun, what) = calls.begun.values().next()?;
    Some((*what, begun.elapsed())).filter(|(_, after)| *after > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_call_beyond_the_limit_hangs() {
        let dog = Watchdog::start(Duration::from_secs(3600)).unwrap();
        let short = dog.begin("short");
        let long = dog.begin("long");
        assert_eq!(hung(&lock(&dog.0), Duration::from_secs(60)), None);
        drop(short);
        std::thread::sleep(Duration::from_millis(2));
        let found = hung(&lock(&dog.0), Duration::from_millis(1)).map(|(what, _)| what);
        assert_eq!(found, Some("long"));
        drop(long);
        assert_eq!(hung(&lock(&dog.0), Duration::ZERO), None);
    }
}
