//! Certificates, CRL, minutes, manifest, the exported log, and the hand-over.

use stele_core::ceremony::script::ROOT_KEY;
use stele_core::ceremony::transcript::{self, name, output_name, pem_label};
use stele_core::ceremony::{
    CeremonyFile as _, Facts, HandedCertificate, Handover, Minutes, Since, Step, VERSION, WholeLog, minutes, to_pem,
};
use stele_core::checkpoint::Checkpoint;
use stele_core::merkle;
use stele_core::record::{Body, CeremonyClosed, Purpose};
use stele_core::tbs::parse_certificate;
use stele_core::types::{B64, Digest, Serial};

use super::Planned;
use crate::error::CeremonyError;
use crate::folder::read;
use crate::session::Session;

/// Writes what the steps brought forth, closes the log over the manifest, and exports it.
pub(super) fn close(planned: &Planned, session: &mut Session) -> Result<(), CeremonyError> {
    let folder = &planned.ceremony.folder;
    for step in &planned.plan.steps {
        let pem = to_pem(pem_label(step.purpose), &whole(&session.facts, step)?)?;
        folder.write(
            &folder.transcript(&output_name(step.purpose, &step.subject_key)),
            pem.as_bytes(),
        )?;
    }
    let root = to_pem(pem_label(Purpose::Root), &root_certificate(&session.facts)?)?;
    folder.write(&folder.transcript(name::ROOT), root.as_bytes())?;
    folder.write(
        &folder.transcript(name::MINUTES),
        written_minutes(planned, &session.facts)?.as_bytes(),
    )?;
    let manifest = transcript::manifest(&folder.transcript_files()?).encode()?;
    folder.write(&folder.transcript(name::MANIFEST), &manifest)?;
    let digest = Digest::of(&manifest);
    match session.facts.sitting.closed {
        None => drop(session.append(&Body::CeremonyClosed(CeremonyClosed { manifest: digest }))?),
        Some(closed) if closed == digest => {}
        Some(closed) => {
            let found = format!(
                "{}: its digest is {digest}, the log closed over {closed}",
                folder.transcript(name::MANIFEST).display()
            );
            return Err(CeremonyError::Order(found));
        }
    }
    folder.write_tree(&folder.transcript("log"), &session.log()?.files()?)
}

/// What a step brought forth, whole.
fn whole(facts: &Facts, step: &Step) -> Result<Vec<u8>, CeremonyError> {
    let missing = || CeremonyError::Order(format!("step {}: the log holds no outcome", step.step));
    Ok(facts
        .sitting
        .issued(step.step)
        .ok_or_else(missing)?
        .body
        .signed
        .resolve(facts)?)
}

fn root_certificate(facts: &Facts) -> Result<Vec<u8>, CeremonyError> {
    let missing = || CeremonyError::Order("the log holds no certificate of the root".to_owned());
    let root = facts.certificates()?.remove(&ROOT_KEY.parse()?);
    Ok(root.ok_or_else(missing)?.der)
}

fn written_minutes(planned: &Planned, facts: &Facts) -> Result<String, CeremonyError> {
    Ok(minutes(&Minutes {
        script: &planned.ceremony.script,
        plan: &planned.plan,
        plan_sha256: planned.digest(),
        facts,
        root_sha256: Digest::of(&root_certificate(facts)?),
    })?)
}

/// Verifies the transcript as everybody else will, and writes the hand-over from it.
pub(super) fn hand_over(planned: &Planned) -> Result<(), CeremonyError> {
    let folder = &planned.ceremony.folder;
    let files = folder.transcript_files()?;
    let verified = transcript::verify(&files, None).map_err(CeremonyError::NotVerified)?;
    let facts = Facts::read(verified.log.records()?)?;
    let handover = Handover {
        v: VERSION,
        origin: planned.plan.origin.clone(),
        vkey: verified.vkey.clone(),
        checkpoint: verified.log.note().to_owned(),
        signer_origin: planned.request.origin.clone(),
        signer_checkpoint: planned.request.checkpoint.clone(),
        bundle: B64(planned.bundle.bytes().to_vec()),
        bundle_texts: facts
            .bundles
            .last()
            .map(|found| found.body.texts.clone())
            .unwrap_or_default(),
        certificates: certificates(planned, &facts, &verified.log)?,
        root_crl: B64(crl(planned, &facts)?),
        manifest_sha256: Digest::of(&read(&folder.transcript(name::MANIFEST))?),
        since: since(planned, &verified.log)?,
    };
    folder.write(&folder.handover(), &handover.encode()?)
}

/// The root, then the newest certificate of each key that the bundle names, unless its serial is gone.
fn certificates(planned: &Planned, facts: &Facts, log: &WholeLog) -> Result<Vec<HandedCertificate>, CeremonyError> {
    let mut handed = Vec::new();
    for (key, certified) in facts.certificates()? {
        let (view, ..) = parse_certificate(&certified.der)?;
        let spki = Digest::of(&view.spki_der);
        let named = planned
            .bundle
            .authority()
            .key(&key)
            .is_some_and(|k| k.spki_sha256 == spki);
        if !named || facts.is_gone(&Serial::from_unsigned(&view.serial)?) {
            continue;
        }
        let certificate = HandedCertificate {
            key,
            certificate: B64(certified.der),
            proof: log.proof(certified.index)?.to_string(),
        };
        match certified.purpose {
            Purpose::Root => handed.insert(0, certificate),
            _ => handed.push(certificate),
        }
    }
    Ok(handed)
}

/// The signer knows this log from the hand-over before; that it only grew can be proven.
fn since(planned: &Planned, log: &WholeLog) -> Result<Option<Since>, CeremonyError> {
    let note = planned.request.later.as_ref().and_then(|later| later.ceremony.as_ref());
    let Some(note) = note else { return Ok(None) };
    let size = Checkpoint::from_note_unverified(note)?.size;
    Ok(Some(Since {
        size,
        consistency: merkle::consistency_proof(size, log.checkpoint().size, log)?,
    }))
}

fn crl(planned: &Planned, facts: &Facts) -> Result<Vec<u8>, CeremonyError> {
    let missing = || CeremonyError::Order("plan.json: has no step for a CRL".to_owned());
    let step = planned
        .plan
        .steps
        .iter()
        .find(|step| step.purpose == Purpose::Crl)
        .ok_or_else(missing)?;
    whole(facts, step)
}
