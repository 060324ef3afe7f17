//! The keys that sign notes: Ed25519 and ECDSA of C2SP signed-note, and cosignature/v1 of C2SP tlog-cosignature.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P521_SHA256_ASN1, ED25519, ParsedPublicKey,
    VerificationAlgorithm,
};
use base64ct::{Base64, Encoding};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::{Decode as _, Encode as _};
use sha2::{Digest as _, Sha256};
use spki::SubjectPublicKeyInfoRef;

use super::malformed;
use super::note::is_key_name;
use crate::error::Error;
use crate::types::{Origin, Time, hex, unhex};

/// How a key signs notes: the signature type identifier byte of C2SP signed-note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum NoteKeyType {
    /// Ed25519 over the note text.
    Ed25519 = 0x01,
    /// ECDSA, in DER, over SHA-256 of the note text. Witnesses do not take it.
    Ecdsa = 0x02,
    /// A witness's timestamped Ed25519 cosignature/v1 of a checkpoint.
    CosignatureV1 = 0x04,
}

/// A named public key that verifies signatures on notes.
#[derive(Clone)]
pub struct NoteVerifier {
    name: String,
    key_type: NoteKeyType,
    /// As the verifier-key string carries it: 32 bytes for Ed25519, the DER SPKI for ECDSA.
    encoded: Vec<u8>,
    key: ParsedPublicKey,
}

impl NoteVerifier {
    /// A verifier for `encoded`: 32 bytes for the Ed25519 types, the DER SPKI for ECDSA.
    ///
    /// # Errors
    /// When the name cannot name a key, or the bytes are no key of that type.
    pub fn new(name: &str, key_type: NoteKeyType, encoded: &[u8]) -> Result<Self, Error> {
        if !is_key_name(name) {
            return Err(malformed("key name", name, "a name without spaces and plus signs"));
        }
        let key = match key_type {
            NoteKeyType::Ed25519 | NoteKeyType::CosignatureV1 => parse_key(&ED25519, encoded),
            NoteKeyType::Ecdsa => ecdsa_key(encoded),
        }?;
        Ok(Self {
            name: name.to_owned(),
            key_type,
            encoded: encoded.to_vec(),
            key,
        })
    }

    /// The verifier for a log's own key, which bears the origin as its name, from the key's DER SPKI.
    ///
    /// # Errors
    /// When the key is neither Ed25519 nor ECDSA on P-256, P-384 or P-521.
    pub fn for_key(origin: &Origin, spki_der: &[u8]) -> Result<Self, Error> {
        let spki = read_spki(spki_der)?;
        if spki.algorithm.oid == rfc8410::ID_ED_25519 {
            return Self::new(
                origin.as_str(),
                NoteKeyType::Ed25519,
                spki.subject_public_key.raw_bytes(),
            );
        }
        Self::new(origin.as_str(), NoteKeyType::Ecdsa, spki_der)
    }

    /// The name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the key signs.
    #[must_use]
    pub const fn key_type(&self) -> NoteKeyType {
        self.key_type
    }

    /// The public key as the verifier-key string carries it: 32 bytes for Ed25519, the DER SPKI for ECDSA.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The id that signature lines carry. It is short: a hint for choosing the key, no protection.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        let digest = match self.key_type {
            // The one type whose id is not bound to the name (C2SP signed-note, signature types).
            NoteKeyType::Ecdsa => Sha256::digest(&self.encoded),
            _ => Sha256::new()
                .chain_update(&self.name)
                .chain_update([b'\n', self.key_type as u8])
                .chain_update(&self.encoded)
                .finalize(),
        };
        let [a, b, c, d, ..]: [u8; 32] = digest.into();
        u32::from_be_bytes([a, b, c, d])
    }

    /// Verifies a signature over a note's text. For a cosignature, returns the time that it states.
    ///
    /// # Errors
    /// [`Error::Unverified`] when it is wrong.
    pub fn verify(&self, text: &str, signature: &[u8]) -> Result<Option<Time>, Error> {
        let unverified = |why| Error::unverified(format!("signature by `{}` over the note", self.name), why);
        if self.key_type != NoteKeyType::CosignatureV1 {
            let result = self.key.verify_sig(text.as_bytes(), signature);
            return result
                .map(|()| None)
                .map_err(|_| unverified("text, key and signature do not fit"));
        }
        let (timestamp, signature) = signature
            .split_first_chunk()
            .ok_or_else(|| unverified("a cosignature begins with eight bytes of time"))?;
        let seconds = u64::from_be_bytes(*timestamp);
        if seconds == 0 || seconds > i64::MAX as u64 {
            return Err(unverified("the cosignature's time is not between 1 and 2^63 - 1"));
        }
        let message = format!("cosignature/v1\ntime {seconds}\n{text}");
        self.key
            .verify_sig(message.as_bytes(), signature)
            .map_err(|_| unverified("text, time, key and cosignature do not fit"))?;
        Ok(Some(Time::from_secs(seconds)))
    }
}

