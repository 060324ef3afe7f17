//! Which PKCS#11 mechanisms a token has, and which of them makes which signature.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use cryptoki::context::Pkcs11;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::slot::Slot;
use cryptoki::types::Ulong;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use stele_core::types::{KeyAlgorithm, SignatureAlgorithm};

use crate::error::TokenError;
use crate::signature;

/// The mechanisms of one token, read once: a token does not grow new ones while it is open.
pub(crate) struct Mechanisms {
    types: Vec<MechanismType>,
    ec_bits: RangeInclusive<usize>,
    rsa_bits: RangeInclusive<usize>,
}

/// One call of C_Sign: the mechanism and the bytes that it takes.
pub(crate) struct Call<'a> {
    pub(crate) mechanism: Mechanism<'static>,
    pub(crate) data: Cow<'a, [u8]>,
}

impl Mechanisms {
    pub(crate) fn read(pkcs11: &Pkcs11, slot: Slot) -> Result<Self, TokenError> {
        let types = pkcs11.get_mechanism_list(slot).map_err(|cause| TokenError::Call {
            doing: "read the mechanism list",
            cause,
        })?;
        let bits = |mechanism| match pkcs11.get_mechanism_info(slot, mechanism) {
            Ok(info) => info.min_key_size()..=info.max_key_size(),
            Err(_) => 0..=0,
        };
        Ok(Self {
            ec_bits: bits(MechanismType::ECC_KEY_PAIR_GEN),
            rsa_bits: bits(MechanismType::RSA_PKCS_KEY_PAIR_GEN),
            types,
        })
    }

    fn has(&self, mechanism: MechanismType) -> bool {
        self.types.contains(&mechanism)
    }

    /// Whether the token generates such keys and makes their default signature.
    pub(crate) fn supports(&self, key: KeyAlgorithm) -> bool {
        let size_fits = match bits(key) {
            Size::Ec(n) => self.ec_bits.contains(&n),
            Size::Rsa(n) => self.rsa_bits.contains(&n),
            Size::Edwards => true,
        };
        size_fits && self.has(generator(key).mechanism_type()) && self.has(signer(key.default_signature()))
    }

    /// What a key of this algorithm may be used with, of what the token has: CKA_ALLOWED_MECHANISMS.
    pub(crate) fn allowed(&self, key: KeyAlgorithm) -> Vec<MechanismType> {
        let mut allowed: Vec<_> = ALL_SIGNATURES
            .iter()
            .filter(|s| fits(key, **s))
            .map(|s| signer(*s))
            .filter(|m| self.has(*m))
            .collect();
        allowed.dedup();
        allowed
    }

    /// Prepares C_Sign for the whole message.
    pub(crate) fn call<'a>(
        &self,
        key: KeyAlgorithm,
        algorithm: SignatureAlgorithm,
        message: &'a [u8],
    ) -> Result<Call<'a>, TokenError> {
        if !fits(key, algorithm) {
            return Err(TokenError::AlgorithmMismatch {
                key,
                signature: algorithm,
            });
        }
        if !self.has(signer(algorithm)) {
            return Err(TokenError::Unsupported {
                wanted: format!("{algorithm:?} signatures"),
                needs: "the signing mechanism of that name",
            });
        }
        Ok(Call {
            mechanism: mechanism(algorithm),
            data: data(key, algorithm, message),
        })
    }
}

/// Brings the token's answer into the form that X.509 carries.
pub(crate) fn encode(key: KeyAlgorithm, raw: Vec<u8>) -> Result<Vec<u8>, TokenError> {
    match bits(key) {
        Size::Ec(n) => signature::ecdsa_to_der(&raw, n.div_ceil(8)),
        Size::Rsa(n) => signature::fixed_length(raw, n / 8),
        Size::Edwards => signature::fixed_length(raw, 64),
    }
}

/// The mechanism that generates a key pair.
pub(crate) const fn generator(key: KeyAlgorithm) -> Mechanism<'static> {
    match bits(key) {
        Size::Ec(_) => Mechanism::EccKeyPairGen,
        Size::Rsa(_) => Mechanism::RsaPkcsKeyPairGen,
        Size::Edwards => Mechanism::EccEdwardsKeyPairGen,
    }
}

/// The size of a key, in bits, where its kind has several.
pub(crate) enum Size {
    Ec(usize),
    Rsa(usize),
    Edwards,
}

