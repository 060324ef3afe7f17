//! Proposals, the operators' decisions on them, and plans: what was agreed to before it was signed.

use std::collections::BTreeMap;

use super::Verifier;
use super::examine::Tbs;
use super::policy::Act;
use super::report::{Finding, Tally};
use super::texts::{Signed, Text};
use crate::ceremony::{self, CeremonyFile, Step};
use crate::error::Error;
use crate::record::{self, Authority, Decision, Intent, ProfileRef, Proposal, Purpose, RequestRef, Withdrawal};
use crate::types::{Digest, KeyName, Serial, SignatureAlgorithm, SignedText, Time};

/// What an approval must say, line by line.
pub(super) struct Terms<'a> {
    pub(super) request: &'a RequestRef,
    pub(super) tbs_sha256: Digest,
    pub(super) profile_sha256: Digest,
    pub(super) approve: bool,
}

impl Terms<'_> {
    pub(super) fn require(&self, text: &Text, origin: &str) -> Result<(), Error> {
        text.require("origin", origin)?;
        text.require("request", self.request.id.as_str())?;
        text.require("attempt", &self.request.attempt.to_string())?;
        text.require("requester", &self.request.caller.to_string())?;
        text.require("tbs-sha256", &self.tbs_sha256.to_string())?;
        text.require("profile-sha256", &self.profile_sha256.to_string())?;
        text.require("decision", if self.approve { "approve" } else { "deny" })
    }
}

/// A proposal that was neither signed nor taken back.
pub(super) struct OpenProposal {
    request: RequestRef,
    profile: ProfileRef,
    purpose: Purpose,
    key: KeyName,
    algorithm: SignatureAlgorithm,
    tbs_sha256: Digest,
    serial: Serial,
    expires: Time,
    /// Digests of the texts that approve it.
    approvals: Vec<Digest>,
}

fn mark(text: &SignedText) -> Digest {
    Digest::of(&[text.text.as_bytes(), text.signature.as_bytes()].concat())
}

/// A plan and which of its steps are used.
pub(super) struct OpenPlan {
    sha256: Digest,
    steps: BTreeMap<u32, (Step, bool)>,
}

impl Verifier {
    pub(super) fn proposal(&mut self, index: u64, p: Proposal, tbs: Option<Result<Tbs, Error>>) {
        if let Some(Some(Tbs::Certificate(view))) = tbs.map(|tbs| self.tally.check(index, "proposal", tbs)) {
            let serial = Serial::from_unsigned(&view.serial);
            if let Some(serial) = self.tally.check(index, "proposal", serial) {
                self.tally.same(index, "serial", &p.serial, &serial);
            }
        }
        self.tally.check(index, "key", self.keys.ca(&p.key));
        let newest = self.bundles.newest.as_ref().map(|b| b.sha256);
        if newest != Some(p.bundle) {
            let expected = format!("{}, the newest", super::policy::show(newest));
            self.tally
                .add(Finding::at(index, "bundle", p.bundle.to_string(), expected));
        }
        let open = OpenProposal {
            request: p.request,
            profile: p.profile,
            purpose: p.purpose,
            key: p.key,
            algorithm: p.algorithm,
            tbs_sha256: p.tbs_sha256,
            serial: p.serial,
            expires: p.expires,
            approvals: Vec::new(),
        };
        self.proposals.insert(index, open);
    }

    pub(super) fn decision(&mut self, at: (u64, Time), decision: &Decision, texts: Vec<Result<Signed, Error>>) {
        let (index, time) = at;
        let mut tally = std::mem::take(&mut self.tally);
        let valid = texts
            .into_iter()
            .filter_map(|t| tally.check(index, "decision", t))
            .next();
        let link = self.link_decision(time, decision, valid.as_ref());
        self.tally = tally;
        self.tally.check(index, "decision", link);
    }

