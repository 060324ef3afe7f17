//! What the cases share: a fresh token, somebody else in the same process, and an independent verifier.

use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use cryptoki::context::Pkcs11;
use cryptoki::session::Session;
use secrecy::SecretString;
use spki::SubjectPublicKeyInfoRef;
use spki::der::Decode;
use stele_core::types::{KeyAlgorithm, KeyName, SignatureAlgorithm};
use stele_hsm::{Token, TokenInfo, TokenKey, TokenSpec, init_token};

pub(crate) const LABEL: &str = "conformance";
pub(crate) const PATIENT: Duration = Duration::from_secs(60);
pub(crate) const MESSAGE: &[u8] = b"the exact bytes that are to be signed";

/// A place for tokens: the module and the directory that its configuration points to.
pub(crate) struct Bench {
    pub(crate) module: PathBuf,
    pub(crate) dir: PathBuf,
}

impl Bench {
    pub(crate) fn init(&self, label: &str) -> TokenInfo {
        init_token(&self.module, label, &so_pin(), &user_pin()).unwrap()
    }

    pub(crate) fn spec(&self) -> TokenSpec {
        TokenSpec::new(&self.module, LABEL)
    }

    /// A fresh token, open.
    pub(crate) fn token(&self) -> Token {
        self.init(LABEL);
        Token::open(&self.spec(), &user_pin()).unwrap()
    }

    /// A session of somebody else in this process, who shares the log-in as PKCS#11 has it.
    pub(crate) fn stranger(&self) -> Session {
        let pkcs11 = Pkcs11::new(&self.module).unwrap();
        let slot = pkcs11
            .get_slots_with_token()
            .unwrap()
            .into_iter()
            .find(|slot| pkcs11.get_token_info(*slot).unwrap().label() == LABEL)
            .unwrap();
        pkcs11.open_rw_session(slot).unwrap()
    }
}

pub(crate) fn so_pin() -> SecretString {
    "4321-so".into()
}

pub(crate) fn user_pin() -> SecretString {
    "1234-user".into()
}

pub(crate) fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

/// Signs with the token and verifies with another implementation.
pub(crate) fn sign_and_verify(token: &Token, key: &TokenKey, algorithm: SignatureAlgorithm) {
    let signed = token.sign(key, algorithm, MESSAGE, PATIENT).unwrap();
    assert!(verifies(key, algorithm, MESSAGE, &signed), "{algorithm:?}");
    assert!(!verifies(key, algorithm, b"other bytes", &signed), "{algorithm:?}");
}

pub(crate) fn verifies(key: &TokenKey, algorithm: SignatureAlgorithm, message: &[u8], signed: &[u8]) -> bool {
    let spki = SubjectPublicKeyInfoRef::from_der(&key.spki_der).unwrap();
    let bits = spki.subject_public_key.as_bytes().unwrap();
    UnparsedPublicKey::new(verifier(key.algorithm, algorithm), bits)
        .verify(message, signed)
        .is_ok()
}

fn verifier(key: KeyAlgorithm, algorithm: SignatureAlgorithm) -> &'static dyn VerificationAlgorithm {
    use KeyAlgorithm as K;
    use SignatureAlgorithm as S;
    match (key, algorithm) {
        (K::EcP256, S::EcdsaSha256) => &signature::ECDSA_P256_SHA256_ASN1,
        (K::EcP256, S::EcdsaSha384) => &signature::ECDSA_P256_SHA384_ASN1,
        (K::EcP256, S::EcdsaSha512) => &signature::ECDSA_P256_SHA512_ASN1,
        (K::EcP384, S::EcdsaSha256) => &signature::ECDSA_P384_SHA256_ASN1,
        (K::EcP384, S::EcdsaSha384) => &signature::ECDSA_P384_SHA384_ASN1,
        (K::EcP384, S::EcdsaSha512) => &signature::ECDSA_P384_SHA512_ASN1,
        (K::EcP521, S::EcdsaSha256) => &signature::ECDSA_P521_SHA256_ASN1,
        (K::EcP521, S::EcdsaSha384) => &signature::ECDSA_P521_SHA384_ASN1,
        (K::EcP521, S::EcdsaSha512) => &signature::ECDSA_P521_SHA512_ASN1,
        (_, S::RsaPkcs1Sha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (_, S::RsaPkcs1Sha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (_, S::RsaPkcs1Sha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        (_, S::RsaPssSha256) => &signature::RSA_PSS_2048_8192_SHA256,
        (_, S::RsaPssSha384) => &signature::RSA_PSS_2048_8192_SHA384,
        (_, S::RsaPssSha512) => &signature::RSA_PSS_2048_8192_SHA512,
        (K::Ed25519, S::Ed25519) => &signature::ED25519,
        (key, algorithm) => panic!("no verifier for {key} with {algorithm:?}"),
    }
}
