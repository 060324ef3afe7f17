//! Signature algorithms and their one permitted AlgorithmIdentifier each.

use crate::error::Error;
use crate::types::{SignatureAlgorithm, hex};

/// ecdsa-with-SHA2, parameters absent (RFC 5758 section 3.2).
const ECDSA_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
const ECDSA_SHA384: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03";
const ECDSA_SHA512: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04";
/// shaNNNWithRSAEncryption, parameters NULL (RFC 4055 section 5).
const PKCS1_SHA256: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00";
const PKCS1_SHA384: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00";
const PKCS1_SHA512: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00";
/// id-RSASSA-PSS with hash, MGF1 with the same hash and a salt of the hash's length (RFC 4055 section 3.1). The
/// hash identifiers carry NULL, as the CA/Browser Forum Baseline Requirements section 7.1.3.2.1 fix them.
const PSS_SHA256: &[u8] = b"\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\
    \xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\
    \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\
    \x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\xa2\x03\x02\x01\x20";
const PSS_SHA384: &[u8] = b"\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\
    \xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\
    \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\
    \x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\xa2\x03\x02\x01\x30";
const PSS_SHA512: &[u8] = b"\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\
    \xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\
    \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\
    \x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\xa2\x03\x02\x01\x40";
/// id-Ed25519, parameters absent (RFC 8410 section 3).
const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";

/// Every signature algorithm that Stele knows.
pub const SIGNATURE_ALGORITHMS: [SignatureAlgorithm; 10] = [
    SignatureAlgorithm::EcdsaSha256,
    SignatureAlgorithm::EcdsaSha384,
    SignatureAlgorithm::EcdsaSha512,
    SignatureAlgorithm::RsaPkcs1Sha256,
    SignatureAlgorithm::RsaPkcs1Sha384,
    SignatureAlgorithm::RsaPkcs1Sha512,
    SignatureAlgorithm::RsaPssSha256,
    SignatureAlgorithm::RsaPssSha384,
    SignatureAlgorithm::RsaPssSha512,
    SignatureAlgorithm::Ed25519,
];

const fn identifier(alg: SignatureAlgorithm) -> &'static [u8] {
    match alg {
        SignatureAlgorithm::EcdsaSha256 => ECDSA_SHA256,
        SignatureAlgorithm::EcdsaSha384 => ECDSA_SHA384,
        SignatureAlgorithm::EcdsaSha512 => ECDSA_SHA512,
        SignatureAlgorithm::RsaPkcs1Sha256 => PKCS1_SHA256,
        SignatureAlgorithm::RsaPkcs1Sha384 => PKCS1_SHA384,
        SignatureAlgorithm::RsaPkcs1Sha512 => PKCS1_SHA512,
        SignatureAlgorithm::RsaPssSha256 => PSS_SHA256,
        SignatureAlgorithm::RsaPssSha384 => PSS_SHA384,
        SignatureAlgorithm::RsaPssSha512 => PSS_SHA512,
        SignatureAlgorithm::Ed25519 => ED25519,
    }
}

/// The DER AlgorithmIdentifier of `alg`, parameters included.
#[must_use]
pub fn encode_algorithm(alg: SignatureAlgorithm) -> Vec<u8> {
    identifier(alg).to_vec()
}

/// Reads a DER AlgorithmIdentifier. Each algorithm has exactly one encoding: a NULL where the parameters must be
/// absent, or absent where they must be NULL, is another, unknown algorithm.
///
/// # Errors
/// When the bytes are not one of the permitted identifiers, e.g. any with SHA-1.
pub fn decode_algorithm(der: &[u8]) -> Result<SignatureAlgorithm, Error> {
    SIGNATURE_ALGORITHMS
        .into_iter()
        .find(|alg| identifier(*alg) == der)
        .ok_or_else(|| {
            let shown = der.get(..80).unwrap_or(der);
            Error::malformed(
                "signature algorithm",
                format!("AlgorithmIdentifier {}", hex(shown)),
                "ECDSA, RSA PKCS#1 v1.5 or RSA-PSS (salt as long as the hash) with SHA-256, SHA-384 or SHA-512, \
                 or Ed25519, with exactly the parameters of RFC 5758, 4055 and 8410",
            )
        })
}
