//! Which key verifies which signature: one explicit table, so that nothing follows from what a library happens to do.

use aws_lc_rs::signature::{self as lc, RsaParameters, RsaPssSaltLength, VerificationAlgorithm};

use crate::types::{KeyAlgorithm as Key, SignatureAlgorithm as Sig};

/// RSA-PSS over SHA-256 with the longest salt that fits: what Go's `rsa.SignPSS` makes when it is given no options.
pub(super) static PSS_SHA256_LONGEST_SALT: RsaParameters =
    lc::RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Max);

/// The verification for a signature `sig` by a key `key`; `None` where the pair is not permitted.
pub(super) fn algorithm(key: Key, sig: Sig) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (key, sig) {
        (Key::EcP256, Sig::EcdsaSha256) => &lc::ECDSA_P256_SHA256_ASN1,
        (Key::EcP256, Sig::EcdsaSha384) => &lc::ECDSA_P256_SHA384_ASN1,
        (Key::EcP256, Sig::EcdsaSha512) => &lc::ECDSA_P256_SHA512_ASN1,
        (Key::EcP384, Sig::EcdsaSha256) => &lc::ECDSA_P384_SHA256_ASN1,
        (Key::EcP384, Sig::EcdsaSha384) => &lc::ECDSA_P384_SHA384_ASN1,
        (Key::EcP384, Sig::EcdsaSha512) => &lc::ECDSA_P384_SHA512_ASN1,
        (Key::EcP521, Sig::EcdsaSha256) => &lc::ECDSA_P521_SHA256_ASN1,
        (Key::EcP521, Sig::EcdsaSha384) => &lc::ECDSA_P521_SHA384_ASN1,
        (Key::EcP521, Sig::EcdsaSha512) => &lc::ECDSA_P521_SHA512_ASN1,
        (Key::Ed25519, Sig::Ed25519) => &lc::ED25519,
        (Key::Rsa2048 | Key::Rsa3072 | Key::Rsa4096, sig) => rsa(sig)?,
        (Key::EcP256 | Key::EcP384 | Key::EcP521 | Key::Ed25519, _) => return None,
    })
}

fn rsa(sig: Sig) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match sig {
        Sig::RsaPkcs1Sha256 => &lc::RSA_PKCS1_2048_8192_SHA256,
        Sig::RsaPkcs1Sha384 => &lc::RSA_PKCS1_2048_8192_SHA384,
        Sig::RsaPkcs1Sha512 => &lc::RSA_PKCS1_2048_8192_SHA512,
        Sig::RsaPssSha256 => &lc::RSA_PSS_2048_8192_SHA256,
        Sig::RsaPssSha384 => &lc::RSA_PSS_2048_8192_SHA384,
        Sig::RsaPssSha512 => &lc::RSA_PSS_2048_8192_SHA512,
        Sig::EcdsaSha256 | Sig::EcdsaSha384 | Sig::EcdsaSha512 | Sig::Ed25519 => return None,
    })
}
