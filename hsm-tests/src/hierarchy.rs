//! A root whose key lies in this process, standing in for a ceremony in tests that are about the keeper alone.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use stele_core::ceremony::RequestedKey;
use stele_core::keycheck::PublicKey;
use stele_core::names::{Attribute, AttributeType, Subject};
use stele_core::record::CaCertificate;
use stele_core::tbs::{CaConstraints, CertificateSpec, NameConstraints, RootSpec, assemble};
use stele_core::types::{Digest, KeyAlgorithm, Serial, SignatureAlgorithm, Time};

/// The time now.
pub fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    Time::from_millis(u64::try_from(since.as_millis()).expect("a clock before the year 500 million"))
}

/// A fresh serial.
pub fn serial() -> Serial {
    let mut entropy = [0u8; 20];
    aws_lc_rs::rand::fill(&mut entropy).expect("randomness");
    Serial::from_entropy(entropy)
}

/// A subject with only a common name.
pub fn common_name(cn: &str) -> Subject {
    Subject(vec![Attribute {
        kind: AttributeType::CommonName,
        value: cn.to_owned(),
    }])
}

/// A root with its key in this process.
pub struct Root {
    key: EcdsaKeyPair,
    /// Its public key.
    pub public: PublicKey,
    /// Its certificate.
    pub certificate: Vec<u8>,
}

impl Root {
    /// A new root.
    pub fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).expect("a key");
        let public = PublicKey::from_ec_point(KeyAlgorithm::EcP384, key.public_key().as_ref()).expect("a public key");
        let spec = RootSpec {
            serial: serial(),
            signature: SignatureAlgorithm::EcdsaSha384,
            subject: common_name("Test Root"),
            spki_der: public.spki_der().to_vec(),
            subject_key_identifier: public.subject_key_identifier(),
            not_before: now().minus_secs(60),
            not_after: now().plus_secs(86_400 * 365),
            path_length: None,
        };
        let tbs = spec.into_certificate().and_then(|c| c.to_tbs_der()).expect("a TBS");
        let mut root = Self {
            key,
            public,
            certificate: Vec::new(),
        };
        root.certificate = root.sign(&tbs);
        root
    }

    fn sign(&self, tbs: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(&SystemRandom::new(), tbs).expect("a signature");
        assemble(tbs, SignatureAlgorithm::EcdsaSha384, signature.as_ref()).expect("a certificate")
    }

    /// A CA certificate for a key of a keeper.
    pub fn issue(&self, requested: &RequestedKey, path_length: u8) -> CaCertificate {
        let csr = stele_core::csr::Csr::prove(&requested.csr.0, &Default::default()).expect("the keeper's CSR");
        let (view, ..) = stele_core::tbs::parse_certificate(&self.certificate).expect("the root");
        let spec = CertificateSpec {
            serial: serial(),
            signature: SignatureAlgorithm::EcdsaSha384,
            issuer_der: view.subject_der,
            not_before: now().minus_secs(60),
            not_after: now().plus_secs(86_400 * 300),
            subject: common_name(requested.key.as_str()),
            spki_der: csr.public_key().spki_der().to_vec(),
            subject_key_identifier: csr.public_key().subject_key_identifier(),
            authority_key_identifier: self.public.subject_key_identifier().to_vec(),
            sans: Vec::new(),
            usages: vec![stele_core::names::Usage::CertSign, stele_core::names::Usage::CrlSign],
            ca: Some(CaConstraints {
                path_length: Some(path_length),
                name_constraints: NameConstraints::default(),
            }),
            crl_urls: Vec::new(),
            ca_issuers_urls: Vec::new(),
            ocsp_urls: Vec::new(),
            policies: Vec::new(),
            no_rev_avail: false,
        };
        let certificate = self.sign(&spec.to_tbs_der().expect("a TBS"));
        CaCertificate {
            key: requested.key.clone(),
            spki_sha256: requested.spki_sha256,
            certificate: certificate.into(),
            chain: vec![self.certificate.clone().into()],
            crl: None,
        }
    }

    /// SHA-256 of its SPKI.
    pub fn spki_sha256(&self) -> Digest {
        self.public.digest()
    }
}

impl Default for Root {
    fn default() -> Self {
        Self::new()
    }
}
