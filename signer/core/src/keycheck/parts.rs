//! Public keys from their parts, as tokens and SSH give them: encoded as SubjectPublicKeyInfo, then checked like any.

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::Encode;
use der::asn1::{AnyRef, BitStringRef, UintRef};
use spki::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::rsa::RsaPublicKey;
use super::{FIELD, PublicKey};
use crate::error::Error;
use crate::types::KeyAlgorithm;

impl PublicKey {
    /// From an uncompressed point (SEC 1 section 2.3.3: 04, x, y).
    ///
    /// # Errors
    /// When `algorithm` is no elliptic curve, or the point is refused as in [`Self::from_spki_der`].
    pub fn from_ec_point(algorithm: KeyAlgorithm, point: &[u8]) -> Result<Self, Error> {
        let curve = match algorithm {
            KeyAlgorithm::EcP256 => rfc5912::SECP_256_R_1,
            KeyAlgorithm::EcP384 => rfc5912::SECP_384_R_1,
            KeyAlgorithm::EcP521 => rfc5912::SECP_521_R_1,
            other => {
                return Err(Error::malformed(
                    FIELD,
                    format!("{other:?}"),
                    "EcP256, EcP384 or EcP521",
                ));
            }
        };
        encoded(rfc5912::ID_EC_PUBLIC_KEY, Some(AnyRef::from(&curve)), point)
    }

    /// From the big-endian modulus and public exponent; leading zeros do not matter.
    ///
    /// # Errors
    /// When the key is refused as in [`Self::from_spki_der`].
    pub fn from_rsa(modulus: &[u8], public_exponent: &[u8]) -> Result<Self, Error> {
        let key = || {
            RsaPublicKey {
                modulus: UintRef::new(modulus)?,
                public_exponent: UintRef::new(public_exponent)?,
            }
            .to_der()
        };
        let key = key().map_err(|e| not_encodable(&e))?;
        encoded(rfc5912::RSA_ENCRYPTION, Some(AnyRef::NULL), &key)
    }

    /// From the 32 octets of RFC 8032.
    ///
    /// # Errors
    /// When the key is refused as in [`Self::from_spki_der`].
    pub fn from_ed25519(key: &[u8]) -> Result<Self, Error> {
        encoded(rfc8410::ID_ED_25519, None, key)
    }
}

fn encoded(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, key: &[u8]) -> Result<PublicKey, Error> {
    let spki = || {
        SubjectPublicKeyInfo {
            algorithm: AlgorithmIdentifier { oid, parameters },
            subject_public_key: BitStringRef::from_bytes(key)?,
        }
        .to_der()
    };
    PublicKey::from_spki_der(&spki().map_err(|e| not_encodable(&e))?)
}

fn not_encodable(error: &der::Error) -> Error {
    Error::malformed(FIELD, error.to_string(), "key parts that DER can encode")
}
