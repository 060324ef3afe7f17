//! The only place that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use stele_core::types::Time;

/// Now; a clock before 1970 counts as 1970.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
