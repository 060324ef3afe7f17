//! What joins a later ceremony to those before it and to the signer's log.

use super::{Read, file, name, revocation_name, same, signature_name};
use crate::authority::texts::StopText;
use crate::ceremony::Facts;
use crate::ceremony::script::{ROOT_KEY, RevokeScript};
use crate::ceremony::texts::{revocation_text, signer};
use crate::checkpoint::{Checkpoint, NoteVerifier, open};
use crate::error::Error;
use crate::record::Revocation;
use crate::types::{OperatorName, SignedText, Time};

impl Read<'_> {
    pub(super) fn bundle_recorded(&self) -> Result<(), Error> {
        let missing = || Error::unverified(name::BUNDLE, "the log does not hold it");
        let newest = self.facts.bundles.last().ok_or_else(missing)?;
        let recorded = newest.body.bundle.resolve(&self.facts)?;
        same(name::BUNDLE, file(self.files, name::BUNDLE)?, &recorded)
    }

    pub(super) fn continues(&self) -> Result<(), Error> {
        if let Some(before) = self.facts.request_before() {
            self.request.follows(before)?;
        }
        if let Some(note) = self.request.later.as_ref().and_then(|later| later.ceremony.as_ref()) {
            let known = known_ceremony(note, &self.vkey)?;
            if known.size > self.log.checkpoint().size || self.log.root_at(known.size)? != known.root {
                let why = "the checkpoint of this log that the signer holds does not lie on it";
                return Err(Error::unverified(name::REQUEST, why));
            }
        }
        Ok(())
    }

    pub(super) fn revoked(&self, script: &RevokeScript) -> Result<(), Error> {
        let path = revocation_name(&script.serial);
        let revocation = recorded_revocation(&self.facts, script)
            .ok_or_else(|| Error::unverified(&path, "this ceremony recorded no such revocation"))?;
        let text = revocation.texts.first().map(|t| t.text.as_str()).unwrap_or_default();
        same(&path, file(self.files, &path)?, text.as_bytes())?;
        require_text(&text.parse()?, script, &self.script)?;
        for (operator, signed) in self.revocation_signers(revocation)? {
            let path = signature_name(&path, operator.as_str());
            same(&path, file(self.files, &path)?, signed.signature.as_bytes())?;
        }
        Ok(())
    }

    pub(super) fn revocation_signers(&self, revocation: &Revocation) -> Result<Vec<(OperatorName, SignedText)>, Error> {
        let texts = revocation.texts.iter();
        texts
            .map(|text| Ok((signer::<StopText>(self.bundle.authority(), text)?, text.clone())))
            .collect()
    }
}

/// The ceremony's checkpoint that the signer says it holds, opened with the ceremony's own key.
///
/// # Errors
/// When that key did not sign it.
pub fn known_ceremony(note: &str, vkey: &str) -> Result<Checkpoint, Error> {
    let verifiers = [vkey.parse::<NoteVerifier>()?];
    Ok(open(note, &verifiers)?.0)
}

/// The record of a revocation that the script of the newest ceremony asks for.
#[must_use]
pub fn recorded_revocation<'f>(facts: &'f Facts, script: &RevokeScript) -> Option<&'f Revocation> {
    let here = facts
        .revocations
        .iter()
        .filter(|found| found.index >= facts.sitting.begins);
    let mut same = here.filter(|found| found.body.key.as_str() == ROOT_KEY && found.body.serial == script.serial);
    same.find(|found| found.body.reason == script.reason)
        .map(|found| &found.body)
}

/// Checks that a text revokes what the script says, whenever it was drawn.
///
/// # Errors
/// When it says something else.
pub fn require_text(text: &StopText, revocation: &RevokeScript, script: &crate::ceremony::Script) -> Result<(), Error> {
    let expected = StopText {
        expires: text.expires,
        ..revocation_text(revocation, script, Time::from_secs(0))
    };
    if *text == expected {
        return Ok(());
    }
    Err(Error::unverified(
        revocation_name(&revocation.serial),
        "it is not about the revocation in the script",
    ))
}
