//! Proposals, the operators' decisions on them, and plans: what was agreed to before it was signed.

use std::collections::BTreeMap;

use super::Verifier;
use super::examine::Tbs;
use super::policy::show;
use super::report::{Finding, Tally};
use super::texts::{Signed, line};
use crate::authority::Action;
use crate::authority::texts::{self, ApprovalText, OperatorText as _, PlanText};
use crate::ceremony::{self, CeremonyFile, Step};
use crate::error::Error;
use crate::record::{self, Authority, Decision, Intent, ProfileRef, Proposal, Purpose, RequestRef, Withdrawal};
use crate::sshsig::SshPublicKey;
use crate::types::{Digest, KeyName, Serial, SignatureAlgorithm, Time};

/// What an operator's text on a proposal must say.
pub(super) struct Terms<'a> {
    pub(super) request: &'a RequestRef,
    pub(super) tbs_sha256: Digest,
    pub(super) profile_sha256: Option<Digest>,
    pub(super) decision: texts::Decision,
}

impl Terms<'_> {
    /// Checks each line of the text, and that it still counted at `time`.
    pub(super) fn require(&self, signed: &Signed, origin: &str, time: Time) -> Result<(), Error> {
        let text: ApprovalText = signed.read()?;
        text.check(&origin.parse()?, time)?;
        line("request", &text.request, &self.request.id)?;
        line("attempt", &text.attempt, &self.request.attempt)?;
        line("requester", &text.requester, &self.request.caller)?;
        line("tbs-sha256", &text.tbs_sha256, &self.tbs_sha256)?;
        line(
            "profile-sha256",
            &show(Some(text.profile_sha256)),
            &show(self.profile_sha256),
        )?;
        line("decision", &text.decision, &self.decision)
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
    /// The marks of the texts that approve it.
    approvals: Vec<Digest>,
}

/// A plan and which of its steps are used.
pub(super) struct OpenPlan {
    sha256: Digest,
    pub(super) steps: BTreeMap<u32, (Step, bool)>,
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
        let newest = show(self.bundles.newest());
        self.tally
            .same(index, "bundle in force", &p.bundle.to_string(), &newest);
        self.tally
            .check(index, "profile", self.bundles.profile(&p.profile).map(|_| ()));
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
            profile_sha256: Some(proposal.profile.sha256),
            decision: if decision.approve {
                texts::Decision::Approve
            } else {
                texts::Decision::Deny
            },
        };
        terms.require(signed, &origin, time)?;
        if time > proposal.expires {
            let found = format!("at {time}, after the proposal's end");
            return Err(Error::malformed("decision", found, format!("by {}", proposal.expires)));
        }
        if decision.approve {
            proposal.approvals.push(signed.mark);
        }
        let Some(authority) = self.bundles.authority() else {
            return Ok(());
        };
        let keys = authority
            .operator(&decision.operator)
            .map(|o| o.keys.as_slice())
            .unwrap_or_default();
        let own = keys.iter().filter_map(|k| k.parse::<SshPublicKey>().ok());
        if own.map(|k| k.to_string()).any(|k| k == signed.verified.key) {
            return Ok(());
        }
        let permitted = format!("a key of operator `{}`", decision.operator);
        Err(Error::malformed(
            "operator",
            format!("key {}", signed.verified.key),
            permitted,
        ))
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
        if signed.len() != texts.len() || !signed.iter().all(|one| p.approvals.contains(&one.mark)) {
            let found = format!("a text that no decision on proposal {number} records");
            faults.add(Finding::at(index, "approval", found, "texts of recorded decisions"));
        }
    }

    pub(super) fn plan(&mut self, at: (u64, Time), body: &record::Plan, texts: Vec<Result<Signed, Error>>) {
        let (index, time) = at;
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
            tally.check(index, "plan", self.judge_plan(time, &plan, body.sha256, &signed));
            let steps = plan.steps.into_iter().map(|step| (step.step, (step, false))).collect();
            let sha256 = body.sha256;
            self.plans.insert(index, OpenPlan { sha256, steps });
        }
        self.tally = tally;
    }

    fn judge_plan(
        &mut self,
        time: Time,
        plan: &ceremony::Plan,
        sha256: Digest,
        signed: &[Signed],
    ) -> Result<(), Error> {
        plan.check()?;
        line("origin of the plan", &plan.origin.as_str(), &self.origin())?;
        line(
            "bundle of the plan",
            &show(Some(plan.bundle_sha256)),
            &show(self.bundles.newest()),
        )?;
        for one in signed {
            let text: PlanText = one.read()?;
            text.check(&plan.origin, time)?;
            line("plan-sha256", &text.plan_sha256, &sha256)?;
            line("bundle-sha256", &text.bundle_sha256, &plan.bundle_sha256)?;
            let steps = plan.steps.iter().map(|s| (&s.key, s.tbs_sha256));
            if !steps.eq(text.steps.iter().map(|s| (&s.key, s.tbs_sha256))) {
                let permitted = "key and TBS digest of each step, in order";
                return Err(Error::malformed(
                    "signed text, step",
                    "other steps than the plan's",
                    permitted,
                ));
            }
        }
        self.bundles.use_up(signed)?;
        self.bundles.agreed(Action::Plan, signed)
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