    fn link_decision(&mut self, time: Time, decision: &Decision, signed: Option<&Signed>) -> Result<(), Error> {
        let number = decision.proposal;
        let origin = self.vkey.name().to_owned();
        let proposal = self.proposals.get_mut(&number).ok_or_else(|| not_open(number))?;
        // A text that does not verify is a finding already.
        let Some(signed) = signed else { return Ok(()) };
        let terms = Terms {
            request: &proposal.request,
            tbs_sha256: proposal.tbs_sha256,
            profile_sha256: proposal.profile.sha256,
            approve: decision.approve,
        };
        terms.require(&signed.text, &origin)?;
        if time > proposal.expires {
            let found = format!("at {time}, after the proposal's end");
            return Err(Error::malformed("decision", found, format!("by {}", proposal.expires)));
        }
        if decision.approve {
            proposal.approvals.push(mark(&decision.text));
        }
        let operator = self.bundles.rules().map(|rules| rules.operator(&signed.signer));
        match operator {
            Some(found) if found.as_ref() != Some(&decision.operator) => {
                let found = found.map_or_else(|| "nobody's key".to_owned(), |o| format!("the key of `{o}`"));
                Err(Error::malformed(
                    "operator",
                    found,
                    format!("the key of `{}`", decision.operator),
                ))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn withdrawal(&mut self, index: u64, withdrawal: &Withdrawal) {
        let number = withdrawal.proposal;
        let result = match self.proposals.remove(&number) {
            None => Err(not_open(number)),
            Some(p) if p.request.caller != withdrawal.caller => {
                let found = withdrawal.caller.to_string();
                Err(Error::malformed(
                    "withdrawal",
                    found,
                    format!("by {}, who asked", p.request.caller),
                ))
            }
            Some(_) => Ok(()),
        };
        self.tally.check(index, "withdrawal", result);
    }

    /// Judges the proposal that an intent names, and uses it up.
    pub(super) fn judge_proposal(&mut self, at: (u64, Time), intent: &Intent, signed: &[Signed], faults: &mut Tally) {
        let Some(number) = intent.proposal else { return };
        let (index, time) = at;
        let proposal = self.proposals.remove(&number).ok_or_else(|| not_open(number));
        let Some(p) = faults.check(index, "proposal", proposal) else {
            return;
        };
        let same = p.request == intent.request
            && Some(&p.profile) == intent.profile.as_ref()
            && (p.purpose, &p.key, p.algorithm) == (intent.purpose, &intent.key, intent.algorithm)
            && p.tbs_sha256 == intent.tbs_sha256
            && Some(&p.serial) == intent.serial.as_ref();
        if !same {
            let found = format!("an intent that differs from proposal {number}");
            faults.add(Finding::at(
                index,
                "proposal",
                found,
                "its request, profile, key and exact TBS",
            ));
        }
        if time > p.expires {
            let found = format!("an intent at {time}");
            faults.add(Finding::at(index, "proposal", found, format!("one by {}", p.expires)));
        }
        let Authority::Approvals(texts) = &intent.authority else {
            faults.add(Finding::at(
                index,
                "proposal",
                "another authority",
                "approvals, for what was proposed",
            ));
            return;
        };
        faults.count("recorded decisions");
        if signed.len() != texts.len() || !texts.iter().all(|text| p.approvals.contains(&mark(text))) {
            let found = format!("a text that no decision on proposal {number} records");
            faults.add(Finding::at(index, "approval", found, "texts of recorded decisions"));
        }
    }

    pub(super) fn plan(&mut self, index: u64, body: &record::Plan, texts: Vec<Result<Signed, Error>>) {
        let mut tally = std::mem::take(&mut self.tally);
        let signed: Vec<_> = texts
            .into_iter()
            .filter_map(|t| tally.check(index, "plan text", t))
            .collect();
        let whole = self.chunks.take(index, &body.plan, &mut tally);
        let read = whole.and_then(|bytes| {
            tally.same(index, "plan digest", &Digest::of(&bytes), &body.sha256);
            tally.check(index, "plan", ceremony::Plan::decode(&bytes))
        });
        if let Some(plan) = read {
            tally.check(index, "plan", self.judge_plan(&plan, body.sha256, &signed));
            let steps = plan.steps.into_iter().map(|step| (step.step, (step, false))).collect();
            let sha256 = body.sha256;
            self.plans.insert(index, OpenPlan { sha256, steps });
        }
        self.tally = tally;
    }

    fn judge_plan(&self, plan: &ceremony::Plan, sha256: Digest, signed: &[Signed]) -> Result<(), Error> {
        plan.check()?;
        if plan.origin.as_str() != self.origin() {
            return Err(Error::malformed("plan.origin", plan.origin.to_string(), self.origin()));
        }
        let newest = self.bundles.newest.as_ref().map(|b| b.sha256);
        if newest != Some(plan.bundle_sha256) {
            let permitted = format!("{}, the newest", super::policy::show(newest));
            return Err(Error::malformed(
                "plan.bundle_sha256",
                plan.bundle_sha256.to_string(),
                permitted,
            ));
        }
        if signed.is_empty() {
            return Err(Error::unverified("plan", "no operator's text over it is valid"));
        }
        for text in signed.iter().map(|s| &s.text) {
            text.require("origin", self.origin())?;
            // The digest of the plan covers its steps; a text may name them one by one instead.
            if text.require_word(&sha256.to_string()).is_err() {
                plan.steps
                    .iter()
                    .try_for_each(|s| text.require_word(&s.tbs_sha256.to_string()))?;
            }
        }
        self.bundles.approve(&Act::Plan, signed)
    }

    /// Judges an intent against the step of the plan that it names, and uses the step up.
    pub(super) fn planned(&mut self, plan: u64, step: u32, intent: &Intent) -> Result<(), Error> {
        let permitted = "a step of a plan that the log recorded before";
        let none = || Error::malformed("plan", format!("step {step} of the plan at {plan}"), permitted);
        let open = self.plans.get_mut(&plan).ok_or_else(none)?;
        let (planned, used) = open.steps.get_mut(&step).ok_or_else(none)?;
        if std::mem::replace(used, true) {
            return Err(Error::malformed(
                "plan",
                format!("step {step} a second time"),
                "each step once",
            ));
        }
        let request = ceremony::Plan::request(open.sha256, step)?;
        let same = (&planned.key, planned.spki_sha256) == (&intent.key, intent.spki_sha256)
            && (planned.purpose, planned.algorithm) == (intent.purpose, intent.algorithm)
            && (&planned.serial, planned.not_after) == (&intent.serial, intent.not_after)
            && planned.tbs_sha256 == intent.tbs_sha256
            && (&request.caller, &request.id) == (&intent.request.caller, &intent.request.id)
            && request.digest == intent.request.digest;
        if same {
            return Ok(());
        }
        let found = format!("an intent that differs from step {step}");
        Err(Error::malformed(
            "plan",
            found,
            "the step's key, purpose, algorithm, serial, TBS and request",
        ))
    }
}

fn not_open(number: u64) -> Error {
    let permitted = "an earlier proposal that was neither signed nor withdrawn";
    Error::malformed("proposal", format!("index {number}"), permitted)
}
