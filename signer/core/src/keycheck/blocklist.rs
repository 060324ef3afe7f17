//! Lists of RSA keys whose private halves are known, such as those of Debian's broken generator (CVE-2008-0166).

use const_oid::ObjectIdentifier;
use der::Decode as _;
use sha1::{Digest as _, Sha1};

use super::PublicKey;
use super::rsa::RsaPublicKey;
use crate::error::Error;
use crate::types::hex;

/// The last 80 bits of a SHA-1 digest: by so much the list of Debian names a key.
type Name = [u8; 10];

/// RSA keys that are refused although nothing in them looks weak. Its form is that of Debian's package
/// openssl-blacklist: a line for each key, the last 20 digits of the SHA-1 digest of `Modulus=HEX` and a newline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocklist(Vec<Name>);

impl Blocklist {
    /// Reads a list; `file` is its name for error messages. Lines that begin with `#` are comments.
    ///
    /// # Errors
    /// When a line is neither 20 nor 40 hexadecimal digits.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let mut names = Vec::new();
        for (number, line) in (1..)
            .zip(text.lines())
            .filter(|(_, l)| !l.is_empty() && !l.starts_with('#'))
        {
            names.push(name(line).ok_or_else(|| {
                let shown: String = line.chars().take(60).collect();
                let place = format!("{file}, line {number}");
                Error::malformed(
                    place,
                    format!("`{}`", shown.escape_debug()),
                    "20 or 40 hexadecimal digits",
                )
            })?);
        }
        names.sort_unstable();
        Ok(Self(names))
    }

    /// This list and another.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self.0.sort_unstable();
        self
    }

    /// How many keys it names.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it names none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it names the key.
    #[must_use]
    pub fn contains(&self, key: &PublicKey) -> bool {
        !self.0.is_empty() && of_key(key).is_some_and(|name| self.0.binary_search(&name).is_ok())
    }
}

/// The last 20 digits of a line.
fn name(line: &str) -> Option<Name> {
    if !matches!(line.len(), 20 | 40) || !line.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let digits = line.get(line.len() - 20..)?;
    let mut out = Name::default();
    for (n, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(out)
}

/// The name of an RSA key; none for others, whose broken generators left no lists.
fn of_key(key: &PublicKey) -> Option<Name> {
    const RSA: ObjectIdentifier = const_oid::db::rfc5912::RSA_ENCRYPTION;
    let spki = spki::SubjectPublicKeyInfoRef::try_from(key.spki_der()).ok()?;
    if spki.algorithm.oid != RSA {
        return None;
    }
    let key = RsaPublicKey::from_der(spki.subject_public_key.as_bytes()?).ok()?;
    // What `openssl rsa -modulus` prints.
    let line = format!("Modulus={}\n", hex(key.modulus.as_bytes()).to_ascii_uppercase());
    Sha1::digest(line.as_bytes()).last_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_strictly() {
        let list = Blocklist::parse("list", "# Debian\n\n00112233445566778899\n").unwrap();
        assert_eq!(list.len(), 1);
        let long = Blocklist::parse("list", &format!("{}00112233445566778899", "f".repeat(20))).unwrap();
        assert_eq!(list, long);
        assert_eq!(list.and(Blocklist::default()).len(), 1);
        for bad in ["0", "0011223344556677889g", "00112233445566778899 "] {
            let error = Blocklist::parse("list", bad).unwrap_err().to_string();
            assert!(error.contains("list, line 1"), "{error}");
        }
        assert!(Blocklist::default().is_empty());
    }
}
