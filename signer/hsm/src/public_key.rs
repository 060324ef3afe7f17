//! From a token's public key object to the SubjectPublicKeyInfo of X.509 (RFC 5280 section 4.1, RFC 3279, RFC 5480,
//! RFC 8410).

use cryptoki::object::{Attribute, AttributeType, KeyType};
use der::asn1::{Any, BitString, Null, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode, Encode, Sequence};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use stele_core::types::KeyAlgorithm;

const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const SECP521R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// CKA_EC_PARAMS for Ed25519 as PKCS#11 v3.0 section 6.3.3 first has it: the PrintableString `edwards25519`.
pub(crate) const EDWARDS25519_NAME: &[u8] = b"\x13\x0cedwards25519";

/// The attributes that together hold a public key.
pub(crate) const ATTRIBUTES: [AttributeType; 5] = [
    AttributeType::KeyType,
    AttributeType::EcParams,
    AttributeType::EcPoint,
    AttributeType::Modulus,
    AttributeType::PublicExponent,
];

/// CKA_EC_PARAMS to generate a key with; `None` for RSA.
pub(crate) fn ec_params(algorithm: KeyAlgorithm) -> Option<Vec<u8>> {
    let oid = match algorithm {
        KeyAlgorithm::EcP256 => SECP256R1,
        KeyAlgorithm::EcP384 => SECP384R1,
        KeyAlgorithm::EcP521 => SECP521R1,
        KeyAlgorithm::Ed25519 => ID_ED25519,
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => return None,
    };
    oid.to_der().ok()
}

/// Reads the algorithm and the SubjectPublicKeyInfo out of a public key object's attributes.
///
/// # Errors
/// What was found, for the caller to name the key.
pub(crate) fn read(attributes: &[Attribute]) -> Result<(KeyAlgorithm, Vec<u8>), String> {
    let kind = attributes.iter().find_map(|a| match a {
        Attribute::KeyType(kind) => Some(*kind),
        _ => None,
    });
    match kind {
        Some(KeyType::RSA) => rsa(attributes),
        Some(KeyType::EC | KeyType::EC_EDWARDS) => ec(attributes),
        Some(other) => Err(format!("key type {other}")),
        None => Err("no CKA_KEY_TYPE".to_owned()),
    }
}

/// RSAPublicKey (RFC 8017 appendix A.1.1).
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
}

fn rsa(attributes: &[Attribute]) -> Result<(KeyAlgorithm, Vec<u8>), String> {
    let (mut modulus, mut exponent) = (None, None);
    for attribute in attributes {
        match attribute {
            Attribute::Modulus(n) => modulus = Some(n),
            Attribute::PublicExponent(e) => exponent = Some(e),
            _ => {}
        }
    }
    let (Some(modulus), Some(exponent)) = (modulus, exponent) else {
        return Err("an RSA key without modulus or exponent".to_owned());
    };
    let encode = || -> der::Result<(usize, Vec<u8>)> {
        let modulus = UintRef::new(modulus)?;
        let significant = modulus.as_bytes();
        let leading = significant.first().map_or(0, |b| b.leading_zeros());
        let key = RsaPublicKey {
            modulus,
            public_exponent: UintRef::new(exponent)?,
        };
        Ok((significant.len() * 8 - leading as usize, key.to_der()?))
    };
    let (bits, key) = encode().map_err(|e| e.to_string())?;
    let algorithm = match bits {
        2048 => KeyAlgorithm::Rsa2048,
        3072 => KeyAlgorithm::Rsa3072,
        4096 => KeyAlgorithm::Rsa4096,
        other => return Err(format!("an RSA modulus of {other} bits")),
    };
    Ok((algorithm, spki(RSA_ENCRYPTION, Some(Any::from(Null)), &key)?))
}

