//! How often a caller may ask under a profile: a bucket of tokens for each pair, filled evenly.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use stele_api::status::{Failure, Reason};
use stele_core::profile::Rate;
use stele_core::types::{CallerSan, ProfileName, Time};

/// The buckets. They begin full at each start of the process: a limit on load, not on numbers of certificates.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<(CallerSan, ProfileName), Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of requests that may be made now.
    milli: u64,
    /// When that was counted.
    at: Time,
}

impl Rates {
    /// Takes one request from the bucket.
    ///
    /// # Errors
    /// When it is empty, with the time until it no longer is.
    pub(crate) fn take(
        &self,
        rate: Option<&Rate>,
        caller: &CallerSan,
        profile: &ProfileName,
        now: Time,
    ) -> Result<(), Failure> {
        let Some(rate) = rate else { return Ok(()) };
        let burst = u64::from(rate.burst.unwrap_or(rate.per_minute).max(1)) * 1000;
        let per_minute = u64::from(rate.per_minute.max(1));
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = Bucket { milli: burst, at: now };
        let bucket = buckets.entry((caller.clone(), profile.clone())).or_insert(full);
        // per_minute requests in 60,000 ms: per_minute / 60 thousandths in each millisecond.
        let elapsed = now.millis().saturating_sub(bucket.at.millis());
        let gained = elapsed.saturating_mul(per_minute) / 60;
        if gained > 0 {
            *bucket = Bucket {
                milli: bucket.milli.saturating_add(gained).min(burst),
                at: now,
            };
        }
        if let Some(left) = bucket.milli.checked_sub(1000) {
            bucket.milli = left;
            return Ok(());
        }
        let wait = (1000 - bucket.milli) * 60 / per_minute + 1;
        let why = format!("more than {} requests a minute under {profile}", rate.per_minute);
        Err(Failure::new(Reason::RateLimited, why).retry_after(Duration::from_millis(wait)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let rate = Rate {
            per_minute: 60,
            burst: Some(2),
        };
        let (caller, profile) = ("dns:a.example".parse().unwrap(), "pod".parse().unwrap());
        let rates = Rates::default();
        let take = |millis| rates.take(Some(&rate), &caller, &profile, Time::from_millis(millis));
        assert!(take(0).is_ok() && take(0).is_ok());
        assert_eq!(take(0).unwrap_err().reason(), Reason::RateLimited);
        assert!(take(999).is_err());
        assert!(take(2001).is_ok());
        assert!(rates.take(None, &caller, &profile, Time::from_millis(0)).is_ok());
    }
}
