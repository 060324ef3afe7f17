//! Outcomes: each intent has exactly one, and what was signed is exactly what was intended.

use std::sync::Arc;

use super::Verifier;
use super::examine::{SignatureCheck, SignedObject};
use super::intent::OpenIntent;
use super::keys::Gone;
use super::report::Finding;
use super::serials::Fate;
use crate::error::Error;
use crate::record::{Failed, Issued, RequestRef, Unknown};
use crate::types::{Digest, Time};

impl Verifier {
    pub(super) fn issued(
        &mut self,
        index: u64,
        issued: &Issued,
        signed: Option<Result<SignedObject, Error>>,
    ) -> Option<SignatureCheck> {
        let mut tally = std::mem::take(&mut self.tally);
        let signed = signed.or_else(|| {
            let whole = self.chunks.take(index, &issued.signed, &mut tally)?;
            Some(SignedObject::read(&whole))
        });
        let signed = signed.and_then(|s| tally.check(index, "signed object", s));
        self.tally = tally;
        let open = self.close(index, issued.intent, Fate::Issued)?;
        self.judge_issued(index, issued, &open);
        let signed = signed?;
        self.tally.same(index, "sha256", &issued.sha256, &signed.sha256);
        let found = Digest::of(&signed.tbs);
        self.tally.same(index, "signed TBS", &found, &open.tbs_sha256);
        if signed.algorithm != open.algorithm {
            let found = format!("{:?}", signed.algorithm);
            self.tally.add(Finding::at(
                index,
                "signature algorithm",
                found,
                format!("{:?}", open.algorithm),
            ));
        }
        if found == open.tbs_sha256
            && let Some((spki_sha256, identity)) = open.certifies
        {
            self.keys.learn(spki_sha256, identity);
        }
        let key = self.keys.get(&open.key).and_then(|key| key.public.as_ref())?;
        self.tally.count("issuer's signature");
        Some(SignatureCheck {
            index,
            key: Arc::clone(key),
            algorithm: signed.algorithm,
            message: signed.tbs,
            signature: signed.signature,
        })
    }

    fn judge_issued(&mut self, index: u64, issued: &Issued, open: &OpenIntent) {
        self.same_request(index, &issued.request, &open.request);
        let fits = issued.purpose == open.purpose && issued.key == open.key && issued.serial == open.serial;
        let expected = format!("purpose, key and serial of intent {}", issued.intent);
        self.tally.count("outcome");
        if !fits {
            let found = format!("{:?} by `{}`", issued.purpose, issued.key);
            self.tally.add(Finding::at(index, "outcome", found, expected));
        }
    }

    fn same_request(&mut self, index: u64, found: &RequestRef, expected: &RequestRef) {
        self.tally.count("request of the outcome");
        if found != expected {
            let show =
                |r: &RequestRef| format!("`{}` of {}, attempt {}, digest {}", r.id, r.caller, r.attempt, r.digest);
            self.tally
                .add(Finding::at(index, "request", show(found), show(expected)));
        }
    }

    pub(super) fn failed(&mut self, index: u64, failed: &Failed) {
        if let Some(open) = self.close(index, failed.intent, Fate::Failed) {
            self.unfulfilled.insert(failed.intent, open.request);
        }
    }

    pub(super) fn unknown(&mut self, at: (u64, Time), unknown: &Unknown) {
        let (index, time) = at;
        let Some(open) = self.close(index, unknown.intent, Fate::Unknown) else {
            return;
        };
        self.tally.count("outcome");
        let fits = (&unknown.key, &unknown.serial, unknown.not_after) == (&open.key, &open.serial, open.not_after);
        if !fits {
            let expected = format!("key, serial and not_after of intent {}", unknown.intent);
            self.tally.add(Finding::at(
                index,
                "outcome",
                "another key, serial or end of validity",
                expected,
            ));
        }
        // It may exist, so its issuer's next CRL must list it (P8).
        if let (Some(serial), Some(not_after)) = (open.serial, open.not_after)
            && let Some(key) = self.keys.get_mut(&open.key)
        {
            let gone = Gone {
                time,
                reason: 0,
                not_after,
            };
            key.gone.insert(serial, gone);
        }
        self.unfulfilled.insert(unknown.intent, open.request);
    }

    /// The key was not called, so the step may be tried again, with the serial that was drawn for it.
    fn free_step(&mut self, plan: u64, step: u32, open: &OpenIntent) {
        if let Some((_, used)) = self.plans.get_mut(&plan).and_then(|p| p.steps.get_mut(&step)) {
            *used = false;
        }
        if let (true, Some(serial), Some(key)) = (open.owns_serial, &open.serial, self.keys.get(&open.key)) {
            self.serials.remove(key.number, serial);
        }
    }

    /// Takes the open intent that an outcome names; its faults come out now.
    fn close(&mut self, index: u64, intent: u64, fate: Fate) -> Option<OpenIntent> {
        let open = self.open.remove(&intent).ok_or_else(|| {
            let permitted = "an earlier intent without an outcome";
            Error::malformed("intent", format!("index {intent}"), permitted)
        });
        let mut open = self.tally.check(index, "one outcome for each intent", open)?;
        self.watch_outcome(index, intent, fate == Fate::Issued);
        for fault in open.faults.drain(..) {
            let refused = fate == Fate::Failed;
            self.tally.add(if refused { fault.note() } else { fault });
        }
        let key = self.keys.get_mut(&open.key);
        if let (Some(number), Some(key)) = (open.crl_number, key) {
            key.crls.close(number, fate == Fate::Failed);
        }
        if let (true, Some(serial), Some(key)) = (open.owns_serial, &open.serial, self.keys.get(&open.key))
            && let Some(entry) = self.serials.get_mut(key.number, serial)
        {
            entry.fate = fate;
        }
        if let (Fate::Failed, Some((plan, step))) = (fate, open.step) {
            self.free_step(plan, step, &open);
        }
        Some(open)
    }
}
