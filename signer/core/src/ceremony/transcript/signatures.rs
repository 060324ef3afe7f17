//! Who agreed, and what the root key made of it.

use super::{Read, file, name, output_name, pem_label, same, signature_name};
use crate::authority::Action;
use crate::authority::texts::{BundleText, OperatorText, PlanText};
use crate::ceremony::texts::{agreed, bundle_text, plan_text, signer};
use crate::ceremony::{Attempt, Outcome, Plan, Step, from_pem};
use crate::crl::parse_crl;
use crate::error::Error;
use crate::lint;
use crate::record::{Authority, Purpose};
use crate::tbs::parse_certificate;
use crate::types::{Digest, OperatorName, SignedText, Time};

impl Read<'_> {
    pub(super) fn bundle_signers(&self) -> Result<Vec<(OperatorName, SignedText)>, Error> {
        let texts = self
            .facts
            .bundles
            .first()
            .into_iter()
            .flat_map(|found| &found.body.texts);
        texts
            .map(|text| Ok((signer::<BundleText>(self.bundle.authority(), text)?, text.clone())))
            .collect()
    }

    pub(super) fn plan_signers(&self) -> Result<Vec<(OperatorName, SignedText)>, Error> {
        let texts = self.facts.sitting.plan.iter().flat_map(|found| &found.body.texts);
        texts
            .map(|text| Ok((signer::<PlanText>(self.bundle.authority(), text)?, text.clone())))
            .collect()
    }

    pub(super) fn bundle_signed(&self) -> Result<(), Error> {
        let missing = || Error::unverified(name::BUNDLE, "the log does not hold it");
        let found = self.facts.bundles.last().ok_or_else(missing)?;
        let recorded = found.body.bundle.resolve(&self.facts)?;
        same(name::BUNDLE, file(self.files, name::BUNDLE)?, &recorded)?;
        if found.body.sha256 != self.bundle.digest() || found.body.number != self.bundle.number() {
            return Err(Error::unverified(
                name::BUNDLE,
                "the log holds another digest or number",
            ));
        }
        let text = bundle_text(&self.bundle, &self.script, self.plan.drawn_at);
        self.agreement(
            name::BUNDLE_TEXT,
            Action::Bundle,
            &text,
            &self.bundle_signers()?,
            found.time,
        )
    }

    pub(super) fn plan_signed(&self) -> Result<(), Error> {
        let missing = || Error::unverified(name::PLAN, "the log does not hold it");
        let found = self.facts.sitting.plan.as_ref().ok_or_else(missing)?;
        same(
            name::PLAN,
            file(self.files, name::PLAN)?,
            &found.body.plan.resolve(&self.facts)?,
        )?;
        if found.body.sha256 != self.plan_sha256 {
            return Err(Error::unverified(name::PLAN, "the log holds another digest"));
        }
        let text = plan_text(&self.plan, self.plan_sha256, &self.script);
        self.agreement(name::PLAN_TEXT, Action::Plan, &text, &self.plan_signers()?, found.time)
    }

    fn agreement<T: OperatorText>(
        &self,
        path: &str,
        action: Action,
        text: &T,
        signers: &[(OperatorName, SignedText)],
        at: Time,
    ) -> Result<(), Error> {
        same(path, file(self.files, path)?, text.to_string().as_bytes())?;
        for (operator, signed) in signers {
            let path = signature_name(path, operator.as_str());
            same(&path, file(self.files, &path)?, signed.signature.as_bytes())?;
        }
        let texts: Vec<_> = signers.iter().map(|(_, signed)| signed.clone()).collect();
        agreed(self.bundle.authority(), action, text, &texts, at).map(drop)
    }

    /// A step was carried out once, under the recorded plan, over the planned bytes; and its file holds the outcome.
    pub(super) fn step(&self, step: &Step) -> Result<(), Error> {
        let what = format!("step {}", step.step);
        let bad = |why: &str| Error::unverified(&what, why);
        let attempts = self
            .facts
            .sitting
            .attempts
            .get(&step.step)
            .map(Vec::as_slice)
            .unwrap_or_default();
        if attempts
            .iter()
            .any(|a| matches!(a.outcome, None | Some(Outcome::Unknown(_))))
        {
            return Err(bad("the fate of an attempt at it is not known"));
        }
        let done: Vec<_> = attempts
            .iter()
            .filter(|a| matches!(a.outcome, Some(Outcome::Issued(_))))
            .collect();
        let [attempt] = done.as_slice() else {
            return Err(bad("it was not carried out exactly once"));
        };
        self.intended(step, attempt)?;
        let Some(Outcome::Issued(issued)) = &attempt.outcome else {
            return Err(bad("it was not carried out"));
        };
        let whole = issued.body.signed.resolve(&self.facts)?;
        let path = output_name(step.purpose, &step.subject_key);
        let in_file = from_pem(pem_label(step.purpose), file(self.files, &path)?)?;
        same(&path, &in_file, &whole)?;
        if issued.body.sha256 != Digest::of(&whole) || issued.body.serial != step.serial || issued.body.key != step.key
        {
            return Err(bad("the outcome's record does not fit it"));
        }
        self.signed(step, &whole)
    }

    fn intended(&self, step: &Step, attempt: &Attempt) -> Result<(), Error> {
        let what = format!("step {}, intent {}", step.step, attempt.intent.index);
        let intent = &attempt.intent.body;
        same(&what, &intent.tbs.resolve(&self.facts)?, &step.tbs.0)?;
        let plan = self.facts.sitting.plan.as_ref().map(|found| found.index);
        let request = Plan::request(self.plan_sha256, step.step)?;
        let fits = matches!(intent.authority, Authority::Plan { plan: at, step: number } if Some(at) == plan && number == step.step)
            && (&intent.request.id, &intent.request.caller, intent.request.digest)
                == (&request.id, &request.caller, request.digest)
            && (intent.purpose, &intent.key, intent.algorithm) == (step.purpose, &step.key, step.algorithm)
            && (&intent.serial, intent.not_after) == (&step.serial, step.not_after)
            && (intent.spki_sha256, intent.tbs_sha256) == (step.spki_sha256, step.tbs_sha256)
            && intent.bundle == Some(self.bundle.digest());
        if fits {
            Ok(())
        } else {
            Err(Error::unverified(what, "it is not what the plan says"))
        }
    }

    fn signed(&self, step: &Step, whole: &[u8]) -> Result<(), Error> {
        let (tbs, algorithm, signature) = if step.purpose == Purpose::Crl {
            let (view, tbs, signature) = parse_crl(whole)?;
            (tbs, view.signature, signature)
        } else {
            let (_, tbs, algorithm, signature) = parse_certificate(whole)?;
            lint::lint(&tbs, &[])
                .map_err(|refusal| Error::unverified(format!("step {}", step.step), refusal.to_string()))?;
            (tbs, algorithm, signature)
        };
        same(&format!("step {}, signed bytes", step.step), &tbs, &step.tbs.0)?;
        self.facts.root_key()?.verify(algorithm, &tbs, &signature)
    }
}
