//! What the policy tests share: keys that sign, a small PKI, the presets, proposals, and the real `openssl`.
#![allow(dead_code, unreachable_pub)] // every test binary uses another part of this

pub mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use p256::ecdsa::signature::Signer;
use p256::pkcs8::EncodePublicKey;
use stele_core::Refusal;
use stele_core::authority::{Authority, Bundle};
use stele_core::keycheck::PublicKey;
use stele_core::names::{Attribute, AttributeType, Subject};
use stele_core::profile::{Context, Decided, Inputs, Issuer, Profile, Proposal, Requester, decide};
use stele_core::tbs::{CertificateSpec, RootSpec, assemble};
use stele_core::types::{CallerName, CallerSan, Digest, KeyAlgorithm, Serial, SignatureAlgorithm, Time};

/// 2026-11-22T00:00:00Z
pub const NOW: u64 = 1_795_305_600;
const DAY: u64 = 86_400;

/// A P-256 or P-384 key from a fixed seed.
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
        match self {
            Self::P256(_) => SignatureAlgorithm::EcdsaSha256,
            Self::P384(_) => SignatureAlgorithm::EcdsaSha384,
        }
    }

    /// The signature in X.509 form.
    pub fn sign(&self, tbs: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::DerSignature = key.sign(tbs);
                signature.as_bytes().to_vec()
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::DerSignature = key.sign(tbs);
                signature.as_bytes().to_vec()
            }
        }
    }

    /// Signs and joins, as the door does with a token.
    pub fn certify(&self, tbs: &[u8]) -> Vec<u8> {
        assemble(tbs, self.algorithm(), &self.sign(tbs)).unwrap()
    }
}

pub fn now() -> Time {
    Time::from_secs(NOW)
}

pub fn serial(n: u8) -> Serial {
    Serial::from_entropy([n; 20])
}

pub fn subject(cn: &str) -> Subject {
    Subject(vec![Attribute::new(AttributeType::CommonName, cn)])
}

/// A root of ten years; `path_length` as given.
pub fn root(key: &Key, path_length: Option<u8>) -> CertificateSpec {
    let public = key.public();
    RootSpec {
        serial: serial(1),
        signature: key.algorithm(),
        subject: subject("Test Root"),
        spki_der: public.spki_der().to_vec(),
        subject_key_identifier: public.subject_key_identifier(),
        not_before: Time::from_secs(NOW - DAY),
        not_after: Time::from_secs(NOW + 3650 * DAY),
        path_length,
    }
    .into_certificate()
    .unwrap()
}

/// The issuer that `key` is under a chain.
pub fn issuer(name: &str, algorithm: KeyAlgorithm, chain: &[Vec<u8>]) -> Issuer {
    Issuer::from_chain(name.parse().unwrap(), algorithm, chain).unwrap()
}

/// A root key as the issuer of this name: enough for decisions that do not look at the chain.
pub fn root_issuer(name: &str) -> Issuer {
    let key = Key::p256(1);
    let der = key.certify(&root(&key, Some(3)).to_tbs_der().unwrap());
    issuer(name, KeyAlgorithm::EcP256, &[der])
}

/// A proposal for a P-256 key with no names and no context.
pub fn proposal() -> Proposal {
    let public = Key::p256(9).public();
    Proposal {
        subject: Subject::default(),
        sans: vec![],
        names_from_csr: true,
        unrepresentable: vec![],
        usages: None,
        basic_constraints: None,
        other_extensions: vec![],
        key_algorithm: KeyAlgorithm::EcP256,
        spki_der: public.spki_der().to_vec(),
        ski: public.subject_key_identifier(),
        validity_secs: None,
        not_after: None,
        context: Context::default(),
    }
}

pub fn sans(names: &[&str]) -> Vec<stele_core::names::San> {
    names.iter().map(|n| n.parse().unwrap()).collect()
}

/// Decides as the named caller.
pub fn decide_as(
    proposal: &Proposal,
    profile: &Profile,
    issuer: &Issuer,
    caller: &str,
    san: &str,
) -> Result<Decided, Refusal> {
    let (name, san): (CallerName, CallerSan) = (caller.parse().unwrap(), san.parse().unwrap());
    let inputs = Inputs {
        now: now(),
        serial: &serial(7),
        issuer,
        requester: Requester::Caller { name: &name, san: &san },
        known_callers: &BTreeSet::new(),
    };
    decide(proposal, profile, &inputs)
}

/// As the caller of the presets.
pub fn decide_for(proposal: &Proposal, profile: &Profile, issuer: &Issuer) -> Result<Decided, Refusal> {
    decide_as(
        proposal,
        profile,
        issuer,
        "cluster-signer",
        "uri:spiffe://stele/caller/cluster-signer",
    )
}

/// The rules that a refusal names.
pub fn rules(refusal: &Refusal) -> Vec<&str> {
    refusal.violations.iter().map(|v| v.rule.as_str()).collect()
}

/// The files of `signer/presets`.
pub fn preset_files() -> BTreeMap<String, String> {
    let base = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../presets");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let mut files = BTreeMap::from([("authority.toml".to_owned(), read(&base.join("authority.toml")))]);
    for entry in std::fs::read_dir(base.join("profiles")).unwrap() {
        let path = entry.unwrap().path();
        files.insert(
            format!("profiles/{}", path.file_name().unwrap().to_str().unwrap()),
            read(&path),
        );
    }
    files
}

pub fn presets() -> Bundle {
    Bundle::build(0, None, preset_files()).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

pub fn profile<'a>(authority: &'a Authority, name: &str) -> &'a Profile {
    authority.profile(&name.parse().unwrap()).unwrap()
}

/// The presets with one file changed by replacing text that must be there.
pub fn changed(file: &str, from: &str, to: &str) -> BTreeMap<String, String> {
    let mut files = preset_files();
    let text = files.get_mut(file).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    *text = text.replacen(from, to, 1);
    files
}

/// The errors of a bundle of such files, as one text.
pub fn faults(files: BTreeMap<String, String>) -> String {
    let errors = Bundle::build(1, Some(Digest([0; 32])), files).unwrap_err();
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Runs `openssl` in `dir`: whether it succeeded, and all that it said.
pub fn openssl(dir: &Path, arguments: &str) -> (bool, String) {
    let run = Command::new("openssl")
        .current_dir(dir)
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let said = [run.stdout, run.stderr].concat();
    (run.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Writes DER as PEM.
pub fn pem(dir: &Path, name: &str, label: &str, ders: &[&[u8]]) {
    let text: String = ders
        .iter()
        .map(|der| der::pem::encode_string(label, der::pem::LineEnding::LF, der).unwrap())
        .collect();
    std::fs::write(dir.join(name), text).unwrap();
}