pub(crate) const fn bits(key: KeyAlgorithm) -> Size {
    match key {
        KeyAlgorithm::EcP256 => Size::Ec(256),
        KeyAlgorithm::EcP384 => Size::Ec(384),
        KeyAlgorithm::EcP521 => Size::Ec(521),
        KeyAlgorithm::Rsa2048 => Size::Rsa(2048),
        KeyAlgorithm::Rsa3072 => Size::Rsa(3072),
        KeyAlgorithm::Rsa4096 => Size::Rsa(4096),
        KeyAlgorithm::Ed25519 => Size::Edwards,
    }
}

use SignatureAlgorithm::{
    EcdsaSha256, EcdsaSha384, EcdsaSha512, Ed25519, RsaPkcs1Sha256, RsaPkcs1Sha384, RsaPkcs1Sha512, RsaPssSha256,
    RsaPssSha384, RsaPssSha512,
};

const ALL_SIGNATURES: [SignatureAlgorithm; 10] = [
    EcdsaSha256,
    EcdsaSha384,
    EcdsaSha512,
    RsaPkcs1Sha256,
    RsaPkcs1Sha384,
    RsaPkcs1Sha512,
    RsaPssSha256,
    RsaPssSha384,
    RsaPssSha512,
    Ed25519,
];

const fn fits(key: KeyAlgorithm, signature: SignatureAlgorithm) -> bool {
    match signature {
        EcdsaSha256 | EcdsaSha384 | EcdsaSha512 => matches!(bits(key), Size::Ec(_)),
        Ed25519 => matches!(bits(key), Size::Edwards),
        _ => matches!(bits(key), Size::Rsa(_)),
    }
}

/// CKM_ECDSA with a local hash, for CKM_ECDSA_SHA256 is rare; never bare CKM_RSA_PKCS, which signs whatever it gets
/// without a DigestInfo.
const fn signer(signature: SignatureAlgorithm) -> MechanismType {
    match signature {
        EcdsaSha256 | EcdsaSha384 | EcdsaSha512 => MechanismType::ECDSA,
        RsaPkcs1Sha256 => MechanismType::SHA256_RSA_PKCS,
        RsaPkcs1Sha384 => MechanismType::SHA384_RSA_PKCS,
        RsaPkcs1Sha512 => MechanismType::SHA512_RSA_PKCS,
        RsaPssSha256 => MechanismType::SHA256_RSA_PKCS_PSS,
        RsaPssSha384 => MechanismType::SHA384_RSA_PKCS_PSS,
        RsaPssSha512 => MechanismType::SHA512_RSA_PKCS_PSS,
        Ed25519 => MechanismType::EDDSA,
    }
}

fn mechanism(signature: SignatureAlgorithm) -> Mechanism<'static> {
    // The salt is as long as the hash, and MGF1 uses the same hash (RFC 4055 section 3.1).
    let pss = |hash_alg, mgf, salt_len| PkcsPssParams {
        hash_alg,
        mgf,
        s_len: Ulong::new(salt_len),
    };
    match signature {
        EcdsaSha256 | EcdsaSha384 | EcdsaSha512 => Mechanism::Ecdsa,
        RsaPkcs1Sha256 => Mechanism::Sha256RsaPkcs,
        RsaPkcs1Sha384 => Mechanism::Sha384RsaPkcs,
        RsaPkcs1Sha512 => Mechanism::Sha512RsaPkcs,
        RsaPssSha256 => Mechanism::Sha256RsaPkcsPss(pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32)),
        RsaPssSha384 => Mechanism::Sha384RsaPkcsPss(pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48)),
        RsaPssSha512 => Mechanism::Sha512RsaPkcsPss(pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64)),
        Ed25519 => Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)),
    }
}

/// What C_Sign is given: for ECDSA the digest's leftmost bits up to the order's length (FIPS 186-5 section 6.4.1),
/// which not every token cuts by itself; else the message.
fn data(key: KeyAlgorithm, signature: SignatureAlgorithm, message: &[u8]) -> Cow<'_, [u8]> {
    let mut digest = match signature {
        EcdsaSha256 => Sha256::digest(message).to_vec(),
        EcdsaSha384 => Sha384::digest(message).to_vec(),
        EcdsaSha512 => Sha512::digest(message).to_vec(),
        _ => return Cow::Borrowed(message),
    };
    if let Size::Ec(n) = bits(key) {
        digest.truncate(n.div_ceil(8));
    }
    Cow::Owned(digest)
}
