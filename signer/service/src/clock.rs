//! The wall clock, read in one place; judgement gets it as a value. The keeper has the last word on time.

use std::time::{SystemTime, UNIX_EPOCH};

use stele_core::types::Time;

/// Now.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
