//! Durations as people write them: `90d`, `24h`, `10m`, `30s`.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// A duration in whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(pub u64);

const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

impl FromStr for Seconds {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        let bad = || {
            Error::malformed(
                "duration",
                format!("`{}`", s.escape_debug()),
                "a whole number and one unit: d, h, m or s, e.g. `90d`; at most 36500d",
            )
        };
        let read = |(unit, secs): (&str, u64)| {
            let digits = s.strip_suffix(unit)?;
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(secs)
        };
        let secs = UNITS.into_iter().find_map(read).ok_or_else(bad)?;
        (secs <= 36_500 * 86_400).then_some(Self(secs)).ok_or_else(bad)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, secs) = UNITS
            .into_iter()
            .find(|(_, secs)| self.0 != 0 && self.0.is_multiple_of(*secs))
            .unwrap_or(("s", 1));
        write!(f, "{}{unit}", self.0 / secs)
    }
}

impl serde::Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        <String as serde::Deserialize>::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_what_they_write() {
        for (text, secs) in [
            ("90d", 7_776_000),
            ("36h", 129_600),
            ("10m", 600),
            ("61s", 61),
            ("0s", 0),
        ] {
            assert_eq!(text.parse::<Seconds>().unwrap().0, secs);
            assert_eq!(Seconds(secs).to_string(), text);
        }
        for bad in [
            "",
            "d",
            "1",
            "1w",
            "-1d",
            "+1d",
            "1.5h",
            "1d2h",
            "99999999999999999999d",
            "36501d",
        ] {
            assert!(bad.parse::<Seconds>().is_err(), "{bad}");
        }
    }
}
