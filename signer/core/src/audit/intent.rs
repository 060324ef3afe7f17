//! Intents: what is about to be signed, judged by all that the log said before.
//!
//! A keeper records whatever intent it is given and judges before it signs. So a bad intent whose outcome is `failed`
//! breaks no promise: its faults are held until the outcome is known, and are then notes or errors.

use super::Verifier;
use super::examine::{Tbs, read_intent};
use super::keys::CaIdentity;
use super::policy::show;
use super::proposal::Terms;
use super::report::{Finding, Tally};
use super::texts::Signed;
use crate::authority::texts::Decision;
use crate::error::Error;
use crate::record::{Authority, FreezeTarget, Intent, Purpose, RequestRef};
use crate::types::{Digest, KeyName, Serial, SignatureAlgorithm, Time};

/// An intent without outcome: what its outcome must agree with.
pub(super) struct OpenIntent {
    pub(super) purpose: Purpose,
    pub(super) request: RequestRef,
    pub(super) key: KeyName,
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) tbs_sha256: Digest,
    pub(super) serial: Option<Serial>,
    pub(super) not_after: Option<Time>,
    pub(super) crl_number: Option<u64>,
    /// For a CA certificate: the key that it certifies, and what it says.
    pub(super) certifies: Option<(Digest, CaIdentity)>,
    /// Whether the serial was new; of two intents with the same the first owns it.
    pub(super) owns_serial: bool,
    /// The step of a plan that it carries out: plan and number.
    pub(super) step: Option<(u64, u32)>,
    /// What is wrong with it, unless no signature is made.
    pub(super) faults: Vec<Finding>,
}

const fn is_certificate(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::Leaf | Purpose::Intermediate | Purpose::Root)
}

impl Verifier {
    pub(super) fn intent(
        &mut self,
        at: (u64, Time),
        intent: Intent,
        tbs: Option<Result<Tbs, Error>>,
        texts: Vec<Result<Signed, Error>>,
    ) {
        let (index, _) = at;
        let mut faults = Tally::default();
        let tbs = tbs.or_else(|| {
            let whole = self.chunks.take(index, &intent.tbs, &mut faults)?;
            Some(read_intent(&intent, &whole))
        });
        let tbs = tbs.and_then(|tbs| faults.check(index, "TBS", tbs));
        let signed: Vec<_> = texts
            .into_iter()
            .filter_map(|t| faults.check(index, "approval", t))
            .collect();
        self.judge_key(index, &intent, &mut faults);
        self.judge_bundle(index, &intent, &mut faults);
        self.judge_authority(at, &intent, &signed, &mut faults);
        self.judge_proposal(at, &intent, &signed, &mut faults);
        self.judge_freeze(index, &intent, &mut faults);
        if let Some(finding) = self.watch_intent(index, &intent) {
            faults.add(finding);
        }
        self.judge_request(index, &intent, &mut faults);
        let owns_serial = self.judge_serial(index, &intent, &mut faults);
        match &tbs {
            Some(Tbs::Certificate(view)) => self.judge_certificate(index, &intent, view, &mut faults),
            Some(Tbs::Crl(view)) => self.judge_crl(at, &intent, view, &mut faults),
            Some(Tbs::Csr(spki)) => faults.same(index, "CSR key", &Digest::of(spki), &intent.spki_sha256),
            None => {}
        }
        let open = OpenIntent {
            purpose: intent.purpose,
            key: intent.key,
            algorithm: intent.algorithm,
            tbs_sha256: intent.tbs_sha256,
            serial: intent.serial,
            not_after: intent.not_after,
            request: intent.request,
            crl_number: match &tbs {
                Some(Tbs::Crl(view)) => Some(view.number),
                _ => None,
            },
            certifies: match &tbs {
                Some(Tbs::Certificate(view)) => CaIdentity::of(view).map(|ca| (Digest::of(&view.spki_der), ca)),
                _ => None,
            },
            owns_serial,
            step: match intent.authority {
                Authority::Plan { plan, step } => Some((plan, step)),
                _ => None,
            },
            faults: self.tally.take_counts(faults),
        };
        self.open.insert(index, open);
    }

    fn judge_key(&self, index: u64, intent: &Intent, faults: &mut Tally) {
        let Some(key) = faults.check(index, "key", self.keys.ca(&intent.key)) else {
            return;
        };
        faults.same(index, "spki_sha256", &intent.spki_sha256, &key.spki_sha256);
        if let Some(public) = key.public.as_ref().filter(|p| !intent.algorithm.fits(p.algorithm())) {
            let found = format!("{:?} by a key of kind {}", intent.algorithm, public.algorithm());
            faults.add(Finding::at(
                index,
                "algorithm",
                found,
                "an algorithm of this kind of key",
            ));
        }
    }

    fn judge_bundle(&self, index: u64, intent: &Intent, faults: &mut Tally) {
        faults.same(
            index,
            "bundle in force",
            &show(intent.bundle),
            &show(self.bundles.newest()),
        );
        faults.check(
            index,
            "key in the bundle",
            self.bundles.names(&intent.key, intent.spki_sha256),
        );
    }

