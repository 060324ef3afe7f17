//! The part of the judgement that needs no lock: reading a body, and everything in it that does not change while the
//! record waits for its turn. What may change is judged in `admit`, under the append lock, and again at the signature.

use std::sync::Arc;

use stele_core::authority::Bundle;
use stele_core::authority::texts::{KeyAction, KeyText};
use stele_core::ceremony::{self, CeremonyFile as _};
use stele_core::crl::{CrlView, parse_tbs_crl};
use stele_core::record::{
    Authority, Body, CaCertificate, Intent, Issued, KeyGenerated, KeyRole, LogPurpose, Payload, Purpose,
};
use stele_core::tbs::{TbsView, parse_certificate, parse_tbs};
use stele_core::types::{B64, Digest};

use crate::ceremonial;
use crate::error::KeeperError;
use crate::policy;
use crate::reading::{Chunks, Readers};
use crate::state::{Adopted, CaFacts};

/// Who asks to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The keeper itself, at `init`: the only one under the authority `bootstrap`.
    Init,
    /// The keeper itself, while it runs.
    Itself,
    /// The connection with this number.
    Connection(u64),
}

/// What was found in a body.
#[derive(Debug)]
pub(crate) enum Facts {
    /// Nothing that the state must know.
    Plain,
    /// An intent.
    Intent(Box<IntentFacts>),
    /// The whole of what an outcome says was signed.
    Issued(Vec<u8>),
    /// A bundle, and the origin that its texts name.
    Bundle(Box<Bundle>, policy::BundleTexts),
    /// A plan with its quorum.
    Plan,
    /// A CA certificate whose chain verifies up to a root that the bundle names.
    Ca(CaFacts),
    /// Operators' texts that were checked, to be used once.
    Texts(Vec<Digest>),
    /// What operators say about a key, and their texts, to be used once.
    Key(Box<KeyText>, Vec<Digest>),
}

/// What was found in an intent.
#[derive(Debug)]
pub(crate) struct IntentFacts {
    /// The exact bytes to be signed.
    pub(crate) tbs: Vec<u8>,
    /// The certificate to be, where it is one.
    pub(crate) certificate: Option<TbsView>,
    /// The CRL to be, where it is one.
    pub(crate) crl: Option<CrlView>,
    /// Digests of the signed texts that it uses up.
    pub(crate) texts: Vec<Digest>,
}

/// A body with what was found in it.
#[derive(Debug)]
pub(crate) struct Examined {
    /// The body.
    pub(crate) body: Body,
    /// What was found.
    pub(crate) facts: Facts,
    /// Who asks.
    pub(crate) asker: Asker,
}

/// What examining needs to know.
pub(crate) struct Surroundings<'a> {
    /// What the log is for.
    pub(crate) purpose: LogPurpose,
    /// Its origin.
    pub(crate) origin: &'a stele_core::types::Origin,
    /// The newest bundle.
    pub(crate) bundle: Option<Arc<Adopted>>,
    /// The digest of the first bundle that may be accepted.
    pub(crate) first_bundle: Option<Digest>,
    /// The origin that bundle texts name, once there is a bundle.
    pub(crate) authority_origin: Option<stele_core::types::Origin>,
    /// The time.
    pub(crate) now: stele_core::types::Time,
    /// The log.
    pub(crate) readers: &'a Readers,
}

impl Surroundings<'_> {
    pub(crate) fn resolve(&self, payload: &Payload) -> Result<Vec<u8>, KeeperError> {
        match payload {
            Payload::Inline(bytes) => Ok(bytes.0.clone()),
            chunked @ Payload::Chunks { .. } => self.readers.with(|r| Ok(chunked.resolve(&Chunks(r))?)),
        }
    }

    /// The newest bundle.
    ///
    /// # Errors
    /// When there is none yet.
    pub(crate) fn bundle(&self) -> Result<&Bundle, KeeperError> {
        self.bundle.as_deref().map(|a| &a.bundle).ok_or_else(|| {
            KeeperError::refused(
                "there is no authority bundle yet; import the ceremony's hand-over with `stele-signer import`",
            )
        })
    }
}

