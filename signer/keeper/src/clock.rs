//! The clock: a record's time never goes back, and a clock that jumps stops signing until people confirm it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stele_core::types::Time;

/// Steps back up to this are waited out; it covers the slewing of a disciplined clock.
const WAITED_OUT: Duration = Duration::from_secs(2);

/// What the clock says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Go on with this time.
    Good(Time),
    /// The clock stepped within this boot: from where it should be to where it is.
    Stepped {
        /// Where it should be.
        expected: Time,
        /// Where it is.
        found: Time,
    },
}

/// Watches the wall clock against the time since boot.
#[derive(Debug)]
pub(crate) struct Clock {
    anchor_wall: Time,
    anchor_boot: Duration,
    limit: Duration,
}

fn wall() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Time since boot, suspended time included (`CLOCK_BOOTTIME`); nobody can set it.
fn boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

impl Clock {
    /// Trusts the clock as it is now.
    #[must_use]
    pub(crate) fn start(limit: Duration) -> Self {
        Self {
            anchor_wall: wall(),
            anchor_boot: boot(),
            limit,
        }
    }

    /// What the clock says, measured against the time since boot.
    #[must_use]
    pub(crate) fn read(&self) -> Reading {
        self.judge(wall(), boot())
    }

    fn judge(&self, found: Time, boot: Duration) -> Reading {
        let elapsed = u64::try_from(boot.saturating_sub(self.anchor_boot).as_millis()).unwrap_or(u64::MAX);
        let expected = Time::from_millis(self.anchor_wall.millis().saturating_add(elapsed));
        if u128::from(expected.millis().abs_diff(found.millis())) > self.limit.as_millis() {
            return Reading::Stepped { expected, found };
        }
        Reading::Good(found)
    }

    /// Trusts the clock as it is now, after people confirmed it.
    pub(crate) fn confirm(&mut self) {
        *self = Self::start(self.limit);
    }
}

/// The time for the next record: not before `last`. A small step back is waited out.
///
/// # Errors
/// With the distance, when the clock is further behind the last record than can be waited out.
pub(crate) fn next_time(now: Time, last: Time) -> Result<Time, Duration> {
    let behind = Duration::from_millis(last.millis().saturating_sub(now.millis()));
    if behind > WAITED_OUT {
        return Err(behind);
    }
    if !behind.is_zero() {
        std::thread::sleep(behind);
    }
    Ok(now.max(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_either_way_are_noticed_and_drift_is_not() {
        let clock = Clock {
            anchor_wall: Time::from_secs(1000),
            anchor_boot: Duration::from_secs(10),
            limit: Duration::from_secs(60),
        };
        let at = |wall, boot| clock.judge(Time::from_secs(wall), Duration::from_secs(boot));
        assert_eq!(at(1100, 110), Reading::Good(Time::from_secs(1100)));
        assert_eq!(at(1130, 110), Reading::Good(Time::from_secs(1130)));
        assert!(matches!(at(1161, 110), Reading::Stepped { .. }));
        assert!(matches!(at(1039, 110), Reading::Stepped { .. }));
    }

    #[test]
    fn time_never_goes_back() {
        let last = Time::from_millis(5000);
        assert_eq!(next_time(Time::from_millis(4990), last), Ok(last));
        assert_eq!(next_time(Time::from_millis(6000), last), Ok(Time::from_millis(6000)));
        assert!(next_time(Time::from_millis(1000), last).is_err());
    }
}
