//! Floods of refusals: the first few of a caller and hour are recorded one by one, the others counted, so that nobody
//! who is refused can fill the log.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stele_core::record::RefusalsCounted;
use stele_core::types::{CallerSan, Time};

/// Refusals of a caller and hour that have a record each.
const FIRST: u32 = 20;
/// An hour.
const HOUR_MILLIS: u64 = 3_600_000;
/// How long counted refusals wait for their record at most. A crash loses no more than these.
const WAIT_MILLIS: u64 = 600_000;
/// Callers that are remembered. The bundle lists callers, so there are not many.
const MAX_REMEMBERED: usize = 10_000;

/// What is to be done with a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recording {
    /// It gets a record of its own.
    Single,
    /// It was counted.
    Counted,
}

/// Which counts are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those that have waited long enough.
    Due,
    /// All.
    All,
}

/// All callers that were refused lately.
#[derive(Debug, Default)]
pub(crate) struct Floods(Mutex<HashMap<CallerSan, Flood>>);

#[derive(Debug)]
struct Flood {
    /// When its hour began.
    began: Time,
    /// How many of this hour have a record.
    recorded: u32,
    /// The others.
    counted: Option<RefusalsCounted>,
}

impl Floods {
    fn lock(&self) -> MutexGuard<'_, HashMap<CallerSan, Flood>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a refusal into account.
    pub(crate) fn add(&self, caller: &CallerSan, reason: &str, now: Time) -> Recording {
        let mut all = self.lock();
        if all.len() >= MAX_REMEMBERED {
            all.retain(|_, flood| flood.counted.is_some() || !flood.is_over(now));
        }
        let flood = all.entry(caller.clone()).or_insert(Flood {
            began: now,
            recorded: 0,
            counted: None,
        });
        if flood.is_over(now) {
            flood.began = now;
            flood.recorded = 0;
        }
        if flood.recorded < FIRST {
            flood.recorded += 1;
            return Recording::Single;
        }
        let counted = flood.counted.get_or_insert_with(|| RefusalsCounted {
            caller: caller.clone(),
            since: now,
            until: now,
            reasons: BTreeMap::new(),
        });
        counted.until = counted.until.max(now);
        *counted.reasons.entry(reason.to_owned()).or_default() += 1;
        Recording::Counted
    }

    /// Takes counts out, to be recorded.
    pub(crate) fn take(&self, which: Which, now: Time) -> Vec<RefusalsCounted> {
        let due = |counted: &RefusalsCounted| {
            which == Which::All || now.millis().saturating_sub(counted.since.millis()) >= WAIT_MILLIS
        };
        let mut all = self.lock();
        all.values_mut()
            .filter_map(|flood| flood.counted.take_if(|counted| due(counted)))
            .collect()
    }

    /// Puts a count back that could not be recorded.
    pub(crate) fn put_back(&self, counted: RefusalsCounted) {
        let mut all = self.lock();
        let Some(flood) = all.get_mut(&counted.caller) else {
            return;
        };
        match &mut flood.counted {
            None => flood.counted = Some(counted),
            Some(newer) => {
                newer.since = newer.since.min(counted.since);
                newer.until = newer.until.max(counted.until);
                for (reason, count) in counted.reasons {
                    *newer.reasons.entry(reason).or_default() += count;
                }
            }
        }
    }
}

impl Flood {
    const fn is_over(&self, now: Time) -> bool {
        now.millis().saturating_sub(self.began.millis()) >= HOUR_MILLIS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> CallerSan {
        format!("dns:{name}.example").parse().unwrap()
    }

    #[test]
    fn the_first_few_of_a_caller_and_hour_are_recorded_and_the_others_counted() {
        let floods = Floods::default();
        let (a, b) = (caller("a"), caller("b"));
        for second in 0..u64::from(FIRST) {
            assert_eq!(floods.add(&a, "X", Time::from_secs(second)), Recording::Single);
        }
        assert_eq!(floods.add(&a, "X", Time::from_secs(100)), Recording::Counted);
        assert_eq!(floods.add(&a, "Y", Time::from_secs(160)), Recording::Counted);
        assert_eq!(floods.add(&a, "X", Time::from_secs(150)), Recording::Counted);
        assert_eq!(floods.add(&b, "X", Time::from_secs(160)), Recording::Single);
        assert_eq!(floods.take(Which::Due, Time::from_secs(200)), []);
        let [counted] = floods.take(Which::Due, Time::from_secs(700)).try_into().unwrap();
        assert_eq!(
            counted,
            RefusalsCounted {
                caller: a.clone(),
                since: Time::from_secs(100),
                until: Time::from_secs(160),
                reasons: [("X".to_owned(), 2), ("Y".to_owned(), 1)].into(),
            }
        );
        assert_eq!(floods.take(Which::All, Time::from_secs(701)), []);
        assert_eq!(floods.add(&a, "X", Time::from_secs(3600)), Recording::Single);
    }

    #[test]
    fn what_could_not_be_recorded_is_counted_again() {
        let floods = Floods::default();
        let a = caller("a");
        for second in 0..=u64::from(FIRST) {
            floods.add(&a, "X", Time::from_secs(second));
        }
        let [counted] = floods.take(Which::All, Time::from_secs(30)).try_into().unwrap();
        floods.add(&a, "X", Time::from_secs(40));
        floods.put_back(counted);
        let [both] = floods.take(Which::All, Time::from_secs(50)).try_into().unwrap();
        assert_eq!(
            (both.since, both.until),
            (Time::from_secs(u64::from(FIRST)), Time::from_secs(40))
        );
        assert_eq!(both.reasons, [("X".to_owned(), 2)].into());
    }
}
