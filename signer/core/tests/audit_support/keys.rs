//! Keys of CAs, logs and operators, and what they sign.

use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signer as _, SigningKey};
use p256::pkcs8::EncodePublicKey;
use sha2::{Digest as _, Sha512};
use stele_core::authority::texts::OperatorText;
use stele_core::keycheck::PublicKey;
use stele_core::names::{Attribute, AttributeType, Subject, Usage};
use stele_core::tbs::{CaConstraints, CertificateSpec, assemble};
use stele_core::types::{Serial, SignatureAlgorithm, SignedText, Time};

use super::{DAY, NOW};

pub fn note_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// A CA's or subject's key.
pub enum Key {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
}

impl Key {
    pub fn p256(seed: u8) -> Self {
        Self::P256(p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    pub fn p384(seed: u8) -> Self {
        Self::P384(p384::ecdsa::SigningKey::from_slice(&[seed; 48]).unwrap())
    }

    pub fn public(&self) -> PublicKey {
        let der = match self {
            Self::P256(key) => key.verifying_key().to_public_key_der().unwrap(),
            Self::P384(key) => key.verifying_key().to_public_key_der().unwrap(),
        };
        PublicKey::from_spki_der(der.as_bytes()).unwrap()
    }

    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.public().algorithm().default_signature()
    }

    /// The TBS with this key's signature.
    pub fn sign(&self, tbs: &[u8]) -> Vec<u8> {
        use p256::ecdsa::signature::Signer;
        let signature = match self {
            Self::P256(key) => Signer::<p256::ecdsa::DerSignature>::sign(key, tbs).as_bytes().to_vec(),
            Self::P384(key) => Signer::<p384::ecdsa::DerSignature>::sign(key, tbs).as_bytes().to_vec(),
        };
        assemble(tbs, self.algorithm(), &signature).unwrap()
    }
}

pub fn serial(n: u8) -> Serial {
    Serial::from_entropy([n; 20])
}

pub fn subject(cn: &str) -> Subject {
    Subject(vec![Attribute::new(AttributeType::CommonName, cn)])
}

/// A certificate for `key` from the CA named `issuer`; a leaf's unless `path_length` says more.
pub fn certificate(n: u8, cn: &str, key: &Key, issuer: (&str, &Key), ca: Option<Option<u8>>) -> CertificateSpec {
    CertificateSpec {
        serial: serial(n),
        signature: issuer.1.algorithm(),
        issuer_der: subject(issuer.0).to_der().unwrap(),
        not_before: Time::from_secs(NOW - 60),
        not_after: Time::from_secs(NOW + if ca.is_some() { 365 } else { 30 } * DAY),
        subject: subject(cn),
        spki_der: key.public().spki_der().to_vec(),
        subject_key_identifier: key.public().subject_key_identifier(),
        authority_key_identifier: issuer.1.public().subject_key_identifier().to_vec(),
        sans: Vec::new(),
        usages: match ca {
            Some(_) => vec![Usage::CertSign, Usage::CrlSign],
            None => vec![Usage::DigitalSignature, Usage::ClientAuth],
        },
        ca: ca.map(|path_length| CaConstraints {
            path_length,
            ..CaConstraints::default()
        }),
        crl_urls: Vec::new(),
        ca_issuers_urls: Vec::new(),
        ocsp_urls: Vec::new(),
        policies: Vec::new(),
        no_rev_avail: false,
    }
}

fn string(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u32).to_be_bytes()[..], octets].concat()
}

fn ssh_blob(key: &SigningKey) -> Vec<u8> {
    [string(b"ssh-ed25519"), string(key.verifying_key().as_bytes())].concat()
}

/// The line of an operator's public key.
pub fn ssh_line(seed: u8) -> String {
    format!("ssh-ed25519 {}", Base64::encode_string(&ssh_blob(&note_key(seed))))
}

/// A text with an operator's signature, as `ssh-keygen -Y sign` makes it (OpenSSH PROTOCOL.sshsig).
pub fn ssh_sign<T: OperatorText>(seed: u8, text: &T) -> SignedText {
    ssh_sign_in(seed, &text.to_string(), T::NAMESPACE)
}

pub fn ssh_sign_in(seed: u8, text: &str, namespace: &str) -> SignedText {
    let key = note_key(seed);
    let head = [string(namespace.as_bytes()), string(b""), string(b"sha512")].concat();
    let message = [&b"SSHSIG"[..], &head, &string(&Sha512::digest(text))].concat();
    let signature = [string(b"ssh-ed25519"), string(&key.sign(&message).to_bytes())].concat();
    let blob = [
        &b"SSHSIG\0\0\0\x01"[..],
        &string(&ssh_blob(&key)),
        &head,
        &string(&signature),
    ]
    .concat();
    let base64 = Base64::encode_string(&blob);
    let lines: Vec<_> = base64
        .as_bytes()
        .chunks(70)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    let body = lines.join("\n");
    SignedText {
        text: text.to_owned(),
        signature: format!("-----BEGIN SSH SIGNATURE-----\n{body}\n-----END SSH SIGNATURE-----\n"),
    }
}
