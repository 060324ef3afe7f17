//! The part of the work that looks at one record alone, and so runs on every core at once.

use der::{Decode, Encode};
use x509_cert::request::CertReqInfo;

use super::report::Finding;
use super::texts::{self, Signed};
use crate::authority::texts::{
    ApprovalText, BundleText, CloseText, KeyText, OperatorText, PlanText, RecoveryText, StopText, SuccessionText,
};
use crate::crl::{CrlView, parse_tbs_crl};
use crate::csr::Limits;
use crate::door;
use crate::error::Error;
use crate::keycheck::PublicKey;
use crate::merkle::{Hash, leaf_hash};
use crate::record::{Authority, Body, Intent, Payload, Purpose, Record};
use crate::request::SignRequest;
use crate::tbs::{self, TbsView, parse_tbs};
use crate::types::{Digest, SignatureAlgorithm, SignedText, Time};

/// Whatever the policy of the day allowed was allowed; these only bound the work.
pub(super) const CSR_LIMITS: Limits = Limits {
    max_der: crate::record::MAX_RECORD,
    max_names: 4096,
    max_depth: 16,
};

/// A record that was decoded and looked at alone; [`Verifier::admit`](super::Verifier::admit) judges it in its log.
pub struct Examined {
    pub(super) index: u64,
    pub(super) leaf: Hash,
    pub(super) findings: Vec<Finding>,
    pub(super) read: Option<Box<Read>>,
}

impl Examined {
    /// The entry's leaf hash.
    #[must_use]
    pub const fn leaf(&self) -> Hash {
        self.leaf
    }

    /// SHA-256 of what the record says was signed; none for other records.
    #[must_use]
    pub fn issued(&self) -> Option<Digest> {
        match &self.read.as_ref()?.body {
            Body::Issued(issued) => Some(issued.sha256),
            _ => None,
        }
    }
}

/// What a record holds.
pub(super) struct Read {
    pub(super) time: Time,
    pub(super) body: Body,
    /// What an intent or proposal wants signed; none while it lies in chunks.
    pub(super) tbs: Option<Result<Tbs, Error>>,
    /// What an outcome says was signed; none while it lies in chunks.
    pub(super) signed: Option<Result<SignedObject, Error>>,
    /// The operators' texts of the record, in order.
    pub(super) texts: Vec<Result<Signed, Error>>,
}

/// To-be-signed bytes by what they are.
pub(super) enum Tbs {
    Certificate(Box<TbsView>),
    Crl(Box<CrlView>),
    /// The SPKI in a CertificationRequestInfo.
    Csr(Vec<u8>),
}

/// A certificate, CRL or CSR in its three parts.
pub(super) struct SignedObject {
    pub(super) sha256: Digest,
    pub(super) tbs: Vec<u8>,
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) signature: Vec<u8>,
}

/// Decodes the entry at `index` and checks all that needs no other record: form, digests, operators' signatures, proofs
/// of possession. `tile` is the leaf hash that the level 0 tile holds for it, where the caller has it: it tells which
/// entry was altered where the root could only tell that one was.
///
/// Pure, and never fails: what is wrong is a finding.
#[must_use]
pub fn examine(index: u64, raw: &[u8], tile: Option<Hash>) -> Examined {
    examine_with(index, raw, tile, Proofs::Verify)
}

/// As [`examine`], for an entry of the part that an earlier run has verified (see
/// [`Options::verified`](super::Options::verified)): proofs of possession are not verified again.
#[must_use]
pub fn examine_again(index: u64, raw: &[u8], tile: Option<Hash>) -> Examined {
    examine_with(index, raw, tile, Proofs::Known)
}

/// Whether the proofs of possession in a record are to be verified.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proofs {
    Verify,
    /// They were, for the same bytes.
    Known,
}

fn examine_with(index: u64, raw: &[u8], tile: Option<Hash>, proofs: Proofs) -> Examined {
    let leaf = leaf_hash(raw);
    let mut findings = Vec::new();
    if let Some(expected) = tile.filter(|t| *t != leaf) {
        let found = format!("an entry with leaf hash {leaf}");
        findings.push(Finding::at(
            index,
            "hash tile",
            found,
            format!("{expected}, as the tile has it"),
        ));
    }
    let read = match Record::decode(raw) {
        Ok(record) => {
            if record.index != index {
                let expected = format!("index {index}, its position");
                findings.push(Finding::at(index, "index", format!("index {}", record.index), expected));
            }
            Some(Box::new(look(record, proofs)))
        }
        Err(error) => {
            findings.push(Finding::from_error(index, "record", error));
            None
        }
    };
    Examined {
        index,
        leaf,
        findings,
        read,
    }
}

fn look(record: Record, proofs: Proofs) -> Read {
    let (tbs, signed) = match &record.body {
        Body::Intent(intent) => match &intent.tbs {
            Payload::Inline(bytes) if proofs == Proofs::Known => {
                (Some(read_tbs(intent.purpose, &bytes.0, intent.tbs_sha256)), None)
            }
            Payload::Inline(bytes) => (Some(read_intent(intent, &bytes.0)), None),
            Payload::Chunks { .. } => (None, None),
        },
        Body::Proposal(p) => (Some(read_tbs(p.purpose, &p.tbs.0, p.tbs_sha256)), None),
        Body::Issued(issued) => match &issued.signed {
            Payload::Inline(bytes) => (None, Some(SignedObject::read(&bytes.0))),
            Payload::Chunks { .. } => (None, None),
        },
        _ => (None, None),
    };
    let (namespace, texts) = texts_of(&record.body);
    Read {
        time: record.time,
        tbs,
        signed,
        texts: texts.iter().map(|text| texts::open(text, namespace)).collect(),
        body: record.body,
    }
}