fn ec(attributes: &[Attribute]) -> Result<(KeyAlgorithm, Vec<u8>), String> {
    let (mut params, mut point) = (None, None);
    for attribute in attributes {
        match attribute {
            Attribute::EcParams(p) => params = Some(p.as_slice()),
            Attribute::EcPoint(p) => point = Some(p.as_slice()),
            _ => {}
        }
    }
    let (Some(params), Some(point)) = (params, point) else {
        return Err("an EC key without CKA_EC_PARAMS or CKA_EC_POINT".to_owned());
    };
    let curve = match params {
        EDWARDS25519_NAME => ID_ED25519,
        other => ObjectIdentifier::from_der(other).map_err(|e| format!("CKA_EC_PARAMS that name no curve ({e})"))?,
    };
    let (algorithm, len) = match curve {
        SECP256R1 => (KeyAlgorithm::EcP256, 65),
        SECP384R1 => (KeyAlgorithm::EcP384, 97),
        SECP521R1 => (KeyAlgorithm::EcP521, 133),
        ID_ED25519 => (KeyAlgorithm::Ed25519, 32),
        other => return Err(format!("curve {other}")),
    };
    let point = ec_point(point, len, algorithm != KeyAlgorithm::Ed25519)?;
    let spki = match algorithm {
        KeyAlgorithm::Ed25519 => spki(ID_ED25519, None, point)?,
        _ => spki(ID_EC_PUBLIC_KEY, Some(Any::from(curve)), point)?,
    };
    Ok((algorithm, spki))
}

/// A CKA_EC_POINT of `len` bytes, bare or as an OCTET STRING: PKCS#11 wants the latter, tokens give both. The two
/// differ in length, so that one is never taken for the other.
fn ec_point(found: &[u8], len: usize, uncompressed: bool) -> Result<&[u8], String> {
    let bare = if found.len() == len {
        found
    } else {
        <&OctetStringRef>::from_der(found)
            .map_err(|e| format!("CKA_EC_POINT of {} bytes that is no OCTET STRING ({e})", found.len()))?
            .as_bytes()
    };
    // 04 marks an uncompressed point (SEC 1 section 2.3.3), the only form that every X.509 client takes.
    if bare.len() != len || (uncompressed && bare.first() != Some(&4)) {
        return Err(format!(
            "CKA_EC_POINT of {} bytes, not an uncompressed point of {len}",
            bare.len()
        ));
    }
    Ok(bare)
}

fn spki(oid: ObjectIdentifier, parameters: Option<Any>, key: &[u8]) -> Result<Vec<u8>, String> {
    let encode = || {
        SubjectPublicKeyInfoOwned {
            algorithm: AlgorithmIdentifierOwned { oid, parameters },
            subject_public_key: BitString::from_bytes(key)?,
        }
        .to_der()
    };
    encode().map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p256(point: Vec<u8>) -> Result<(KeyAlgorithm, Vec<u8>), String> {
        read(&[
            Attribute::KeyType(KeyType::EC),
            Attribute::EcParams(ec_params(KeyAlgorithm::EcP256).unwrap()),
            Attribute::EcPoint(point),
        ])
    }

    #[test]
    fn a_bare_point_and_an_octet_string_are_the_same_key() {
        let mut bare = vec![4];
        bare.extend([7; 64]);
        let wrapped = OctetStringRef::new(&bare).unwrap().to_der().unwrap();
        let (algorithm, spki) = p256(bare).unwrap();
        assert_eq!(algorithm, KeyAlgorithm::EcP256);
        assert_eq!(p256(wrapped).unwrap().1, spki);
        assert_eq!(spki.len(), 91);
    }

    #[test]
    fn points_of_another_form_or_curve_are_refused() {
        for point in [vec![], vec![2; 33], vec![4; 64], vec![3; 65], vec![4, 65]] {
            assert!(p256(point.clone()).is_err(), "{point:?}");
        }
    }

    #[test]
    fn both_names_of_edwards25519_are_one_curve() {
        let key = |params: &[u8]| {
            read(&[
                Attribute::KeyType(KeyType::EC_EDWARDS),
                Attribute::EcParams(params.to_vec()),
                Attribute::EcPoint(vec![9; 32]),
            ])
        };
        let oid = ec_params(KeyAlgorithm::Ed25519).unwrap();
        assert_eq!(key(EDWARDS25519_NAME).unwrap(), key(&oid).unwrap());
        assert!(key(b"\x13\x0ccurve25519xx").is_err());
    }

    #[test]
    fn rsa_sizes_are_counted_in_significant_bits() {
        let key = |modulus: Vec<u8>| {
            read(&[
                Attribute::KeyType(KeyType::RSA),
                Attribute::Modulus(modulus),
                Attribute::PublicExponent(vec![1, 0, 1]),
            ])
        };
        let mut padded = vec![0];
        padded.extend([0xff; 256]);
        assert_eq!(key(padded).unwrap(), key(vec![0xff; 256]).unwrap());
        assert_eq!(key(vec![0xff; 256]).unwrap().0, KeyAlgorithm::Rsa2048);
        assert!(key(vec![0x7f; 256]).is_err());
        assert!(key(vec![]).is_err());
    }
}
