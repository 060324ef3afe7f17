//! Manifest, script, request, plan, papers: whether each is what the log and the others make it.

use super::{
    Read, file, manifest, name, output_name, recorded_revocation, revocation_name, same, signature_name, text,
};
use crate::audit::{Options, Verifier};
use crate::ceremony::{CeremonyFile, Drawing, Facts, Manifest, Minutes, WholeLog, draw, minutes, readable_plan};
use crate::error::Error;
use crate::types::{Digest, OperatorName, SignedText};

/// So many of the auditor's findings are shown; one is enough to refuse.
const SHOWN: usize = 10;

/// The subject of the note that holds the script's digest.
const SCRIPT_NOTE: &str = "script";

/// Checks every promise of a ceremony's log. The auditor's verifier shares no code with whoever wrote it.
///
/// # Errors
/// With the first findings.
pub fn audited(log: &WholeLog, facts: &Facts) -> Result<(), Error> {
    let options = Options {
        bundle_digest: facts.bundles.first().map(|found| found.body.sha256),
        anchors: vec![log.checkpoint().clone()],
        verified: 0,
    };
    let mut verifier = Verifier::new(facts.genesis.vkey.parse()?, options);
    for entry in log.entries() {
        verifier.entry(entry, None);
    }
    let report = verifier.finish(log.note());
    if report.is_clean() {
        return Ok(());
    }
    let findings = report.findings.iter().take(SHOWN).map(ToString::to_string);
    Err(Error::unverified("log", findings.collect::<Vec<_>>().join("; ")))
}

impl Read<'_> {
    /// Every file is listed and of a known name; whatever is not verified below has no place in a transcript.
    pub(super) fn manifest(&self) -> Result<(), Error> {
        let listed = Manifest::decode(file(self.files, name::MANIFEST)?)?;
        let found = manifest(self.files);
        let differs = |file: &&crate::ceremony::ManifestEntry| !listed.files.contains(file);
        if let Some(file) = found.files.iter().find(differs) {
            return Err(Error::unverified(
                format!("file `{}`", file.path),
                "the manifest does not list it, or lists other bytes",
            ));
        }
        if let Some(file) = listed.files.iter().find(|file| !found.files.contains(file)) {
            return Err(Error::unverified(
                format!("file `{}`", file.path),
                "the manifest lists it, and it is not there",
            ));
        }
        let expected = self.expected()?;
        match found.files.iter().find(|file| !expected.contains(&file.path)) {
            None => Ok(()),
            Some(file) => Err(Error::malformed(
                "transcript",
                format!("`{}`", file.path),
                "files that verification looks at",
            )),
        }
    }

    fn expected(&self) -> Result<Vec<String>, Error> {
        let fixed = [
            name::SCRIPT,
            name::REQUEST,
            name::BUNDLE,
            name::PLAN,
            name::PLAN_TEXT,
            name::READABLE,
            name::MINUTES,
            name::VKEY,
            name::ROOT,
        ];
        let outputs = self
            .plan
            .steps
            .iter()
            .map(|step| output_name(step.purpose, &step.subject_key));
        let mut expected: Vec<String> = fixed.into_iter().map(str::to_owned).chain(outputs).collect();
        let mut signed = vec![(name::PLAN_TEXT.to_owned(), self.plan_signers()?)];
        if self.facts.first_bundle_is_new() {
            expected.push(name::BUNDLE_TEXT.to_owned());
            signed.push((name::BUNDLE_TEXT.to_owned(), self.bundle_signers()?));
        }
        for revocation in &self.script.revocations {
            let text = revocation_name(&revocation.serial);
            expected.push(text.clone());
            if let Some(recorded) = recorded_revocation(&self.facts, revocation) {
                signed.push((text, self.revocation_signers(recorded)?));
            }
        }
        for (text, signers) in signed {
            let file = |(operator, _): &(OperatorName, SignedText)| signature_name(&text, operator.as_str());
            expected.extend(signers.iter().map(file));
        }
        Ok(expected)
    }

    pub(super) fn closed(&self) -> Result<(), Error> {
        let digest = Digest::of(file(self.files, name::MANIFEST)?);
        if self.facts.sitting.closed != Some(digest) {
            return Err(Error::unverified(
                name::MANIFEST,
                "the log does not close over its digest",
            ));
        }
        if self.facts.genesis.vkey != self.vkey || self.facts.genesis.origin != self.script.origin {
            return Err(Error::unverified(
                "record 0",
                "its key or origin is not that of this ceremony",
            ));
        }
        Ok(())
    }

    pub(super) fn audited(&self) -> Result<(), Error> {
        audited(&self.log, &self.facts)
    }

    pub(super) fn script_bound(&self) -> Result<(), Error> {
        let digest = Digest::of(file(self.files, name::SCRIPT)?);
        if self.plan.script_sha256 != digest || !self.facts.sitting.noted(SCRIPT_NOTE, &digest.to_string()) {
            return Err(Error::unverified(
                name::SCRIPT,
                "plan and log do not both hold its digest",
            ));
        }
        let later = self.facts.number() > 1;
        if self.script.continues != later {
            let found = format!("continues = {}", self.script.continues);
            return Err(Error::malformed(name::SCRIPT, found, later.to_string()));
        }
        Ok(())
    }

    pub(super) fn request(&self) -> Result<(), Error> {
        let recorded = self
            .facts
            .sitting
            .request
            .as_ref()
            .ok_or_else(|| Error::unverified(name::REQUEST, "the log does not hold it"))?;
        same(
            name::REQUEST,
            file(self.files, name::REQUEST)?,
            &recorded.body.request.resolve(&self.facts)?,
        )?;
        if recorded.body.origin != self.request.origin
            || recorded.body.vkey != self.request.vkey
            || recorded.body.checkpoint != self.request.checkpoint
            || self.request.origin != self.script.signer_origin
        {
            return Err(Error::unverified(
                name::REQUEST,
                "its origin, key or checkpoint is not the recorded one",
            ));
        }
        self.request.check().map(drop)
    }

    /// The plan is drawn again, with the serials that it has.
    pub(super) fn plan(&self) -> Result<(), Error> {
        self.plan.check()?;
        let drawing = Drawing {
            script: &self.script,
            script_sha256: Digest::of(file(self.files, name::SCRIPT)?),
            bundle_sha256: self.bundle.digest(),
            root: self.facts.root_key()?,
            request: &self.request.check()?,
            standing: &self.facts.standing(self.plan.drawn_at)?,
            now: self.plan.drawn_at,
        };
        let serials = self.plan.steps.iter().filter_map(|step| step.serial.as_ref());
        let entropy = serials
            .map(|serial| serial.as_bytes().try_into())
            .collect::<Result<Vec<[u8; 20]>, _>>()
            .map_err(|_| Error::malformed(name::PLAN, "a short serial", "serials of 20 octets"))?;
        if draw(&drawing, &entropy)? != self.plan {
            return Err(Error::unverified(name::PLAN, "script and keys make another plan"));
        }
        Ok(())
    }

    pub(super) fn papers(&self) -> Result<(), Error> {
        let readable = readable_plan(&self.plan, self.plan_sha256)?;
        same(
            name::READABLE,
            text(self.files, name::READABLE)?.as_bytes(),
            readable.as_bytes(),
        )?;
        let written = minutes(&Minutes {
            script: &self.script,
            plan: &self.plan,
            plan_sha256: self.plan_sha256,
            facts: &self.facts,
            root_sha256: Digest::of(&self.root()?),
        })?;
        same(
            name::MINUTES,
            text(self.files, name::MINUTES)?.as_bytes(),
            written.as_bytes(),
        )
    }
}