fn read_spki(der: &[u8]) -> Result<SubjectPublicKeyInfoRef<'_>, Error> {
    SubjectPublicKeyInfoRef::from_der(der)
        .ok()
        // The key id is a hash of these bytes, so there may be one encoding only.
        .filter(|spki| spki.to_der().is_ok_and(|canonical| canonical == der))
        .ok_or_else(|| {
            Error::malformed(
                "note key",
                hex(der.get(..16).unwrap_or(der)),
                "a DER SubjectPublicKeyInfo",
            )
        })
}

fn ecdsa_key(spki_der: &[u8]) -> Result<ParsedPublicKey, Error> {
    let spki = read_spki(spki_der)?;
    let curve: Option<ObjectIdentifier> = spki.algorithm.parameters.and_then(|p| p.decode_as().ok());
    let algorithm: &'static dyn VerificationAlgorithm = match (spki.algorithm.oid, curve) {
        (rfc5912::ID_EC_PUBLIC_KEY, Some(rfc5912::SECP_256_R_1)) => &ECDSA_P256_SHA256_ASN1,
        (rfc5912::ID_EC_PUBLIC_KEY, Some(rfc5912::SECP_384_R_1)) => &ECDSA_P384_SHA256_ASN1,
        (rfc5912::ID_EC_PUBLIC_KEY, Some(rfc5912::SECP_521_R_1)) => &ECDSA_P521_SHA256_ASN1,
        (oid, _) => {
            let permitted = "Ed25519, or ECDSA on P-256, P-384 or P-521";
            return Err(Error::malformed("note key", format!("algorithm {oid}"), permitted));
        }
    };
    parse_key(algorithm, spki.subject_public_key.raw_bytes())
}

fn parse_key(algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]) -> Result<ParsedPublicKey, Error> {
    ParsedPublicKey::new(algorithm, bytes)
        .map_err(|_| Error::malformed("note key", format!("{} bytes", bytes.len()), "a public key of its type"))
}

impl PartialEq for NoteVerifier {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.key_type, &self.encoded) == (&other.name, other.key_type, &other.encoded)
    }
}

impl Eq for NoteVerifier {}

impl fmt::Debug for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteVerifier({self})")
    }
}

impl fmt::Display for NoteVerifier {
    /// The verifier-key string: `name+hexid+base64(type || key)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.key_type as u8], self.encoded.as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.key_id(), Base64::encode_string(&key))
    }
}

impl FromStr for NoteVerifier {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        let bad = || {
            malformed(
                "verifier key",
                s,
                "name+hexid+base64(type || key), as C2SP signed-note writes it",
            )
        };
        // Neither a name nor hexadecimal holds a plus sign; base64 may.
        let mut parts = s.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad());
        };
        let key = Base64::decode_vec(key).map_err(|_| bad())?;
        let (key_type, encoded) = match key.split_first().ok_or_else(bad)? {
            (0x01, rest) => (NoteKeyType::Ed25519, rest),
            (0x02, rest) => (NoteKeyType::Ecdsa, rest),
            (0x04, rest) => (NoteKeyType::CosignatureV1, rest),
            (other, _) => {
                let permitted = "01 (Ed25519), 02 (ECDSA) or 04 (Ed25519 cosignature/v1)";
                return Err(Error::malformed("verifier key type", format!("{other:02x}"), permitted));
            }
        };
        let verifier = Self::new(name, key_type, encoded)?;
        let permitted = format!("{:08x}, the id of this name and key", verifier.key_id());
        if unhex("verifier key id", id)? != verifier.key_id().to_be_bytes() {
            return Err(Error::malformed("verifier key id", format!("`{id}`"), permitted));
        }
        Ok(verifier)
    }
}
