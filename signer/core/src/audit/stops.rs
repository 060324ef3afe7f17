//! Revocations, freezes and recoveries.

use super::Verifier;
use super::keys::Gone;
use super::report::Finding;
use super::serials::Fate;
use super::texts::{Signed, line};
use crate::authority::Action;
use crate::authority::texts::{OperatorText, RecoveryText, StopAction, StopText};
use crate::error::Error;
use crate::record::{Freeze, FreezeTarget, Recovery, Revocation, Unfreeze};
use crate::types::{Origin, Time};

type Texts = Vec<Result<Signed, Error>>;

impl Verifier {
    pub(super) fn revocation(&mut self, at: (u64, Time), revocation: &Revocation, texts: Texts) {
        let (index, time) = at;
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
            let target = format!("serial:{key}:{serial}");
            let fits = |text: &StopText| {
                line("action", &text.action, &StopAction::Revoke)?;
                line("target", &text.target, &target)?;
                line("reason", &(text.crl_reason() as u8), &(revocation.reason as u8))
            };
            self.agreed(at, Action::CaRevocation, texts, fits);
        }
        let gone = Gone {
            time,
            reason: revocation.reason as u8,
            not_after: until,
        };
        if let Some(key) = self.keys.get_mut(key) {
            key.gone.entry(serial.clone()).or_insert(gone);
        }
    }

    pub(super) fn freeze(&mut self, freeze: Freeze) {
        self.tally.count("freezes");
        self.frozen.insert(freeze.target);
    }

    pub(super) fn unfreeze(&mut self, at: (u64, Time), unfreeze: &Unfreeze, texts: Texts) {
        let target = match &unfreeze.target {
            FreezeTarget::Issuer(name) => format!("key:{name}"),
            FreezeTarget::Profile(name) => format!("profile:{name}"),
            FreezeTarget::Caller(san) => format!("caller:{san}"),
        };
        let fits = |text: &StopText| {
            line("action", &text.action, &StopAction::Unfreeze)?;
            line("target", &text.target, &target)
        };
        self.agreed(at, Action::Unfreeze, texts, fits);
        if !self.frozen.remove(&unfreeze.target) {
            let found = format!("{:?}, which is not frozen", unfreeze.target);
            self.tally.add(Finding::at(at.0, "unfreeze", found, "what is frozen"));
        }
    }

    pub(super) fn recovery(&mut self, at: (u64, Time), recovery: &Recovery, texts: Texts) {
        let fits = |text: &RecoveryText| line("action", &text.action, &recovery.action);
        self.agreed(at, Action::Recovery, texts, fits);
        self.lift_halt(&recovery.action);
    }

    /// Checks that the operators in force agreed, in texts of this log that still counted and say what they must.
    pub(super) fn agreed<T: OperatorText>(
        &mut self,
        (index, time): (u64, Time),
        action: Action,
        texts: Texts,
        fits: impl Fn(&T) -> Result<(), Error>,
    ) {
        let what = action.name();
        let signed: Vec<_> = texts
            .into_iter()
            .filter_map(|text| self.tally.check(index, what, text))
            .collect();
        for one in &signed {
            let result = self.origin().parse::<Origin>().and_then(|origin| {
                let text: T = one.read()?;
                text.check(&origin, time)?;
                fits(&text)
            });
            self.tally.check(index, what, result);
        }
        self.tally.check(index, what, self.bundles.use_up(&signed));
        self.tally.check(index, what, self.bundles.agreed(action, &signed));
    }
}
