//! One session in one caller's hands.

use std::collections::HashMap;

use cryptoki::context::Function;
use cryptoki::error::{Error as Cause, Result as CkResult, RvError};
use cryptoki::session::{Session, SessionState};

use super::{Line, Pool};
use crate::error::TokenError;
use crate::key::Pair;

/// A caller's place among those with a session.
pub(super) struct Place<'p> {
    pub(super) pool: &'p Pool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.out -= 1;
        if matches!(state.line, Line::Up(_)) {
            self.pool.changed.notify_one();
        } else {
            // Somebody may be waiting for the last session to come back before reopening.
            self.pool.changed.notify_all();
        }
    }
}

/// A session in one caller's hands. Dropped, it is closed; [`Lease::give_back`] keeps it open for the next caller.
pub(crate) struct Lease<'p> {
    // The session must be closed before its place is free: fields drop in this order.
    pub(super) session: Session,
    pub(super) place: Place<'p>,
    /// Its log-in.
    pub(super) number: u64,
    pub(super) healthy: bool,
}

impl Lease<'_> {
    /// Makes calls on the session.
    pub(crate) fn run<T>(
        &mut self,
        doing: &'static str,
        calls: impl FnOnce(&Session) -> CkResult<T>,
    ) -> Result<T, TokenError> {
        self.call(calls).map_err(|cause| TokenError::Call { doing, cause })
    }

    /// Makes calls on the session. After a failure it is not used again; after a loss the whole log-in is not.
    pub(crate) fn call<T>(&mut self, calls: impl FnOnce(&Session) -> CkResult<T>) -> CkResult<T> {
        let done = calls(&self.session);
        if let Err(cause) = &done {
            self.healthy = false;
            self.place.pool.note(self.number, cause);
        }
        done
    }

    /// Fails as after a loss when nobody is logged in: then private keys are not refused but invisible.
    pub(crate) fn still_logged_in(&mut self) -> Result<(), TokenError> {
        self.run("see whether the log-in stands", |session| {
            match session.get_session_info()?.session_state() {
                SessionState::RwUser => Ok(()),
                _ => Err(Cause::Pkcs11(RvError::UserNotLoggedIn, Function::GetSessionInfo)),
            }
        })
    }

    /// Returns the session to the pool, unless a call on it failed or its log-in has ended.
    pub(crate) fn give_back(self) {
        if !self.healthy {
            return;
        }
        let mut state = self.place.pool.lock();
        let current = state.number == self.number;
        if let Line::Up(log_in) = &mut state.line
            && current
        {
            log_in.proven = true;
            state.failures = 0;
            state.idle.push(self.session);
        } else {
            drop(state);
            drop(self.session);
        }
    }

    /// Where a key is in this log-in, when that is known.
    pub(crate) fn known(&self, id: &[u8]) -> Option<Pair> {
        self.keys(|keys| keys.get(id).copied()).flatten()
    }

    /// Every key whose place in this log-in is known.
    pub(crate) fn all_known(&self) -> Vec<Pair> {
        self.keys(|keys| keys.values().copied().collect()).unwrap_or_default()
    }

    pub(crate) fn remember(&self, id: &[u8], pair: Pair) {
        self.keys(|keys| keys.insert(id.to_vec(), pair));
    }

    pub(crate) fn forget(&self, id: &[u8]) {
        self.keys(|keys| keys.remove(id));
    }

    /// The handles of this lease's log-in; `None` when that has ended meanwhile.
    fn keys<T>(&self, look: impl FnOnce(&mut HashMap<Vec<u8>, Pair>) -> T) -> Option<T> {
        let mut state = self.place.pool.lock();
        let current = state.number == self.number;
        match &mut state.line {
            Line::Up(log_in) if current => Some(look(&mut log_in.keys)),
            _ => None,
        }
    }
}
