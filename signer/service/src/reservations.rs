//! Requests that are under way: one attempt at a time for each caller and id, from the look-up until what it left is
//! in the index, so that asking twice at once never makes two certificates (P8).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stele_api::status::{Failure, Reason};
use stele_core::types::{CallerSan, RequestId};

type Key = (CallerSan, RequestId);

/// All that are under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reservations(Arc<Mutex<HashSet<Key>>>);

/// One that is under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    all: Reservations,
    key: Key,
}

impl Reservations {
    /// Reserves a request.
    ///
    /// # Errors
    /// When it is under way already.
    pub(crate) fn take(&self, caller: &CallerSan, id: &RequestId) -> Result<Reserved, Failure> {
        let key = (caller.clone(), id.clone());
        if !self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.clone())
        {
            let why = format!("the request {id} is under way on another connection");
            return Err(Failure::new(Reason::RequestInProgress, why).retry_after(Duration::from_millis(500)));
        }
        Ok(Reserved { all: self.clone(), key })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.all
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_for_each_caller_and_id() {
        let all = Reservations::default();
        let (a, b): (CallerSan, CallerSan) = ("dns:a.example".parse().unwrap(), "dns:b.example".parse().unwrap());
        let id: RequestId = "r-1".parse().unwrap();
        let first = all.take(&a, &id).unwrap();
        assert_eq!(all.take(&a, &id).unwrap_err().reason(), Reason::RequestInProgress);
        let _other = all.take(&b, &id).unwrap();
        drop(first);
        assert!(all.take(&a, &id).is_ok());
    }
}
