//! A bounded pool of sessions under one log-in, and the way back after a loss.
//!
//! The log-in belongs to the token, not to a session: it ends when any session logs out or the last one closes. An
//! anchor session, used for nothing else, keeps it. Object handles end with it, so they are cached per log-in.

mod lease;
mod log_in;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cryptoki::error::Error as Cause;
use cryptoki::session::Session;
use secrecy::SecretString;

use crate::error::{TokenError, is_loss};
use crate::module::{Module, TokenSpec};
use crate::pin::Proof;

pub(crate) use lease::Lease;
use lease::Place;
use log_in::{LogIn, enter, session_limit};

/// First pause after a failed reopening; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Log-ins in a row that may end before any work succeeded, without a pause.
const BARREN_FORGIVEN: u32 = 3;

pub(crate) struct Pool {
    // Sessions must be gone before the module stops: fields drop in this order.
    state: Mutex<State>,
    changed: Condvar,
    spec: TokenSpec,
    pin: SecretString,
    limit: usize,
    module: Module,
}

struct State {
    line: Line,
    /// Sessions nobody uses, all of the present log-in.
    idle: Vec<Session>,
    /// Sessions in callers' hands, of whatever log-in.
    out: usize,
    /// Log-ins so far; names the present one.
    number: u64,
    /// Failed reopenings, and log-ins that ended before any work succeeded, in a row.
    failures: u32,
}

/// Whether there is a token at the other end.
enum Line {
    Up(LogIn),
    /// A loss was seen; whoever comes next reopens, once all sessions are back.
    Lost,
    /// Somebody is reopening.
    Reopening,
    /// Reopening failed; nobody tries before `until`.
    Down {
        until: Instant,
        cause: Arc<TokenError>,
    },
    /// The PIN was refused, or must not be tried. It stays so for the life of the process.
    PinRefused(Arc<TokenError>),
}

impl Pool {
    /// Opens the token and spends the one log-in attempt.
    pub(crate) fn open(module: Module, spec: &TokenSpec, pin: &SecretString) -> Result<Self, TokenError> {
        let log_in = enter(&module, spec, pin, Proof::Wanted)?;
        let limit = session_limit(&module, spec, log_in.slot)?;
        Ok(Self {
            state: Mutex::new(State {
                line: Line::Up(log_in),
                idle: Vec::new(),
                out: 0,
                number: 1,
                failures: 0,
            }),
            changed: Condvar::new(),
            spec: spec.clone(),
            pin: pin.clone(),
            limit,
            module,
        })
    }

    pub(crate) const fn module(&self) -> &Module {
        &self.module
    }

