//! What a later hand-over must be beside genuine: newer than what was imported before, and of the same history.

use stele_core::Error;
use stele_core::checkpoint::Checkpoint;
use stele_core::crl::parse_crl;
use stele_core::merkle;
use stele_core::record::{Body, CeremonyImported};
use stele_core::tbs::parse_certificate;
use stele_core::types::{Digest, Serial};
use stele_index::Filter;

use super::Checked;
use super::check::require;
use crate::error::SignerError;
use crate::signer::Signer;

impl Signer {
    /// The newest hand-over that was recorded.
    pub(super) fn newest_import(&self) -> Result<Option<CeremonyImported>, SignerError> {
        let filter = Filter {
            kind: Some("ceremony_imported".to_owned()),
            ..Filter::default()
        };
        let newest = self.reader.find_newest(&filter, None, 1)?.items.into_iter().next();
        let Some(view) = newest else { return Ok(None) };
        match self.keeper.record(view.index)?.body {
            Body::CeremonyImported(imported) => Ok(Some(imported)),
            other => Err(Error::malformed("index", other.kind(), "ceremony_imported").into()),
        }
    }

    /// Refuses a hand-over that is older than the newest one, or whose ceremony is no continuation of what is known.
    pub(super) fn check_continuity(&self, checked: &Checked, sha256: Digest) -> Result<(), SignerError> {
        self.check_bundle(checked)?;
        self.check_root(checked)?;
        match self.newest_import()? {
            Some(before) if before.handover_sha256 != sha256 => check_growth(checked, &before),
            _ => Ok(()),
        }
    }

    /// A later ceremony adopts what our log adopted, so its newest bundle is one of ours; and none that was in force
    /// when it saw our log may have been kept from it.
    fn check_bundle(&self, checked: &Checked) -> Result<(), SignerError> {
        if self.snapshot.load_full().in_force().is_err() {
            return Ok(());
        }
        let number = checked.bundle.number();
        let ours = self
            .adopted_bundle(Some(number))
            .ok()
            .map(|(_, adopted, _)| adopted.sha256);
        require(
            ours == Some(checked.bundle.digest()),
            "hand-over: bundle",
            &format!("bundle {number}, {}", checked.bundle.digest()),
            "a bundle that this log adopted",
        )?;
        let seen = Checkpoint::from_note_unverified(&checked.handover.signer_checkpoint)?.size;
        let next = self.adopted_bundle(Some(number + 1)).ok().map(|(index, ..)| index);
        require(
            next.is_none_or(|index| index >= seen),
            "hand-over: bundle",
            &format!("bundle {number} as the ceremony's newest"),
            "every bundle that was in force when the ceremony saw this log: one was kept from it",
        )
    }

    fn check_root(&self, checked: &Checked) -> Result<(), SignerError> {
        if let Some(known) = self.reader.root()? {
            let (found, permitted) = (Digest::of(&checked.root.der), Digest::of(&known.ca.certificate.0));
            require(
                found == permitted,
                "hand-over: root",
                &format!("SHA-256 {found}"),
                &format!("{permitted}, the root that is known"),
            )?;
        }
        let Some(known) = self.reader.crl(&checked.root.key)? else {
            return Ok(());
        };
        let (view, ..) = parse_crl(&checked.handover.root_crl.0)?;
        require(
            view.number > known.number || known.der == checked.handover.root_crl.0,
            "hand-over: root_crl",
            &format!("number {}", view.number),
            &format!("a number above {}, which is known", known.number),
        )
    }

    /// A CA whose certificate the root revoked still signs until people stop it; they should hear of that.
    pub(super) fn warn_of_revoked(&self, checked: &Checked, done: &mut Vec<String>) -> Result<(), SignerError> {
        let (crl, ..) = parse_crl(&checked.handover.root_crl.0)?;
        for (name, ca) in &self.snapshot.load_full().cas {
            let (view, ..) = parse_certificate(ca.certificate())?;
            if crl.revoked.contains_key(&Serial::from_unsigned(&view.serial)?) {
                done.push(format!(
                    "ATTENTION: the root's CRL revokes the certificate of `{name}`; freeze it: stele freeze --issuer {name}"
                ));
            }
        }
        Ok(())
    }
}

fn check_growth(checked: &Checked, before: &CeremonyImported) -> Result<(), SignerError> {
    let handover = &checked.handover;
    for (field, found, permitted) in [
        ("origin", handover.origin.as_str(), before.origin.as_str()),
        ("vkey", &handover.vkey, &before.vkey),
    ] {
        let known = format!("{permitted}, the ceremony's log that is known");
        require(found == permitted, &format!("hand-over: {field}"), found, &known)?;
    }
    let seen = Checkpoint::from_note_unverified(&before.checkpoint)?;
    let new = Checkpoint::from_note_unverified(&handover.checkpoint)?;
    require(
        new.size > seen.size,
        "hand-over: checkpoint",
        &format!("{} records", new.size),
        &format!(
            "more than the {} of the newest one that was imported: this one is older",
            seen.size
        ),
    )?;
    let since = handover.since.as_ref().filter(|since| since.size == seen.size);
    let since = since.ok_or_else(|| {
        let found = handover
            .since
            .as_ref()
            .map_or("none".to_owned(), |since| format!("from {} records on", since.size));
        let permitted = format!(
            "a proof from the {} records on that are known: ask with `stele-signer request`",
            seen.size
        );
        Error::malformed("hand-over: since", found, permitted)
    })?;
    merkle::verify_consistency(seen.size, &seen.root, new.size, &new.root, &since.consistency)
        .map_err(|e| Error::unverified("hand-over: the ceremony's log was forked", e.to_string()).into())
}
