//! The checks of single parts of a hand-over.

use stele_core::Error;
use stele_core::authority::Bundle;
use stele_core::ceremony::HandedCertificate;
use stele_core::checkpoint::{Checkpoint, NoteVerifier, TlogProof};
use stele_core::crl::parse_crl;
use stele_core::keycheck::PublicKey;
use stele_core::record::{Body, Record};
use stele_core::tbs::parse_certificate;
use stele_core::types::{B64, Digest};

use super::{Checked, Handed};
use crate::error::SignerError;

/// The most CAs between one of ours and the root.
const MAX_DEPTH: usize = 8;

pub(super) fn require(holds: bool, field: &str, found: &str, permitted: &str) -> Result<(), SignerError> {
    if holds {
        Ok(())
    } else {
        Err(Error::malformed(field, found, permitted).into())
    }
}

/// A certificate that stands in the ceremony's log, for a key that the bundle names.
pub(super) fn proven(
    handed: &HandedCertificate,
    verifiers: &[NoteVerifier],
    last: &Checkpoint,
    bundle: &Bundle,
) -> Result<Handed, SignerError> {
    let what = format!("hand-over: certificate of `{}`", handed.key);
    let proof: TlogProof = handed.proof.parse()?;
    let record = proof.extra.clone().ok_or_else(|| {
        Error::malformed(
            what.clone(),
            "a proof without the record",
            "the record in its extra line",
        )
    })?;
    let (checkpoint, _) = proof.verify(&record, verifiers)?;
    let within = checkpoint.origin == last.origin && checkpoint.size <= last.size;
    require(
        within,
        &what,
        "a proof in another or a later tree",
        "a proof in the ceremony's log",
    )?;
    let Body::Issued(issued) = Record::decode(&record)?.body else {
        return Err(Error::malformed(what, "a proof of another record", "the outcome that holds it").into());
    };
    let same = issued.sha256 == Digest::of(&handed.certificate.0);
    require(
        same,
        &what,
        "a proof of another certificate",
        "the outcome that holds it",
    )?;
    let (view, ..) = parse_certificate(&handed.certificate.0)?;
    let spki = Digest::of(&view.spki_der);
    let named = bundle
        .authority()
        .key(&handed.key)
        .is_some_and(|key| key.spki_sha256 == spki);
    require(
        named,
        &what,
        &format!("a key with SPKI digest {spki}"),
        "the key of this name in the bundle",
    )?;
    Ok(Handed {
        key: handed.key.clone(),
        der: handed.certificate.0.clone(),
        view,
    })
}

/// The certificates above one, its issuer first, the root last, each signature verified.
pub(super) fn chain(handed: &Handed, checked: &Checked) -> Result<Vec<B64>, SignerError> {
    let mut above = Vec::new();
    let mut below = handed;
    while above.len() < MAX_DEPTH {
        let issuer = [&checked.root]
            .into_iter()
            .chain(&checked.below)
            .find(|h| h.view.subject_der == below.view.issuer_der && h.view.ca);
        let Some(issuer) = issuer else { break };
        verify(below, issuer)?;
        above.push(B64(issuer.der.clone()));
        if issuer.view.is_self_issued() {
            verify(issuer, issuer)?;
            return Ok(above);
        }
        below = issuer;
    }
    let what = format!("hand-over: chain of `{}`", handed.key);
    Err(Error::malformed(what, "no way up to the root", "CAs of the hand-over up to its root").into())
}

fn verify(below: &Handed, above: &Handed) -> Result<(), SignerError> {
    let (_, tbs, algorithm, signature) = parse_certificate(&below.der)?;
    let key = PublicKey::from_spki_der(&above.view.spki_der)?;
    Ok(key.verify(algorithm, &tbs, &signature)?)
}

pub(super) fn check_root_crl(root: &Handed, crl: &[u8]) -> Result<(), SignerError> {
    let (view, tbs, signature) = parse_crl(crl)?;
    require(
        view.issuer_der == root.view.subject_der,
        "hand-over: root_crl",
        "a CRL of another issuer",
        "a CRL of the root",
    )?;
    let key = PublicKey::from_spki_der(&root.view.spki_der)?;
    Ok(key.verify(view.signature, &tbs, &signature)?)
}