/// Examines a body.
///
/// # Errors
/// When it may not be appended, whatever the state.
pub(crate) fn examine(body: Body, asker: Asker, around: &Surroundings<'_>) -> Result<Examined, KeeperError> {
    if matches!(asker, Asker::Connection(_)) && body.keeper_only() {
        return Err(KeeperError::refused(format!(
            "a record of kind {} is written by the keeper alone",
            body.kind()
        )));
    }
    let ceremonial = matches!(
        body,
        Body::SignerRequest(_) | Body::Plan(_) | Body::CeremonyNote(_) | Body::CeremonyClosed(_)
    );
    let online = matches!(
        body,
        Body::CeremonyImported(_)
            | Body::CaCertificate(_)
            | Body::Proposal(_)
            | Body::Decision(_)
            | Body::Withdrawal(_)
            | Body::Refusal(_)
            | Body::EpochClosed(_)
    );
    match around.purpose {
        LogPurpose::Signer if ceremonial => return Err(wrong_log(&body, "a ceremony's")),
        LogPurpose::Ceremony if online => return Err(wrong_log(&body, "a signer's")),
        _ => {}
    }
    let facts = match &body {
        Body::Intent(intent) => Facts::Intent(Box::new(intent_facts(intent, asker, around)?)),
        Body::Issued(issued) => Facts::Issued(issued_whole(issued, around)?),
        Body::BundleAdopted(adopted) => {
            let bytes = around.resolve(&adopted.bundle)?;
            let (bundle, texts) = policy::examine_bundle(adopted, &bytes, around)?;
            Facts::Bundle(Box::new(bundle), texts)
        }
        Body::Plan(plan) => {
            let bytes = around.resolve(&plan.plan)?;
            require(
                Digest::of(&bytes) == plan.sha256,
                "plan.sha256 is not the digest of the plan",
            )?;
            policy::examine_plan(&ceremony::Plan::decode(&bytes)?, plan, around)?;
            Facts::Plan
        }
        Body::SignerRequest(request) => {
            ceremonial::examine_request(request, around)?;
            Facts::Plain
        }
        Body::CaCertificate(ca) => Facts::Ca(ca_facts(ca, around.bundle()?)?),
        Body::EpochClosed(closed) => Facts::Texts(policy::examine_close(closed, around)?),
        Body::KeyGenerated(key) => key_facts(key, around)?,
        Body::KeyDestroyed(key) => {
            let (text, texts) = policy::examine_key(&key.texts, around)?;
            let same =
                text.action == KeyAction::Destroy && text.key == key.key && text.spki_sha256 == Some(key.spki_sha256);
            require(same, "the signed texts are not about the destruction of this key")?;
            Facts::Key(Box::new(text), texts)
        }
        Body::Unfreeze(unfreeze) => Facts::Texts(policy::examine_unfreeze(unfreeze, around)?),
        Body::Recovery(recovery) => Facts::Texts(policy::examine_recovery(recovery, around)?),
        Body::Revocation(revocation) if !revocation.texts.is_empty() => {
            Facts::Texts(policy::examine_revocation(revocation, around)?)
        }
        Body::Halted(halted) => {
            // Another history is judged here, never by hearsay: the caller shows the checkpoint.
            let hearsay = matches!(asker, Asker::Connection(_)) && halted.checkpoint.is_some();
            require(!hearsay, "halted.checkpoint: show the checkpoint itself (`seen`)")?;
            Facts::Plain
        }
        _ => Facts::Plain,
    };
    Ok(Examined { body, facts, asker })
}

fn wrong_log(body: &Body, whose: &str) -> KeeperError {
    KeeperError::refused(format!("a record of kind {} belongs in {whose} log", body.kind()))
}

/// A refusal with these words unless `holds`.
///
/// # Errors
/// Unless `holds`.
pub(crate) fn require(holds: bool, otherwise: impl Into<String>) -> Result<(), KeeperError> {
    if holds {
        Ok(())
    } else {
        Err(KeeperError::Refused(otherwise.into()))
    }
}

