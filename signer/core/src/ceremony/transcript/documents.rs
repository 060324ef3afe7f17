//! Manifest, script, request, plan, papers: whether each is what the log and the others make it.

use super::{Read, file, manifest, name, output_name, same, signature_name, text};
use crate::audit::{Options, Verifier};
use crate::ceremony::{CeremonyFile, Drawing, Manifest, Minutes, draw, minutes, readable_plan};
use crate::error::Error;
use crate::types::Digest;

/// So many of the auditor's findings are shown; one is enough to refuse.
const SHOWN: usize = 10;

/// The subject of the note that holds the script's digest.
const SCRIPT_NOTE: &str = "script";

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
            name::BUNDLE_TEXT,
            name::PLAN,
            name::PLAN_TEXT,
            name::READABLE,
            name::MINUTES,
            name::VKEY,
        ];
        let outputs = self
            .plan
            .steps
            .iter()
            .map(|step| output_name(step.purpose, &step.subject_key));
        let mut expected: Vec<String> = fixed.into_iter().map(str::to_owned).chain(outputs).collect();
        for (text, signers) in [
            (name::BUNDLE_TEXT, self.bundle_signers()?),
            (name::PLAN_TEXT, self.plan_signers()?),
        ] {
            expected.extend(
                signers
                    .iter()
                    .map(|(operator, _)| signature_name(text, operator.as_str())),
            );
        }
        Ok(expected)
    }

    pub(super) fn closed(&self) -> Result<(), Error> {
        let digest = Digest::of(file(self.files, name::MANIFEST)?);
        if self.facts.closed != Some(digest) {
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

    /// The auditor's verifier shares no code with the checks below, nor with whoever wrote the log.
    pub(super) fn audited(&self) -> Result<(), Error> {
        let options = Options {
            bundle_digest: Some(self.bundle.digest()),
            anchors: vec![self.log.checkpoint().clone()],
            verified: 0,
        };
        let mut verifier = Verifier::new(self.vkey.parse()?, options);
        for entry in self.log.entries() {
            verifier.entry(entry, None);
        }
        let report = verifier.finish(self.log.note());
        if report.is_clean() {
            return Ok(());
        }
        let findings = report.findings.iter().take(SHOWN).map(ToString::to_string);
        Err(Error::unverified("log", findings.collect::<Vec<_>>().join("; ")))
    }

    pub(super) fn script_bound(&self) -> Result<(), Error> {
        let digest = Digest::of(file(self.files, name::SCRIPT)?);
        if self.plan.script_sha256 != digest || !self.facts.noted(SCRIPT_NOTE, &digest.to_string()) {
            return Err(Error::unverified(
                name::SCRIPT,
                "plan and log do not both hold its digest",
            ));
        }
        Ok(())
    }

    pub(super) fn request(&self) -> Result<(), Error> {
        let recorded = self
            .facts
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
            vkey: &self.vkey,
            root_sha256: Digest::of(&self.root()?),
        });
        same(
            name::MINUTES,
            text(self.files, name::MINUTES)?.as_bytes(),
            written.as_bytes(),
        )
    }
}
