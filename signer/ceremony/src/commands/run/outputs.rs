//! Certificates, CRL, minutes, manifest, the exported log, and the hand-over.

use stele_core::ceremony::transcript::{self, name, output_name, pem_label};
use stele_core::ceremony::{
    CeremonyFile as _, Facts, HandedCertificate, Handover, Minutes, Step, VERSION, WholeLog, minutes, to_pem,
};
use stele_core::record::{Body, CeremonyClosed, Purpose};
use stele_core::types::{B64, Digest};

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
    folder.write(
        &folder.transcript(name::MINUTES),
        written_minutes(planned, &session.facts)?.as_bytes(),
    )?;
    let manifest = transcript::manifest(&folder.transcript_files()?).encode()?;
    folder.write(&folder.transcript(name::MANIFEST), &manifest)?;
    let digest = Digest::of(&manifest);
    match session.facts.closed {
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
    let note = session.keeper.client.checkpoint()?;
    let log = WholeLog::new(note, &session.facts.genesis.vkey, session.entries()?)?;
    folder.write_tree(&folder.transcript("log"), &log.files()?)
}

/// What a step brought forth, whole.
fn whole(facts: &Facts, step: &Step) -> Result<Vec<u8>, CeremonyError> {
    let missing = || CeremonyError::Order(format!("step {}: the log holds no outcome", step.step));
    Ok(facts
        .issued(step.step)
        .ok_or_else(missing)?
        .body
        .signed
        .resolve(facts)?)
}

fn written_minutes(planned: &Planned, facts: &Facts) -> Result<String, CeremonyError> {
    let missing = || CeremonyError::Order("plan.json: has no step for the root".to_owned());
    let root = planned
        .plan
        .steps
        .iter()
        .find(|step| step.purpose == Purpose::Root)
        .ok_or_else(missing)?;
    Ok(minutes(&Minutes {
        script: &planned.ceremony.script,
        plan: &planned.plan,
        plan_sha256: planned.digest(),
        vkey: &facts.genesis.vkey,
        root_sha256: Digest::of(&whole(facts, root)?),
    }))
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
        bundle_texts: facts.bundle.iter().flat_map(|found| found.body.texts.clone()).collect(),
        certificates: certificates(planned, &facts, &verified.log)?,
        root_crl: B64(crl(planned, &facts)?),
        manifest_sha256: Digest::of(&read(&folder.transcript(name::MANIFEST))?),
    };
    folder.write(&folder.handover(), &handover.encode()?)
}

fn certificates(planned: &Planned, facts: &Facts, log: &WholeLog) -> Result<Vec<HandedCertificate>, CeremonyError> {
    let certificates = planned.plan.steps.iter().filter(|step| step.purpose != Purpose::Crl);
    certificates
        .map(|step| {
            let missing = || CeremonyError::Order(format!("step {}: the log holds no outcome", step.step));
            let outcome = facts.issued(step.step).ok_or_else(missing)?;
            Ok(HandedCertificate {
                key: step.subject_key.clone(),
                certificate: B64(whole(facts, step)?),
                proof: log.proof(outcome.index)?.to_string(),
            })
        })
        .collect()
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