    pub(crate) const fn spec(&self) -> &TokenSpec {
        &self.spec
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits up to `wait` for a session, reopening the token first when it was lost.
    pub(crate) fn lease(&self, wait: Duration) -> Result<Lease<'_>, TokenError> {
        let began = Instant::now();
        let mut state = self.lock();
        loop {
            match &state.line {
                Line::Up(_) if !state.idle.is_empty() || state.out < self.limit => return self.take(state),
                Line::Lost if state.out == 0 => {
                    state = self.reopen(state);
                    continue;
                }
                Line::Down { until, .. } if *until <= Instant::now() => {
                    state.line = Line::Lost;
                    continue;
                }
                Line::Down { until, cause } => {
                    return Err(TokenError::Unavailable {
                        retry_in: until.saturating_duration_since(Instant::now()),
                        cause: Arc::clone(cause),
                    });
                }
                Line::PinRefused(cause) => {
                    return Err(TokenError::Closed {
                        cause: Arc::clone(cause),
                    });
                }
                Line::Up(_) | Line::Lost | Line::Reopening => {}
            }
            let Some(left) = wait.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else {
                return Err(self.busy(began.elapsed()));
            };
            state = match self.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Takes an idle session, or opens one more.
    fn take<'p>(&'p self, mut state: MutexGuard<'p, State>) -> Result<Lease<'p>, TokenError> {
        let Line::Up(LogIn { slot, .. }) = state.line else {
            // Only called with the line up, under the same lock.
            return Err(self.busy(Duration::ZERO));
        };
        let (idle, number) = (state.idle.pop(), state.number);
        state.out += 1;
        drop(state);
        let place = Place { pool: self };
        let session = match idle {
            Some(session) => session,
            None => self.module.pkcs11().open_rw_session(slot).map_err(|cause| {
                self.note(number, &cause);
                TokenError::Call {
                    doing: "open a session",
                    cause,
                }
            })?,
        };
        Ok(Lease {
            session,
            place,
            number,
            healthy: true,
        })
    }

    /// Does work on a session; work that met a loss is done once more on a reopened token.
    ///
    /// Only for work that may be repeated: never for a signature.
    pub(crate) fn repeatable<T>(
        &self,
        wait: Duration,
        work: impl Fn(&mut Lease<'_>) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        match self.once(wait, &work) {
            Err(error) if error.is_loss() => self.once(wait, &work),
            done => done,
        }
    }

    /// Does work on a session, once.
    pub(crate) fn once<T>(
        &self,
        wait: Duration,
        work: impl FnOnce(&mut Lease<'_>) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        let mut lease = self.lease(wait)?;
        let done = work(&mut lease);
        lease.give_back();
        done
    }

    const fn busy(&self, waited: Duration) -> TokenError {
        TokenError::Busy {
            waited_ms: waited.as_millis(),
            sessions: self.limit,
        }
    }

    /// Closes what is left of the old log-in and makes a new one, without holding the lock meanwhile.
    fn reopen<'p>(&'p self, mut state: MutexGuard<'p, State>) -> MutexGuard<'p, State> {
        state.line = Line::Reopening;
        drop(state);
        let entered = enter(&self.module, &self.spec, &self.pin, Proof::Given);
        let mut state = self.lock();
        state.line = match entered {
            Ok(log_in) => {
                tracing::warn!(label = %self.spec.label, "the token was lost and is open again");
                state.number += 1;
                Line::Up(log_in)
            }
            Err(cause) if cause.forbids_another_log_in() => {
                tracing::error!(label = %self.spec.label, %cause, "the token was lost and cannot be opened again");
                Line::PinRefused(Arc::new(cause))
            }
            Err(cause) => {
                let pause = pause_after(state.failures);
                state.failures = state.failures.saturating_add(1);
                tracing::warn!(label = %self.spec.label, %cause, pause_ms = pause.as_millis(), "the token is lost");
                Line::Down {
                    until: Instant::now() + pause,
                    cause: Arc::new(cause),
                }
            }
        };
        self.changed.notify_all();
        state
    }

    /// Looks at a failure in the log-in `number`: after a loss the whole log-in goes.
    fn note(&self, number: u64, cause: &Cause) {
        if is_loss(cause) {
            self.lose(number);
        }
    }

    /// Marks the log-in `number` as lost, and closes what nobody uses of it.
    fn lose(&self, number: u64) {
        let mut state = self.lock();
        if state.number != number || !matches!(state.line, Line::Up(_)) {
            return;
        }
        let old = std::mem::replace(&mut state.line, Line::Lost);
        if !matches!(&old, Line::Up(log_in) if log_in.proven) {
            state.failures = state.failures.saturating_add(1);
            if let Some(pause) = pause_after_barren(state.failures) {
                state.line = Line::Down {
                    until: Instant::now() + pause,
                    cause: Arc::new(TokenError::Barren { times: state.failures }),
                };
            }
        }
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
        drop(old);
        self.changed.notify_all();
    }
}

/// The pause before logging in again when log-ins keep ending before any work succeeded: none at first, for one bad
/// moment can spoil a fresh log-in.
fn pause_after_barren(failures: u32) -> Option<Duration> {
    failures.checked_sub(BARREN_FORGIVEN + 1).map(pause_after)
}

fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        assert_eq!(pause_after(0), FIRST_PAUSE);
        assert_eq!(pause_after(1), FIRST_PAUSE * 2);
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn a_token_that_opens_but_never_works_is_not_hammered() {
        assert_eq!(pause_after_barren(BARREN_FORGIVEN), None);
        assert_eq!(pause_after_barren(BARREN_FORGIVEN + 1), Some(FIRST_PAUSE));
        assert_eq!(pause_after_barren(u32::MAX), Some(LONGEST_PAUSE));
    }
}
