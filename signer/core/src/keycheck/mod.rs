//! Public keys that passed every check, and the signatures they verify.
//!
//! A [`PublicKey`] cannot be had unchecked: strict DER, a permitted algorithm and size, a point on its curve, an RSA
//! modulus without the known weaknesses. The checks look at the key alone; that its owner holds the private key is
//! proved by the request ([`crate::csr`]).

mod algorithm;
mod blocklist;
mod ed25519;
mod parts;
mod rsa;
pub(crate) mod strict;
mod verify;

use std::fmt;

use aws_lc_rs::signature::{ParsedPublicKey, UnparsedPublicKey, VerificationAlgorithm};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::Decode;
use sha2::{Digest as _, Sha256};
use spki::SubjectPublicKeyInfoRef;

pub use algorithm::{SIGNATURE_ALGORITHMS, decode_algorithm, encode_algorithm};
pub use blocklist::Blocklist;

use crate::error::Error;
use crate::types::{Digest, KeyAlgorithm, SignatureAlgorithm};

const FIELD: &str = "public key";
/// An RSA key of 4096 bits takes 550 bytes; what is larger is refused before any arithmetic.
const MAX_SPKI: usize = 1024;
/// SubjectPublicKeyInfo, AlgorithmIdentifier and the parameters of a named curve need two levels.
const MAX_DEPTH: usize = 4;
const PERMITTED_ALGORITHMS: &str = "RSA (2048, 3072 or 4096 bits), EC on P-256, P-384 or P-521, or Ed25519";

/// A checked public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    spki_der: Vec<u8>,
    algorithm: KeyAlgorithm,
    /// The value of the BIT STRING: RSAPublicKey, the uncompressed point, or the 32 octets of Ed25519.
    key: Vec<u8>,
}

impl PublicKey {
    /// Reads and checks a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// When it is not strict DER, or the key is of no permitted kind or has a known weakness.
    pub fn from_spki_der(spki_der: &[u8]) -> Result<Self, Error> {
        if spki_der.len() > MAX_SPKI {
            return Err(Error::malformed(
                FIELD,
                format!("{} bytes", spki_der.len()),
                PERMITTED_ALGORITHMS,
            ));
        }
        strict::check(FIELD, spki_der, MAX_DEPTH)?;
        let spki = SubjectPublicKeyInfoRef::from_der(spki_der).map_err(|e| not_spki(&e.to_string()))?;
        let key = spki
            .subject_public_key
            .as_bytes()
            .ok_or_else(|| not_spki("a BIT STRING that does not end on an octet"))?;
        Ok(Self {
            algorithm: check_key(&spki, key)?,
            key: key.to_vec(),
            spki_der: spki_der.to_vec(),
        })
    }

    /// The SubjectPublicKeyInfo as received, in DER.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// SHA-256 over the SubjectPublicKeyInfo.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.spki_der)
    }

    /// Algorithm and size.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// RFC 7093 section 2 method 1: the leftmost 160 bits of SHA-256 over the value of the BIT STRING.
    #[must_use]
    pub fn subject_key_identifier(&self) -> [u8; 20] {
        let digest: [u8; 32] = Sha256::digest(&self.key).into();
        let mut identifier = [0; 20];
        identifier.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        identifier
    }

    /// Verifies a signature in the form that X.509 gives it (ECDSA: DER of r and s) over `message`, which is hashed here.
    ///
    /// # Errors
    /// When this kind of key does not make such signatures, or the signature does not fit.
    pub fn verify(&self, alg: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let verification = verify::algorithm(self.algorithm, alg).ok_or_else(|| {
            let why = format!("a key of kind {:?} makes no signature of kind {alg:?}", self.algorithm);
            Error::unverified("signature", why)
        })?;
        self.verify_by(verification, message, signature)
    }

    /// As [`Self::verify`] with RSA-PSS over SHA-256, but with the longest possible salt.
    pub(crate) fn verify_pss_longest_salt(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.verify_by(&verify::PSS_SHA256_LONGEST_SALT, message, signature)
    }

    fn verify_by(
        &self,
        verification: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        UnparsedPublicKey::new(verification, &self.key)
            .verify(message, signature)
            .map_err(|_| Error::unverified("signature", "it was not made by this key over these bytes"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {})", self.algorithm, self.digest())
    }
}

fn not_spki(found: &str) -> Error {
    Error::malformed(FIELD, found, "a SubjectPublicKeyInfo (RFC 5280 section 4.1)")
}

fn check_key(spki: &SubjectPublicKeyInfoRef<'_>, key: &[u8]) -> Result<KeyAlgorithm, Error> {
    match spki.algorithm.oid {
        rfc5912::RSA_ENCRYPTION => {
            // RFC 3279 section 2.3.1: the parameters are NULL, never absent.
            if !spki.algorithm.parameters.is_some_and(|p| p.is_null()) {
                return Err(Error::malformed(FIELD, "rsaEncryption without NULL", "parameters NULL"));
            }
            rsa::check(key)
        }
        rfc5912::ID_EC_PUBLIC_KEY => {
            // RFC 5480 section 2.1.1: only the namedCurve choice, so an explicit curve does not decode here.
            let curve = spki
                .algorithm
                .parameters_oid()
                .map_err(|_| Error::malformed(FIELD, "EC parameters that name no curve", "a named curve"))?;
            check_ec(curve, key)
        }
        rfc8410::ID_ED_25519 => {
            if spki.algorithm.parameters.is_some() {
                return Err(Error::malformed(FIELD, "Ed25519 with parameters", "parameters absent"));
            }
            ed25519::check(key)?;
            Ok(KeyAlgorithm::Ed25519)
        }
        other => Err(Error::malformed(
            FIELD,
            format!("algorithm {other}"),
            PERMITTED_ALGORITHMS,
        )),
    }
}

fn check_ec(curve: ObjectIdentifier, point: &[u8]) -> Result<KeyAlgorithm, Error> {
    let (algorithm, octets) = match curve {
        rfc5912::SECP_256_R_1 => (KeyAlgorithm::EcP256, 32),
        rfc5912::SECP_384_R_1 => (KeyAlgorithm::EcP384, 48),
        rfc5912::SECP_521_R_1 => (KeyAlgorithm::EcP521, 66),
        other => return Err(Error::malformed(FIELD, format!("curve {other}"), PERMITTED_ALGORITHMS)),
    };
    // SEC 1 section 2.3.3: 04 and both coordinates. Compressed and hybrid points and the one at infinity begin otherwise.
    if point.first() != Some(&4) || point.len() != 1 + 2 * octets {
        let found = format!("a point of {} octets in another form", point.len());
        let permitted = format!("an uncompressed point: 04 and two coordinates of {octets} octets");
        return Err(Error::malformed(FIELD, found, permitted));
    }
    // Parsing checks that both coordinates are reduced and the point lies on the curve.
    verify::algorithm(algorithm, algorithm.default_signature())
        .and_then(|verification| ParsedPublicKey::new(verification, point).ok())
        .map(|_| algorithm)
        .ok_or_else(|| Error::malformed(FIELD, "a point that is not on its curve", "a point on the named curve"))
}
