//! Requests that are under way: one attempt at a time for each caller and id, from the look-up until what it left is
//! in the index, so that asking twice never makes two certificates (P8). Who has the answer need not wait for the index;
//! the reservation then stands for the outcome.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stele_api::status::{Failure, Reason};
use stele_core::types::{CallerSan, RequestId};

type Key = (CallerSan, RequestId);

/// All that are under way, or answered and not indexed yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reservations(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    places: HashMap<Key, Place>,
    /// The answered ones, by their outcomes' indexes.
    answered: BTreeMap<u64, Key>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    UnderWay,
    /// Answered with the outcome at this index.
    Answered(u64),
}

/// One that is under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    all: Reservations,
    key: Key,
    outcome: Option<u64>,
}

impl Reservations {
    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves a request. Before anything is looked up, the index must have its [`Reserved::outcome`].
    ///
    /// # Errors
    /// When it is under way already.
    pub(crate) fn take(&self, caller: &CallerSan, id: &RequestId) -> Result<Reserved, Failure> {
        let key = (caller.clone(), id.clone());
        let mut all = self.lock();
        let outcome = match all.places.insert(key.clone(), Place::UnderWay) {
            None => None,
            Some(Place::Answered(outcome)) => {
                all.answered.remove(&outcome);
                Some(outcome)
            }
            Some(Place::UnderWay) => {
                let why = format!("the request {id} is under way on another connection");
                return Err(Failure::new(Reason::RequestInProgress, why).retry_after(Duration::from_millis(500)));
            }
        };
        drop(all);
        Ok(Reserved {
            all: self.clone(),
            key,
            outcome,
        })
    }

    /// The index has every record below `next`: look-ups find those outcomes there.
    pub(crate) fn indexed(&self, next: u64) {
        let mut all = self.lock();
        let still = all.answered.split_off(&next);
        for key in std::mem::replace(&mut all.answered, still).into_values() {
            all.places.remove(&key);
        }
    }
}

impl Reserved {
    /// The outcome that was answered last, where the index may not have it.
    pub(crate) const fn outcome(&self) -> Option<u64> {
        self.outcome
    }

    /// The index has it.
    pub(crate) const fn indexed(&mut self) {
        self.outcome = None;
    }

    /// The outcome at `outcome` is about to be answered.
    pub(crate) const fn leave(&mut self, outcome: u64) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        match self.outcome {
            None => {
                all.places.remove(&self.key);
            }
            Some(outcome) => {
                all.places.insert(self.key.clone(), Place::Answered(outcome));
                all.answered.insert(outcome, self.key.clone());
            }
        }
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

    /// From the answer until the index has the outcome the next one who asks is told to wait for the index.
    #[test]
    fn an_answer_stands_until_it_is_indexed() {
        let all = Reservations::default();
        let (caller, id): (CallerSan, RequestId) = ("dns:a.example".parse().unwrap(), "r-1".parse().unwrap());
        let mut first = all.take(&caller, &id).unwrap();
        assert_eq!(first.outcome(), None);
        first.leave(7);
        all.indexed(7);
        drop(first);
        all.indexed(7);
        let again = all.take(&caller, &id).unwrap();
        assert_eq!(again.outcome(), Some(7));
        assert!(all.take(&caller, &id).is_err());
        // Whoever could not wait for the index leaves it as it was.
        drop(again);
        let mut again = all.take(&caller, &id).unwrap();
        assert_eq!(again.outcome(), Some(7));
        again.indexed();
        drop(again);
        assert_eq!(all.take(&caller, &id).unwrap().outcome(), None);
        let mut last = all.take(&caller, &id).unwrap();
        last.leave(9);
        drop(last);
        all.indexed(10);
        assert!(all.lock().places.is_empty() && all.lock().answered.is_empty());
    }
}
