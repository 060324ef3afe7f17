//! What an intent wants signed, against its record, its issuer, and what is revoked.

use super::Verifier;
use super::report::{Finding, Tally};
use crate::authority::CeilingKind;
use crate::crl::CrlView;
use crate::error::Error;
use crate::names::Usage;
use crate::record::{Intent, Purpose};
use crate::tbs::TbsView;
use crate::types::{Digest, Serial, Time};

impl Verifier {
    pub(super) fn judge_certificate(&self, index: u64, intent: &Intent, view: &TbsView, faults: &mut Tally) {
        let positive = view.serial.first().is_some_and(|b| b & 0x80 == 0);
        let serial = Serial::from_unsigned(&view.serial).ok().filter(|_| positive);
        if serial != intent.serial || Some(view.not_after) != intent.not_after {
            let found = format!("serial {:?} until {:?}", intent.serial, intent.not_after);
            let expected = format!("serial {serial:?} until {} as in the TBS", view.not_after);
            faults.add(Finding::at(index, "serial and not_after", found, expected));
        }
        if view.signature.as_ref() != Ok(&intent.algorithm) {
            let expected = format!("{:?}, as the record says", intent.algorithm);
            faults.add(Finding::at(
                index,
                "algorithm in the TBS",
                format!("{:?}", view.signature),
                expected,
            ));
        }
        faults.check(index, "purpose", fits_purpose(intent, view));
        self.judge_ceiling(index, intent, view, faults);
        if intent.purpose == Purpose::Root {
            let itself = view.is_self_issued() && view.authority_key_identifier == view.subject_key_identifier;
            faults.check(
                index,
                "issuer",
                itself
                    .then_some(())
                    .ok_or_else(|| Error::malformed("issuer", "another name or key identifier", "the root's own")),
            );
            return;
        }
        let Ok(key) = self.keys.ca(&intent.key) else { return };
        let identity = key.identity(&view.issuer_der, view.authority_key_identifier.as_deref());
        if let Some(identity) = faults.check(index, "issuer", identity) {
            faults.check(index, "issuer's limits", identity.permits(view));
        }
    }

    pub(super) fn judge_crl(&mut self, at: (u64, Time), intent: &Intent, view: &CrlView, faults: &mut Tally) {
        let (index, time) = at;
        let limits = self.bundles.authority().and_then(|a| a.ceiling(&intent.key));
        if limits.is_some_and(|limits| !limits.kinds.contains(&CeilingKind::Crl)) {
            let expected = "a key whose ceiling has CRLs";
            faults.add(Finding::at(index, "ceiling", "a CRL", expected));
        }
        let Some(key) = self.keys.get_mut(&intent.key) else {
            return;
        };
        faults.check(
            index,
            "CRL issuer",
            key.identity(&view.issuer_der, Some(&view.issuer_key_identifier)),
        );
        faults.check(index, "CRL number", key.crls.intend(view.number));
        if view.signature != intent.algorithm {
            let expected = format!("{:?}, as the record says", intent.algorithm);
            faults.add(Finding::at(
                index,
                "algorithm in the TBS",
                format!("{:?}", view.signature),
                expected,
            ));
        }
        faults.count("CRL entries");
        // RFC 5280 section 3.3: an entry may go only when the certificate has expired.
        for (serial, gone) in key.gone.iter().filter(|(_, gone)| gone.not_after.secs() >= time.secs()) {
            let listed = view.revoked.get(serial);
            if !listed.is_some_and(|r| r.date.secs() == gone.time.secs() && r.reason as u8 == gone.reason) {
                let found = listed.map_or_else(|| "no entry".to_owned(), |r| format!("{r:?}"));
                let expected = format!("an entry of {} with reason {}", gone.time, gone.reason);
                faults.add(Finding::at(
                    index,
                    "CRL entries",
                    format!("{serial}: {found}"),
                    expected,
                ));
            }
        }
        let foreign = view.revoked.keys().find(|serial| !key.gone.contains_key(*serial));
        if let Some(serial) = foreign {
            let found = format!("an entry for {serial}");
            faults.add(Finding::at(
                index,
                "CRL entries",
                found,
                "none but what the log revokes or leaves unknown",
            ));
        }
    }
}

/// Whether a certificate is of the kind that its record says.
fn fits_purpose(intent: &Intent, view: &TbsView) -> Result<(), Error> {
    let own_key = Digest::of(&view.spki_der) == intent.spki_sha256;
    let signs_certificates = view.key_usages.iter().flatten().any(|u| *u == Usage::CertSign);
    let fits = match intent.purpose {
        Purpose::Leaf => !view.ca && !signs_certificates,
        Purpose::Intermediate => view.ca && !own_key,
        Purpose::Root => view.ca && own_key,
        Purpose::Csr | Purpose::Crl => false,
    };
    if fits {
        return Ok(());
    }
    let kind = if view.ca {
        "a CA's certificate"
    } else {
        "a leaf's certificate"
    };
    Err(Error::malformed(
        "purpose",
        format!("{kind} as {:?}", intent.purpose),
        "the purpose that the TBS has",
    ))
}
