//! The steps of the plan, through the one door.

use std::time::Duration;

use stele_core::ceremony::{Outcome, Plan, Step};
use stele_core::door::{Asked, Evidence, Linted, Steps};
use stele_core::record::Purpose;

use super::Planned;
use crate::error::CeremonyError;
use crate::session::Session;

/// A smart card may take its time over a signature; below the client's own patience.
const SIGNATURE_DEADLINE: Duration = Duration::from_secs(30);

/// Carries out every step that the log does not show as done.
pub(super) fn carry_out(planned: &Planned, session: &mut Session, at: &dyn Steps) -> Result<(), CeremonyError> {
    for step in &planned.plan.steps {
        if session.facts.sitting.issued(step.step).is_some() {
            println!("  step {}: `{}` was signed before", step.step, step.subject_key);
            continue;
        }
        one(planned, session, step, at)?;
        println!("  step {}: `{}` signed", step.step, step.subject_key);
    }
    session.refresh()
}

fn one(planned: &Planned, session: &Session, step: &Step, at: &dyn Steps) -> Result<(), CeremonyError> {
    let missing = || CeremonyError::Order("the log holds no plan".to_owned());
    let plan = session.facts.sitting.plan.as_ref().ok_or_else(missing)?.index;
    let attempts = session
        .facts
        .sitting
        .attempts
        .get(&step.step)
        .map(Vec::as_slice)
        .unwrap_or_default();
    if attempts
        .iter()
        .any(|attempt| matches!(attempt.outcome, None | Some(Outcome::Unknown(_))))
    {
        // The plan's serial may stand in a certificate that nobody has seen, and a plan cannot change after it was signed.
        return Err(CeremonyError::Order(format!(
            "step {}: whether `{}` was signed is not known, because an earlier run was interrupted at that very moment. \
             Nothing of this ceremony was handed over, and what was signed in it stays good: continue it with \
             `stele-ceremony init --continue {}`, a new --dir, and a script of what is still to be signed",
            step.step,
            step.subject_key,
            planned.ceremony.folder.root().display()
        )));
    }
    let client = &session.keeper.client;
    let mut request = Plan::request(planned.digest(), step.step)?;
    request.attempt = u32::try_from(attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
    let previous = match step.purpose {
        Purpose::Crl => None,
        purpose => session.facts.unfulfilled(purpose, &step.subject_key)?,
    };
    let asked = Asked {
        request,
        bundle: Some(planned.bundle.digest()),
        asked: None,
        previous: previous.map(|attempt| attempt.intent.index),
    };
    let signer = session.facts.root_key()?.clone();
    let authorised = Linted::step(step, signer)?.authorise(Evidence::Plan { plan, step: step.step })?;
    let to_be_signed = authorised.record(client, asked, client.payload(&step.tbs.0)?, at)?;
    let verified = to_be_signed.sign(client, SIGNATURE_DEADLINE, at)?;
    let whole = client.payload(verified.whole())?;
    verified.commit(client, whole, at)?;
    Ok(())
}
