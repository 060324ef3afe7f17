//! Newtypes that carry meaning and units; every one is valid by construction.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// Bytes that appear as standard padded base64 in JSON (RFC 4648 section 4).
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct B64(pub Vec<u8>);

impl fmt::Debug for B64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "B64({} bytes)", self.0.len())
    }
}

impl fmt::Display for B64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64::encode_string(&self.0))
    }
}

impl From<Vec<u8>> for B64 {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl FromStr for B64 {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        Base64::decode_vec(s)
            .map(Self)
            .map_err(|e| Error::malformed("base64", e.to_string(), "standard base64 with padding"))
    }
}

/// Serialises a type through its `Display` and `FromStr`, so that JSON and text agree.
macro_rules! serde_as_text {
    ($($t:ty),+) => {$(
        impl Serialize for $t {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $t {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
serde_as_text!(B64, Digest, Serial, Time, CallerSan);

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|b| [b >> 4, b & 15]);
    // A nibble always is a digit.
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// Reads an even number of lower-case hexadecimal digits.
///
/// # Errors
/// When a character is not a lower-case hexadecimal digit or the count is odd.
pub fn unhex(field: &str, s: &str) -> Result<Vec<u8>, Error> {
    let bad = || {
        Error::malformed(
            field,
            format!("`{}`", s.escape_debug()),
            "an even number of lower-case hexadecimal digits",
        )
    };
    if !s.len().is_multiple_of(2) || !s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(bad());
    }
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8; 2]| Some(digit(&pair[0])? << 4 | digit(&pair[1])?);
    let (pairs, _) = s.as_bytes().as_chunks::<2>();
    pairs.iter().map(pair).collect::<Option<_>>().ok_or_else(bad)
}

/// A SHA-256 digest, shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// SHA-256 over `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        unhex("digest", s)?.try_into().map(Self).map_err(|v: Vec<u8>| {
            Error::malformed(
                "digest",
                format!("{} bytes", v.len()),
                "32 bytes, as 64 hexadecimal digits",
            )
        })
    }
}

/// A certificate serial number: positive, at most 20 octets (RFC 5280 section 4.1.2.2).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial(Vec<u8>);

impl Serial {
    /// A serial of exactly 20 octets from 20 octets of entropy: 158 random bits, below 2^159 and never short.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 20]) -> Self {
        let [first, rest @ ..] = entropy;
        let mut bytes = vec![(first & 0x7f) | 0x40];
        bytes.extend_from_slice(&rest);
        Self(bytes)
    }

    /// From the unsigned big-endian bytes, leading zeros removed.
    ///
    /// # Errors
    /// When zero or longer than 20 octets as a DER INTEGER.
    pub fn from_unsigned(bytes: &[u8]) -> Result<Self, Error> {
        let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
        let trimmed = bytes.get(start..).unwrap_or_default();
        let der_len = trimmed.len() + usize::from(trimmed.first().is_some_and(|b| b & 0x80 != 0));
        if trimmed.is_empty() || der_len > 20 {
            return Err(Error::malformed(
                "serial",
                hex(bytes),
                "a positive number of at most 20 octets (RFC 5280 section 4.1.2.2)",
            ));
        }
        Ok(Self(trimmed.to_vec()))
    }

    /// The unsigned big-endian bytes, without leading zeros.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Serial {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        Self::from_unsigned(&unhex("serial", s)?)
    }
}

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, shown as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(u64);

/// 9999-12-31T23:59:59.999Z, the last instant that X.509 and RFC 3339 can name.
const LAST_MILLIS: u64 = 253_402_300_799_999;

