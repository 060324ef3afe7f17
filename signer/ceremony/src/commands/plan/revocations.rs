//! Revocations of certificates that the root signed: each takes a text of its own, signed by the quorum before the plan
//! is drawn, because the CRL in the plan says when.

use std::path::PathBuf;

use stele_core::authority::texts::{OperatorText as _, StopText};
use stele_core::authority::{Action, Bundle};
use stele_core::ceremony::script::{ROOT_KEY, RevokeScript};
use stele_core::ceremony::transcript::{recorded_revocation, require_text, revocation_name, signature_name};
use stele_core::ceremony::{Facts, Script, texts};
use stele_core::crl;
use stele_core::record::{Body, Revocation};
use stele_core::types::{CallerSan, Serial, SignedText, Time};

use super::now;
use crate::error::CeremonyError;
use crate::folder::read_text;
use crate::session::{Ceremony, Session};

/// What the CRL of a dry run lists: nothing is recorded, so the true time is not known yet.
pub(super) fn as_if(script: &Script, facts: &Facts, now: Time) -> Vec<(Serial, crl::Revocation)> {
    let open = script
        .revocations
        .iter()
        .filter(|r| recorded_revocation(facts, r).is_none());
    let entry = |r: &RevokeScript| {
        let revocation = crl::Revocation {
            date: now,
            reason: r.reason,
        };
        (r.serial.clone(), revocation)
    };
    open.map(entry).collect()
}

/// Records every revocation of the script whose text the quorum signed.
///
/// # Errors
/// When signatures are missing: then the texts to sign were written.
pub(super) fn record(ceremony: &Ceremony, session: &mut Session, paths: &[PathBuf]) -> Result<(), CeremonyError> {
    let signatures = paths
        .iter()
        .map(|path| read_text(path))
        .collect::<Result<Vec<_>, _>>()?;
    let mut waiting = Vec::new();
    for revocation in &ceremony.script.revocations {
        if recorded_revocation(&session.facts, revocation).is_none()
            && !one(ceremony, session, revocation, &signatures)?
        {
            waiting.push(ceremony.folder.to_sign(&revocation_name(&revocation.serial)));
        }
        keep(ceremony, session, revocation)?;
    }
    if waiting.is_empty() {
        return Ok(());
    }
    let namespace = StopText::NAMESPACE;
    let commands = waiting
        .iter()
        .map(|path| format!("\n  ssh-keygen -Y sign -n {namespace} -f KEY {}", path.display()));
    Err(CeremonyError::Order(format!(
        "the plan is not drawn yet: the quorum signs the revocations first:{}\nThen repeat with --revoke-sig FILE for each signature",
        commands.collect::<String>()
    )))
}

/// Whether one revocation could be recorded.
fn one(
    ceremony: &Ceremony,
    session: &mut Session,
    revocation: &RevokeScript,
    signatures: &[String],
) -> Result<bool, CeremonyError> {
    let not_after = not_after(&session.facts, &revocation.serial)?;
    let text = text(ceremony, revocation)?;
    let signed = |signature: &String| SignedText {
        text: text.to_string(),
        signature: signature.clone(),
    };
    let newest = session.facts.bundles.last();
    let missing = || CeremonyError::Order("the log holds no authority bundle, so nobody can revoke".to_owned());
    let bundle = newest.ok_or_else(missing)?.body.bundle.resolve(&session.facts)?;
    let bundle = Bundle::parse(&bundle)?;
    // A signature is over one of the texts; which one, verification tells.
    let mut over: Vec<SignedText> = signatures.iter().map(signed).collect();
    over.retain(|signed| texts::signer::<StopText>(bundle.authority(), signed).is_ok());
    if over.is_empty() {
        return Ok(false);
    }
    texts::agreed(bundle.authority(), Action::CaRevocation, &text, &over, now())?;
    session.append(&Body::Revocation(Revocation {
        key: ROOT_KEY.parse()?,
        serial: revocation.serial.clone(),
        not_after,
        reason: revocation.reason,
        by: CallerSan::Unix("ceremony".to_owned()),
        texts: over,
        comment: Some(revocation.because.clone()),
    }))?;
    session.refresh()?;
    println!("  {} is revoked", revocation.serial);
    Ok(true)
}

/// The text as it was drawn before, or a new one.
fn text(ceremony: &Ceremony, revocation: &RevokeScript) -> Result<StopText, CeremonyError> {
    let path = ceremony.folder.to_sign(&revocation_name(&revocation.serial));
    if !path.exists() {
        let text = texts::revocation_text(revocation, &ceremony.script, now());
        ceremony.folder.write(&path, text.to_string().as_bytes())?;
        return Ok(text);
    }
    let text: StopText = read_text(&path)?.parse()?;
    require_text(&text, revocation, &ceremony.script)?;
    if text.expires <= now() {
        let why = format!("expired at {}; move it away, and a new one is drawn", text.expires);
        return Err(CeremonyError::Order(format!("{}: {why}", path.display())));
    }
    Ok(text)
}

/// The transcript keeps text and signatures as the log holds them.
fn keep(ceremony: &Ceremony, session: &Session, script: &RevokeScript) -> Result<(), CeremonyError> {
    let Some(recorded) = recorded_revocation(&session.facts, script) else {
        return Ok(());
    };
    let newest = session
        .facts
        .bundles
        .last()
        .map(|found| found.body.bundle.resolve(&session.facts));
    let Some(bundle) = newest.transpose()? else {
        return Ok(());
    };
    let (folder, bundle) = (&ceremony.folder, Bundle::parse(&bundle)?);
    let path = revocation_name(&script.serial);
    for signed in &recorded.texts {
        folder.write(&folder.transcript(&path), signed.text.as_bytes())?;
        let operator = texts::signer::<StopText>(bundle.authority(), signed)?;
        let signature = folder.transcript(&signature_name(&path, operator.as_str()));
        folder.write(&signature, signed.signature.as_bytes())?;
    }
    Ok(())
}

/// The end of the certificate with this serial.
fn not_after(facts: &Facts, serial: &Serial) -> Result<Time, CeremonyError> {
    facts.not_after(serial).ok_or_else(|| {
        let permitted = "the serial of a certificate that the root key signed";
        stele_core::Error::malformed("script, revoke", serial.to_string(), permitted).into()
    })
}
