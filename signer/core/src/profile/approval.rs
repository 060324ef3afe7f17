//! Who must agree before a profile's certificates are signed.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};

use super::duration::Seconds;
use crate::error::Error;

/// A role that operators hold, e.g. `approver`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role(String);

impl Role {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Role {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if s.is_empty() || s.len() > 63 || !s.bytes().all(fits) {
            let shown: String = s.chars().take(80).collect();
            return Err(Error::malformed(
                "role",
                format!("`{}`", shown.escape_debug()),
                "1 to 63 of a-z, 0-9 and hyphens",
            ));
        }
        Ok(Self(s.to_owned()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who must agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    /// The profile alone decides.
    Automatic,
    /// So many different operators with this role must sign the proposal's text.
    Quorum {
        /// How many.
        m: u32,
        /// The role that each must hold.
        role: Role,
        /// How long a proposal waits for them.
        expires: Seconds,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuorum {
    m: u32,
    role: Role,
    expires: Seconds,
}

// Written out, because a derived untagged enum would answer every fault with "no variant fits".
impl<'de> Deserialize<'de> for Approval {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct WordOrTable;
        impl<'de> Visitor<'de> for WordOrTable {
            type Value = Approval;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"automatic\" or { m = 1, role = \"approver\", expires = \"72h\" }")
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Approval, E> {
                match word {
                    "automatic" => Ok(Approval::Automatic),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Approval, A::Error> {
                let RawQuorum { m, role, expires } = RawQuorum::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Approval::Quorum { m, role, expires })
            }
        }
        d.deserialize_any(WordOrTable)
    }
}

/// Reads a type from TOML or JSON through its `FromStr`.
macro_rules! deserialize_from_text {
    ($($t:ty),+) => {$(
        impl<'de> Deserialize<'de> for $t {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
deserialize_from_text!(Role, super::template::Template, super::dns_pattern::DnsPattern);