impl Time {
    /// From milliseconds since the epoch; beyond the year 9999 the last instant is taken.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(if millis > LAST_MILLIS { LAST_MILLIS } else { millis })
    }
    /// From whole seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self::from_millis(secs.saturating_mul(1000))
    }
    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }
    /// Whole seconds since the epoch, rounded down: what X.509 can express.
    #[must_use]
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }
    /// This time and `secs` seconds.
    #[must_use]
    pub const fn plus_secs(self, secs: u64) -> Self {
        Self::from_millis(self.0.saturating_add(secs.saturating_mul(1000)))
    }
    /// This time less `secs` seconds, not before the epoch.
    #[must_use]
    pub const fn minus_secs(self, secs: u64) -> Self {
        Self(self.0.saturating_sub(secs.saturating_mul(1000)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date =
            der::DateTime::from_unix_duration(std::time::Duration::from_secs(self.secs())).map_err(|_| fmt::Error)?;
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            date.year(),
            date.month(),
            date.day(),
            date.hour(),
            date.minutes(),
            date.seconds(),
            self.0 % 1000
        )
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = Error;
    /// Accepts `2026-11-22T01:22:26Z` and the same with exactly three digits of milliseconds.
    fn from_str(s: &str) -> Result<Self, Error> {
        let bad = || {
            Error::malformed(
                "time",
                format!("`{}`", s.escape_debug()),
                "UTC as 2026-11-22T01:22:26Z or with .123 before the Z",
            )
        };
        let (whole, millis) = match (s.get(..19), s.get(19..)) {
            (Some(whole), Some("Z")) => (whole, 0),
            (Some(whole), Some(rest)) => {
                let digits = rest
                    .strip_prefix('.')
                    .and_then(|r| r.strip_suffix('Z'))
                    .ok_or_else(bad)?;
                if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(bad());
                }
                (whole, digits.parse::<u64>().map_err(|_| bad())?)
            }
            _ => return Err(bad()),
        };
        let date: der::DateTime = format!("{whole}Z").parse().map_err(|_| bad())?;
        Ok(Self(date.unix_duration().as_secs() * 1000 + millis))
    }
}

/// Declares a string newtype with a rule; it is valid wherever it exists.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:literal, $permitted:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = Error;
            fn from_str(s: &str) -> Result<Self, Error> {
                let ok: fn(&str) -> bool = $ok;
                if s.is_empty() || s.len() > $max || !ok(s) {
                    let shown: String = s.chars().take(80).collect();
                    return Err(Error::malformed($field, format!("`{}`", shown.escape_debug()), $permitted));
                }
                Ok(Self(s.to_owned()))
            }
        }
        serde_as_text!($name);
    };
}

fn label(s: &str) -> bool {
    s.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !s.starts_with('-')
        && !s.ends_with('-')
}

name!(
    /// The name of a CA key and of the issuer that signs with it, e.g. `issuing-ca`.
    KeyName, "key name", 63, "1 to 63 of a-z, 0-9 and inner hyphens", label
);
name!(
    /// The name of a profile, e.g. `kubelet-serving`.
    ProfileName, "profile name", 63, "1 to 63 of a-z, 0-9 and inner hyphens", label
);
name!(
    /// The name of a caller as the bundle lists it, e.g. `cluster-signer`.
    CallerName, "caller name", 63, "1 to 63 of a-z, 0-9 and inner hyphens", label
);
name!(
    /// The name of an operator, a person, as the bundle lists them.
    OperatorName, "operator name", 63, "1 to 63 of a-z, 0-9 and inner hyphens", label
);
name!(
    /// The name of a witness as the bundle lists it, e.g. `witness-one`; its key has a name of its own.
    WitnessName, "witness name", 63, "1 to 63 of a-z, 0-9 and inner hyphens", label
);
name!(
    /// The request id that a caller chose; unique per caller.
    RequestId, "request id", 128, "1 to 128 of A-Z, a-z, 0-9 and . _ : / -",
    |s| s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/-".contains(&b))
);
name!(
    /// The origin of a log: a schema-less URL (C2SP tlog-checkpoint); also the name of its note key.
    Origin, "origin", 255, "1 to 255 printable ASCII characters without spaces and plus signs",
    |s| s.bytes().all(|b| b.is_ascii_graphic() && b != b'+')
);

/// A place in a log: the origin tells which log, so that positions of different ledgers never mix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The log.
    pub origin: Origin,
    /// Zero-based index of the entry.
    pub index: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.origin, self.index)
    }
}

/// The identity of a peer as its certificate names it: its one URI SAN, else its one DNS SAN, never the CN.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallerSan {
    /// A URI SAN, shown as `uri:spiffe://...`.
    Uri(String),
    /// A DNS SAN, shown as `dns:signer.example.org`.
    Dns(String),
    /// A local Unix user on the signer's machine, shown as `unix:alice`; never from a certificate.
    Unix(String),
}

impl fmt::Display for CallerSan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(s) => write!(f, "uri:{s}"),
            Self::Dns(s) => write!(f, "dns:{s}"),
            Self::Unix(s) => write!(f, "unix:{s}"),
        }
    }
}

impl FromStr for CallerSan {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        let bad = || {
            Error::malformed(
                "caller",
                format!("`{}`", s.escape_debug()),
                "uri:URI, dns:NAME or unix:USER, printable ASCII without spaces",
            )
        };
        if s.len() > 2048 || !s.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad());
        }
        match s.split_once(':') {
            Some(("uri", rest)) if rest.contains(':') => Ok(Self::Uri(rest.to_owned())),
            Some(("dns", rest)) if !rest.is_empty() => Ok(Self::Dns(rest.to_ascii_lowercase())),
            Some(("unix", rest)) if !rest.is_empty() => Ok(Self::Unix(rest.to_owned())),
            _ => Err(bad()),
        }
    }
}