    fn judge_authority(&mut self, at: (u64, Time), intent: &Intent, signed: &[Signed], faults: &mut Tally) {
        let (index, time) = at;
        let result = match &intent.authority {
            Authority::Bootstrap => self.bootstrap(intent),
            Authority::Policy => self.automatic(intent),
            Authority::Approvals(_) => self.approved(time, intent, signed),
            Authority::Plan { plan, step } => self.planned(*plan, *step, intent),
            Authority::Succession => Err(Error::malformed(
                "authority",
                "succession",
                "bootstrap, policy, approvals or a plan; succession is for the checkpoint key of a log that continues another",
            )),
        };
        faults.check(index, "authority", result);
    }

    fn bootstrap(&self, intent: &Intent) -> Result<(), Error> {
        if intent.purpose == Purpose::Csr && self.bundles.newest().is_none() {
            return Ok(());
        }
        let permitted = "bootstrap for CSRs before the first bundle only";
        Err(Error::malformed(
            "authority",
            format!("bootstrap for {:?}", intent.purpose),
            permitted,
        ))
    }

    fn automatic(&self, intent: &Intent) -> Result<(), Error> {
        if self.bundles.newest().is_none() {
            return Err(Error::malformed(
                "authority",
                "policy before the first bundle",
                "bootstrap",
            ));
        }
        match intent.purpose {
            Purpose::Crl | Purpose::Csr => Ok(()),
            Purpose::Leaf => self.judge_profile(intent, &[]),
            // P9: a CA certificate needs the quorum's signatures at the key itself.
            Purpose::Intermediate | Purpose::Root => Err(Error::malformed(
                "authority",
                format!("policy for {:?}", intent.purpose),
                "operators' approvals or a plan, for a CA certificate",
            )),
        }
    }

    fn approved(&mut self, time: Time, intent: &Intent, signed: &[Signed]) -> Result<(), Error> {
        if signed.is_empty() || intent.proposal.is_none() {
            let permitted = "valid texts, on a proposal that the intent names";
            return Err(Error::malformed("approvals", "no valid text or no proposal", permitted));
        }
        self.bundles.use_up(signed)?;
        let terms = Terms {
            request: &intent.request,
            tbs_sha256: intent.tbs_sha256,
            profile_sha256: intent.profile.as_ref().map(|p| p.sha256),
            decision: Decision::Approve,
        };
        for one in signed {
            terms.require(one, self.origin(), time)?;
        }
        self.judge_profile(intent, signed)
    }

    fn judge_freeze(&self, index: u64, intent: &Intent, faults: &mut Tally) {
        faults.count("freezes");
        // Freezing never stops CRLs.
        if intent.purpose == Purpose::Crl || self.frozen.is_empty() {
            return;
        }
        let profile = intent.profile.as_ref().map(|p| FreezeTarget::Profile(p.name.clone()));
        let targets = [
            Some(FreezeTarget::Issuer(intent.key.clone())),
            Some(FreezeTarget::Caller(intent.request.caller.clone())),
            profile,
        ];
        for target in targets.into_iter().flatten().filter(|t| self.frozen.contains(t)) {
            faults.add(Finding::at(
                index,
                "freeze",
                format!("{target:?}, which is frozen"),
                "no intent while it is",
            ));
        }
    }

    fn judge_request(&mut self, index: u64, intent: &Intent, faults: &mut Tally) {
        // P8: what callers ask for is signed once an attempt. CRLs and CSRs are nobody's request.
        if is_certificate(intent.purpose) {
            faults.count("attempt");
            if !self.attempts.add(&intent.request) {
                let found = format!("attempt {} at `{}` twice", intent.request.attempt, intent.request.id);
                faults.add(Finding::at(index, "request", found, "one intent for each attempt"));
            }
        }
        let Some(previous) = intent.previous else { return };
        faults.count("previous attempt");
        let planned = matches!(intent.authority, Authority::Plan { .. });
        let same = |r: &RequestRef| {
            let asked = &intent.request;
            let again = (&r.caller, &r.id, r.digest) == (&asked.caller, &asked.id, asked.digest);
            // A plan cannot change once it is signed, so the next attempt stands in another plan.
            (again && r.attempt < asked.attempt) || (planned && !again && r.caller == asked.caller)
        };
        if !self.unfulfilled.get(&previous).is_some_and(same) {
            let expected = "an earlier attempt at this request that failed or is unknown";
            faults.add(Finding::at(index, "previous", format!("intent {previous}"), expected));
        }
    }

    fn judge_serial(&mut self, index: u64, intent: &Intent, faults: &mut Tally) -> bool {
        let (Some(serial), Some(not_after)) = (&intent.serial, intent.not_after) else {
            if is_certificate(intent.purpose) || intent.serial.is_some() || intent.not_after.is_some() {
                let expected = "serial and not_after, both for a certificate and none for others";
                faults.add(Finding::at(index, "serial", "one without the other, or none", expected));
            }
            return false;
        };
        if !is_certificate(intent.purpose) {
            faults.add(Finding::at(
                index,
                "serial",
                serial.to_string(),
                "none, for what is no certificate",
            ));
            return false;
        }
        let Some(number) = self.keys.get(&intent.key).map(|k| k.number) else {
            return false;
        };
        faults.count("unique serial");
        let ca = intent.purpose != Purpose::Leaf;
        let new = self.serials.open(number, serial, not_after, ca);
        if !new {
            let expected = "a serial that this key has not used";
            faults.add(Finding::at(
                index,
                "serial",
                format!("{serial} a second time"),
                expected,
            ));
        }
        new
    }
}
