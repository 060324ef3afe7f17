//! Revocations, freezes and recoveries.

use super::Verifier;
use super::policy::Act;
use super::report::Finding;
use super::serials::Fate;
use super::texts::Signed;
use crate::error::Error;
use crate::record::{Freeze, FreezeTarget, Recovery, Revocation, Unfreeze};

type Texts = Vec<Result<Signed, Error>>;

impl Verifier {
    pub(super) fn revocation(&mut self, index: u64, revocation: &Revocation, texts: Texts) {
        let Revocation {
            key, serial, not_after, ..
        } = revocation;
        let known = self.keys.ca(key).map(|key| key.number);
        let Some(number) = self.tally.check(index, "revocation", known) else {
            return;
        };
        let entry = self.serials.get_mut(number, serial).filter(|e| e.fate != Fate::Failed);
        let found = entry.map(|entry| (entry.not_after(), entry.ca, std::mem::replace(&mut entry.revoked, true)));
        let found = found.ok_or_else(|| {
            Error::malformed(
                "serial",
                format!("{serial}"),
                format!("a serial that `{key}` issued or may have issued"),
            )
        });
        let Some((until, ca, before)) = self.tally.check(index, "revocation", found) else {
            return;
        };
        self.tally.same(index, "revocation, not_after", not_after, &until);
        if before {
            let again = Finding::at(index, "revocation", format!("{serial} again"), "each serial once");
            self.tally.add(again.note());
        }
        if ca {
            self.agreed(index, &Act::Stop, "revocation of a CA", texts, &serial.to_string());
        }
        if let Some(key) = self.keys.get_mut(key) {
            key.revoked.insert(serial.clone(), until);
        }
    }

    pub(super) fn freeze(&mut self, freeze: Freeze) {
        self.tally.count("freezes");
        self.frozen.insert(freeze.target);
    }

    pub(super) fn unfreeze(&mut self, index: u64, unfreeze: &Unfreeze, texts: Texts) {
        let subject = match &unfreeze.target {
            FreezeTarget::Issuer(name) => name.to_string(),
            FreezeTarget::Profile(name) => name.to_string(),
            FreezeTarget::Caller(san) => san.to_string(),
        };
        self.agreed(index, &Act::Stop, "unfreezing", texts, &subject);
        if !self.frozen.remove(&unfreeze.target) {
            let found = format!("{:?}, which is not frozen", unfreeze.target);
            self.tally
                .add(Finding::at(index, "unfreezing", found, "what is frozen"));
        }
    }

    pub(super) fn recovery(&mut self, index: u64, recovery: &Recovery, texts: Texts) {
        self.agreed(index, &Act::Recovery, "recovery", texts, &recovery.action);
    }

    /// Checks that the operators in force agreed in texts that name `subject`.
    fn agreed(&mut self, index: u64, act: &Act<'_>, what: &'static str, texts: Texts, subject: &str) {
        let mut signed = Vec::new();
        for text in texts {
            signed.extend(self.tally.check(index, what, text));
        }
        if signed.is_empty() {
            self.tally.add(Finding::at(
                index,
                what,
                "no valid text of an operator",
                "texts of the quorum",
            ));
        }
        for one in &signed {
            self.tally.check(index, what, one.text.require_word(subject));
        }
        self.tally.check(index, what, self.bundles.approve(act, &signed));
    }
}
