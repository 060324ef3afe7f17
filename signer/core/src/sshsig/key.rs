//! OpenSSH public keys (RFC 4253 section 6.6, RFC 5656, RFC 8709, OpenSSH PROTOCOL.u2f), checked like any other key.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Base64Unpadded, Encoding};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::wire::Reader;
use crate::error::Error;
use crate::keycheck::PublicKey;
use crate::types::KeyAlgorithm;

const FIELD: &str = "ssh public key";
const PERMITTED: &str = "ssh-ed25519, ecdsa-sha2-nistp256/384/521, sk-ssh-ed25519@openssh.com, \
    sk-ecdsa-sha2-nistp256@openssh.com, or ssh-rsa of 3072 or 4096 bits";
/// A line with an RSA-4096 key takes about 750 characters and its comment.
const MAX_LINE: usize = 4096;

/// The kinds of key that may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Rsa,
    SkEd25519,
    SkEcdsaP256,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Rsa,
        Self::SkEd25519,
        Self::SkEcdsaP256,
    ];

    /// The name in a key, which for all but RSA also names its signatures.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::Rsa => "ssh-rsa",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A checked OpenSSH public key. Two are equal when their key blobs are, whatever the comment beside them.
#[derive(Clone)]
pub struct SshPublicKey {
    blob: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) key: PublicKey,
    /// The application that a hardware key is bound to, e.g. `ssh:`; empty for other keys.
    pub(super) application: String,
}

impl SshPublicKey {
    /// Reads the key blob, the base64 part of a `.pub` file.
    ///
    /// # Errors
    /// When it is malformed, has trailing bytes, or is a key of a kind or strength that is not permitted.
    pub fn from_blob(blob: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(FIELD, blob);
        let name = reader.text()?;
        let kind = Kind::named(name).ok_or_else(|| Error::malformed(FIELD, format!("`{name}`"), PERMITTED))?;
        let key = match kind {
            Kind::Ed25519 | Kind::SkEd25519 => PublicKey::from_ed25519(reader.string()?)?,
            Kind::EcdsaP256 | Kind::SkEcdsaP256 => ec_point(&mut reader, "nistp256", KeyAlgorithm::EcP256)?,
            Kind::EcdsaP384 => ec_point(&mut reader, "nistp384", KeyAlgorithm::EcP384)?,
            Kind::EcdsaP521 => ec_point(&mut reader, "nistp521", KeyAlgorithm::EcP521)?,
            Kind::Rsa => rsa(&mut reader)?,
        };
        let application = match kind {
            Kind::SkEd25519 | Kind::SkEcdsaP256 => application(&mut reader)?,
            _ => String::new(),
        };
        reader.end()?;
        Ok(Self {
            blob: blob.to_vec(),
            kind,
            key,
            application,
        })
    }

    /// The key blob.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The key type as OpenSSH names it, e.g. `ssh-ed25519`.
    #[must_use]
    pub const fn key_type(&self) -> &'static str {
        self.kind.name()
    }

    /// Whether the key lives in a FIDO token and every signature needs a touch.
    #[must_use]
    pub const fn is_hardware(&self) -> bool {
        matches!(self.kind, Kind::SkEd25519 | Kind::SkEcdsaP256)
    }

    /// `SHA256:` and the unpadded base64 of the blob's digest, as `ssh-keygen -l` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", Base64Unpadded::encode_string(&Sha256::digest(&self.blob)))
    }
}

fn ec_point(reader: &mut Reader<'_>, curve: &str, algorithm: KeyAlgorithm) -> Result<PublicKey, Error> {
    let found = reader.text()?;
    if found != curve {
        return Err(Error::malformed(
            FIELD,
            format!("curve `{found}`"),
            format!("curve `{curve}`"),
        ));
    }
    PublicKey::from_ec_point(algorithm, reader.string()?)
}

fn rsa(reader: &mut Reader<'_>) -> Result<PublicKey, Error> {
    let exponent = reader.positive_mpint()?;
    let modulus = reader.positive_mpint()?;
    let key = PublicKey::from_rsa(modulus, exponent)?;
    if key.algorithm() == KeyAlgorithm::Rsa2048 {
        return Err(Error::malformed(FIELD, "ssh-rsa of 2048 bits", PERMITTED));
    }
    Ok(key)
}

fn application(reader: &mut Reader<'_>) -> Result<String, Error> {
    let application = reader.text()?;
    // ssh-keygen(1), `-O application`: "must begin with ssh:", so that no web site's assertions pass for signatures.
    if !application.starts_with("ssh:") {
        let found = format!("application `{application}`");
        return Err(Error::malformed(FIELD, found, "an application that begins with `ssh:`"));
    }
    Ok(application.to_owned())
}

impl FromStr for SshPublicKey {
    type Err = Error;
    /// Reads a line of a `.pub` or `authorized_keys` file: type, base64, and a comment that is not kept. Options in
    /// front of the type are refused, for nothing here would honour them.
    fn from_str(line: &str) -> Result<Self, Error> {
        let bad = |found: &str| {
            let permitted = format!("one line `TYPE BASE64 COMMENT`; TYPE {PERMITTED}");
            Error::malformed(FIELD, found, permitted)
        };
        let line = line.trim_ascii();
        if line.len() > MAX_LINE || line.chars().any(char::is_control) {
            return Err(bad("several lines, control characters, or too long a line"));
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(base64)) = (words.next(), words.next()) else {
            return Err(bad("fewer than two words"));
        };
        let kind = Kind::named(name).ok_or_else(|| {
            let shown: String = name.chars().take(80).collect();
            bad(&format!("`{}`", shown.escape_debug()))
        })?;
        let blob = Base64::decode_vec(base64).map_err(|_| bad("a second word that is not padded base64"))?;
        let key = Self::from_blob(&blob)?;
        if key.kind != kind {
            return Err(bad(&format!("type {name} before a key of type {}", key.key_type())));
        }
        Ok(key)
    }
}

impl fmt::Display for SshPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key_type(), Base64::encode_string(&self.blob))
    }
}

impl fmt::Debug for SshPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SshPublicKey({} {})", self.key_type(), self.fingerprint())
    }
}

impl PartialEq for SshPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.blob == other.blob
    }
}

impl Eq for SshPublicKey {}

impl std::hash::Hash for SshPublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.blob.hash(state);
    }
}

impl Serialize for SshPublicKey {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SshPublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
