//! Spans of time as a script writes them: `20y`, `90d`, `12h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::types::Time;

const DAY: u64 = 86_400;

/// A span: calendar years, or days, hours or minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    count: u16,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Years,
    Days,
    Hours,
    Minutes,
}

const UNITS: [(&str, Unit); 4] = [
    ("y", Unit::Years),
    ("d", Unit::Days),
    ("h", Unit::Hours),
    ("m", Unit::Minutes),
];
const MAX_YEARS: u16 = 100;

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self {
        count: 0,
        unit: Unit::Minutes,
    };

    /// Whether it is no time at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.count == 0
    }

    /// The time that lies this span after `start`: the same day and hour of another year, where it counts years.
    #[must_use]
    pub fn after(self, start: Time) -> Time {
        let count = u64::from(self.count);
        match self.unit {
            Unit::Years => years_after(start, self.count),
            Unit::Days => start.plus_secs(count * DAY),
            Unit::Hours => start.plus_secs(count * 3600),
            Unit::Minutes => start.plus_secs(count * 60),
        }
    }

    /// Seconds of the span, a year counted as 365 days.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        let unit = match self.unit {
            Unit::Years => 365 * DAY,
            Unit::Days => DAY,
            Unit::Hours => 3600,
            Unit::Minutes => 60,
        };
        self.count as u64 * unit
    }
}

/// 29 February becomes 28 February in a year that has none.
fn years_after(start: Time, years: u16) -> Time {
    let Ok(date) = der::DateTime::from_unix_duration(Duration::from_secs(start.secs())) else {
        return start;
    };
    let on = |day| {
        der::DateTime::new(
            date.year() + years,
            date.month(),
            day,
            date.hour(),
            date.minutes(),
            date.seconds(),
        )
        .ok()
    };
    on(date.day())
        .or_else(|| on(28))
        .map_or(Time::from_millis(u64::MAX), |later| {
            Time::from_secs(later.unix_duration().as_secs())
        })
}

impl FromStr for Span {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        let bad = || {
            Error::malformed(
                "span of time",
                format!("`{}`", s.escape_debug()),
                "a whole number and one unit, y, d, h or m, e.g. `20y`, `90d`, `12h`; at most 100y",
            )
        };
        let (digits, unit) = UNITS
            .into_iter()
            .find_map(|(letter, unit)| Some((s.strip_suffix(letter)?, unit)))
            .ok_or_else(bad)?;
        if digits.is_empty()
            || !digits.bytes().all(|b| b.is_ascii_digit())
            || (digits.len() > 1 && digits.starts_with('0'))
        {
            return Err(bad());
        }
        let span = Self {
            count: digits.parse().map_err(|_| bad())?,
            unit,
        };
        if span.seconds() > u64::from(MAX_YEARS) * 365 * DAY {
            return Err(bad());
        }
        Ok(span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = UNITS
            .iter()
            .find(|(_, unit)| *unit == self.unit)
            .map_or("", |(letter, _)| letter);
        write!(f, "{}{letter}", self.count)
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(s: &str) -> Time {
        s.parse().unwrap()
    }

    #[test]
    fn years_are_calendar_years() {
        let years = |n: &str, start| n.parse::<Span>().unwrap().after(time(start));
        assert_eq!(years("20y", "2026-11-22T01:02:03Z"), time("2046-11-22T01:02:03Z"));
        assert_eq!(years("1y", "2028-02-29T00:00:00Z"), time("2029-02-28T00:00:00Z"));
        assert_eq!(years("4y", "2028-02-29T00:00:00Z"), time("2032-02-29T00:00:00Z"));
        assert_eq!(years("90d", "2026-01-01T00:00:00Z"), time("2026-04-01T00:00:00Z"));
    }

    #[test]
    fn spans_have_one_form() {
        for good in ["0m", "12h", "100y", "36500d"] {
            assert_eq!(good.parse::<Span>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "y",
            "1",
            "1w",
            "-1d",
            "+1d",
            "1.5y",
            "01d",
            "1y2d",
            "101y",
            "36501d",
            "99999999d",
            " 1d",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }
}