/// The signed texts of a record, and the namespace that their signatures must be made for.
fn texts_of(body: &Body) -> (&'static str, &[SignedText]) {
    match body {
        Body::Intent(intent) => match &intent.authority {
            Authority::Approvals(texts) => (ApprovalText::NAMESPACE, texts),
            _ => (ApprovalText::NAMESPACE, &[]),
        },
        Body::Decision(decision) => (ApprovalText::NAMESPACE, std::slice::from_ref(&decision.text)),
        Body::BundleAdopted(bundle) => (BundleText::NAMESPACE, &bundle.texts),
        Body::Plan(plan) => (PlanText::NAMESPACE, &plan.texts),
        Body::Revocation(revocation) => (StopText::NAMESPACE, &revocation.texts),
        Body::Unfreeze(unfreeze) => (StopText::NAMESPACE, &unfreeze.texts),
        Body::Recovery(recovery) => (RecoveryText::NAMESPACE, &recovery.texts),
        Body::Genesis(genesis) => match &genesis.predecessor {
            Some(predecessor) => (SuccessionText::NAMESPACE, &predecessor.texts),
            None => (SuccessionText::NAMESPACE, &[]),
        },
        Body::EpochClosed(closed) => (CloseText::NAMESPACE, &closed.texts),
        Body::KeyGenerated(key) => match &key.authority {
            Authority::Approvals(texts) => (KeyText::NAMESPACE, texts),
            _ => (KeyText::NAMESPACE, &[]),
        },
        Body::KeyDestroyed(key) => (KeyText::NAMESPACE, &key.texts),
        _ => ("", &[]),
    }
}

/// Reads an intent's TBS and verifies that the key's owner asked for it.
pub(super) fn read_intent(intent: &Intent, tbs: &[u8]) -> Result<Tbs, Error> {
    let read = read_tbs(intent.purpose, tbs, intent.tbs_sha256)?;
    if let (Tbs::Certificate(view), Some(asked)) = (&read, &intent.asked) {
        prove(asked, intent.request.digest, &view.spki_der)?;
    }
    Ok(read)
}

/// The request is the one that the digest binds, and its proof of possession is for the key in the TBS.
fn prove(asked: &SignRequest, digest: Digest, spki_der: &[u8]) -> Result<(), Error> {
    if asked.digest() != digest {
        return Err(Error::unverified(
            "asked",
            format!("its digest is {}, not {digest}", asked.digest()),
        ));
    }
    let proven = door::prove(asked, &CSR_LIMITS)
        .map_err(|refusal| Error::unverified("proof of possession", refusal.to_string()))?;
    if proven.public_key().spki_der() == spki_der {
        return Ok(());
    }
    Err(Error::unverified(
        "proof of possession",
        "it is for another key than the TBS",
    ))
}

/// Reads to-be-signed bytes as what their purpose says that they are: bytes for one purpose never pass for another.
pub(super) fn read_tbs(purpose: Purpose, der: &[u8], sha256: Digest) -> Result<Tbs, Error> {
    let found = Digest::of(der);
    if found != sha256 {
        return Err(Error::unverified("tbs_sha256", format!("the TBS has digest {found}")));
    }
    match purpose {
        Purpose::Leaf | Purpose::Intermediate | Purpose::Root => Ok(Tbs::Certificate(Box::new(parse_tbs(der)?))),
        Purpose::Crl => Ok(Tbs::Crl(Box::new(parse_tbs_crl(der)?))),
        Purpose::Csr => read_csr_info(der).map(Tbs::Csr),
    }
}

fn read_csr_info(der: &[u8]) -> Result<Vec<u8>, Error> {
    let refused = |e: der::Error| {
        Error::malformed(
            "CSR",
            e.to_string(),
            "a CertificationRequestInfo (RFC 2986 section 4.1)",
        )
    };
    let info = CertReqInfo::from_der(der).map_err(refused)?;
    if info.to_der().map_err(refused)? != der {
        return Err(Error::malformed(
            "CSR",
            "another encoding of the same content",
            "canonical DER",
        ));
    }
    info.public_key.to_der().map_err(refused)
}

impl SignedObject {
    /// Takes a signed object apart; put together again, it must be the same bytes.
    pub(super) fn read(der: &[u8]) -> Result<Self, Error> {
        let (tbs, algorithm, signature) = tbs::split_signed("signed object", der)?;
        if tbs::assemble(&tbs, algorithm, &signature)? != der {
            return Err(Error::malformed(
                "signed object",
                "another encoding of the same content",
                "canonical DER",
            ));
        }
        Ok(Self {
            sha256: Digest::of(der),
            tbs,
            algorithm,
            signature,
        })
    }
}

/// A signature to verify, apart from the log's state so that it can run on any core.
pub struct SignatureCheck {
    pub(super) index: u64,
    pub(super) key: std::sync::Arc<PublicKey>,
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) message: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl SignatureCheck {
    /// Verifies it; what it finds goes back with [`Verifier::found`](super::Verifier::found).
    #[must_use]
    pub fn run(&self) -> Option<Finding> {
        self.key
            .verify(self.algorithm, &self.message, &self.signature)
            .err()
            .map(|error| Finding::from_error(self.index, "issuer's signature", error))
    }
}