/// The algorithm of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    /// Elliptic curve on NIST P-256.
    EcP256,
    /// Elliptic curve on NIST P-384.
    EcP384,
    /// Elliptic curve on NIST P-521.
    EcP521,
    /// RSA with a 2048-bit modulus.
    Rsa2048,
    /// RSA with a 3072-bit modulus.
    Rsa3072,
    /// RSA with a 4096-bit modulus.
    Rsa4096,
    /// Ed25519 (RFC 8410).
    Ed25519,
}

/// The algorithm of a signature over a TBS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureAlgorithm {
    /// ECDSA with SHA-256.
    EcdsaSha256,
    /// ECDSA with SHA-384.
    EcdsaSha384,
    /// ECDSA with SHA-512.
    EcdsaSha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 octets.
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 octets.
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512, MGF1 with SHA-512 and a salt of 64 octets.
    RsaPssSha512,
    /// Pure Ed25519 (RFC 8410).
    Ed25519,
}

impl KeyAlgorithm {
    /// The signature algorithm that a CA key of this kind signs with unless a profile says otherwise.
    #[must_use]
    pub const fn default_signature(self) -> SignatureAlgorithm {
        match self {
            Self::EcP256 => SignatureAlgorithm::EcdsaSha256,
            Self::EcP384 => SignatureAlgorithm::EcdsaSha384,
            Self::EcP521 => SignatureAlgorithm::EcdsaSha512,
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => SignatureAlgorithm::RsaPkcs1Sha256,
            Self::Ed25519 => SignatureAlgorithm::Ed25519,
        }
    }

    /// The signature algorithm that a key of this kind signs checkpoints with (C2SP signed-note: ECDSA is over
    /// SHA-256, whatever the curve).
    #[must_use]
    pub const fn checkpoint_signature(self) -> SignatureAlgorithm {
        match self {
            Self::EcP256 | Self::EcP384 | Self::EcP521 => SignatureAlgorithm::EcdsaSha256,
            other => other.default_signature(),
        }
    }

    /// The name as it stands in TOML and JSON, e.g. `ec-p256`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcP256 => "ec-p256",
            Self::EcP384 => "ec-p384",
            Self::EcP521 => "ec-p521",
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl FromStr for KeyAlgorithm {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        let all = [
            Self::EcP256,
            Self::EcP384,
            Self::EcP521,
            Self::Rsa2048,
            Self::Rsa3072,
            Self::Rsa4096,
            Self::Ed25519,
        ];
        all.into_iter().find(|a| a.name() == s).ok_or_else(|| {
            let permitted = all.map(Self::name).join(", ");
            Error::malformed("key algorithm", format!("`{}`", s.escape_debug()), permitted)
        })
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that an operator signed, and the armored SSH signature over it; they always travel together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedText {
    /// The exact text, ending in a newline.
    pub text: String,
    /// The armored `SSH SIGNATURE` over it, as `ssh-keygen -Y sign` writes it.
    pub signature: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_reads_what_it_writes() {
        let t = Time::from_millis(1_795_310_546_123);
        assert_eq!(t.to_string().parse::<Time>().unwrap(), t);
        assert_eq!("1970-01-01T00:00:00Z".parse::<Time>().unwrap().millis(), 0);
        for bad in [
            "",
            "2026-11-22",
            "2026-11-22T01:22:26+00:00",
            "2026-11-22T01:22:26.1Z",
            "2026-13-01T00:00:00Z",
            "2026-11-22T01:22:26.12é",
        ] {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
    }

    #[test]
    fn serials_are_positive_and_at_most_20_octets() {
        for entropy in [[0u8; 20], [0xff; 20]] {
            let serial = Serial::from_entropy(entropy);
            assert_eq!(serial.as_bytes().len(), 20);
            assert_eq!(serial.to_string().parse::<Serial>().unwrap(), serial);
        }
        assert!("00".parse::<Serial>().is_err());
        assert!(Serial::from_unsigned(&[0x80; 20]).is_err());
        assert!(Serial::from_unsigned(&[0x7f; 20]).is_ok());
    }

    #[test]
    fn names_refuse_what_does_not_fit() {
        assert!("issuing-ca".parse::<KeyName>().is_ok());
        for bad in ["", "-a", "A", "a b", &"a".repeat(64)] {
            assert!(bad.parse::<KeyName>().is_err(), "{bad}");
        }
        assert!("a+b".parse::<Origin>().is_err());
        assert!("a\nb".parse::<Origin>().is_err());
    }
}