fn intent_facts(intent: &Intent, asker: Asker, around: &Surroundings<'_>) -> Result<IntentFacts, KeeperError> {
    let tbs = around.resolve(&intent.tbs)?;
    require(
        Digest::of(&tbs) == intent.tbs_sha256,
        "intent.tbs_sha256 is not the digest of intent.tbs",
    )?;
    let mut facts = IntentFacts {
        tbs,
        certificate: None,
        crl: None,
        texts: Vec::new(),
    };
    match intent.purpose {
        Purpose::Leaf | Purpose::Intermediate | Purpose::Root => {
            facts.certificate = Some(certificate_facts(intent, &facts.tbs)?);
        }
        Purpose::Crl => {
            let view = parse_tbs_crl(&facts.tbs)?;
            require(
                view.signature == intent.algorithm,
                "the CRL names another signature algorithm than the intent",
            )?;
            facts.crl = Some(view);
        }
        Purpose::Csr => {}
    }
    if intent.certificate_fields_stray() {
        return Err(KeeperError::refused(
            "intent.serial and intent.not_after belong to certificates only",
        ));
    }
    match &intent.authority {
        Authority::Bootstrap => require(
            asker == Asker::Init && intent.purpose == Purpose::Csr && around.bundle.is_none(),
            "the authority `bootstrap` is for the CSRs that `stele-keeper init` makes, and nobody else",
        )?,
        Authority::Plan { .. } => {
            require(
                around.purpose == LogPurpose::Ceremony,
                "a plan's steps are signed in the ceremony's log only",
            )?;
            policy::examine_step(intent, &facts, around)?;
        }
        Authority::Succession => {
            return Err(KeeperError::refused(
                "the authority `succession` is for the checkpoint key that `init --successor-of` takes, and nothing else",
            ));
        }
        // The CSR of a key that the quorum had generated, under the record that says so.
        Authority::Policy if asker == Asker::Itself && intent.purpose == Purpose::Csr => {}
        Authority::Policy | Authority::Approvals(_) => facts.texts = policy::examine_intent(intent, &facts, around)?,
    }
    Ok(facts)
}

/// The fields that repeat the TBS must agree with it: an auditor's `jq` reads them.
fn certificate_facts(intent: &Intent, tbs: &[u8]) -> Result<TbsView, KeeperError> {
    let view = parse_tbs(tbs)?;
    let serial = intent.serial.as_ref().map(stele_core::types::Serial::as_bytes);
    let in_tbs: &[u8] = view.serial.strip_prefix(&[0]).unwrap_or(&view.serial);
    require(serial == Some(in_tbs), "intent.serial is not the serial in the TBS")?;
    require(
        intent.not_after == Some(view.not_after),
        "intent.not_after is not the end of validity in the TBS",
    )?;
    require(
        view.signature == Ok(intent.algorithm),
        "the TBS names another signature algorithm than the intent",
    )?;
    require(
        view.ca == matches!(intent.purpose, Purpose::Intermediate | Purpose::Root),
        "intent.purpose does not fit the CA bit in the TBS",
    )?;
    Ok(view)
}

fn issued_whole(issued: &Issued, around: &Surroundings<'_>) -> Result<Vec<u8>, KeeperError> {
    let whole = around.resolve(&issued.signed)?;
    require(
        Digest::of(&whole) == issued.sha256,
        "issued.sha256 is not the digest of issued.signed",
    )?;
    Ok(whole)
}

/// A key that was generated because operators said so.
fn key_facts(key: &KeyGenerated, around: &Surroundings<'_>) -> Result<Facts, KeeperError> {
    let Authority::Approvals(signed) = &key.authority else {
        return Err(KeeperError::refused(
            "a key is generated by `init`, or under the quorum's texts",
        ));
    };
    let (text, texts) = policy::examine_key(signed, around)?;
    let same = text.action == KeyAction::Generate && text.key == key.key && text.algorithm == key.algorithm;
    require(
        same && key.role == KeyRole::Ca,
        "the signed texts are not about the generation of this key",
    )?;
    Ok(Facts::Key(Box::new(text), texts))
}

/// What matters of a CA certificate whose chain ends in a root that the bundle names.
///
/// # Errors
/// When it does not.
pub(crate) fn ca_facts(ca: &CaCertificate, bundle: &Bundle) -> Result<CaFacts, KeeperError> {
    let (view, ..) = parse_certificate(&ca.certificate.0)?;
    require(view.ca, "ca_certificate.certificate is not a CA's")?;
    require(
        Digest::of(&view.spki_der) == ca.spki_sha256,
        "ca_certificate.spki_sha256 is not the digest of its key",
    )?;
    policy::require_named(bundle, &ca.key, ca.spki_sha256)?;
    let mut below = ca.certificate.clone();
    for above in &ca.chain {
        policy::verify_issued_by(&below.0, &above.0)?;
        below = above.clone();
    }
    policy::verify_issued_by(&below.0, &below.0)?;
    let (root, ..) = parse_certificate(&below.0)?;
    policy::require_root(bundle, Digest::of(&root.spki_der))?;
    Ok(CaFacts {
        subject_der: B64(view.subject_der),
        not_after: view.not_after,
    })
}
