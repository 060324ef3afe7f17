//! Authority and stops: bundles, revocations, freezes.

use stele_core::record::{BundleAdopted, Freeze, FreezeTarget, Revocation, Unfreeze};
use stele_core::types::Digest;

use super::{About, Step};
use crate::convert::{Int, Json, Millis, Text};

impl Step<'_> {
    /// The newest bundle counts even when its bytes do not read: falling back on an older one would bring back
    /// authority that the quorum has withdrawn.
    pub(super) fn bundle(&self, adopted: &BundleAdopted) -> rusqlite::Result<About> {
        let whole = self.whole(&adopted.bundle)?.and_then(|bytes| {
            let found = Digest::of(&bytes);
            let wrong = || stele_core::Error::unverified("bundle", format!("digest {found}, not {}", adopted.sha256));
            (found == adopted.sha256).then_some(bytes).ok_or_else(wrong)
        });
        let (bytes, fault) = match whole {
            Ok(bytes) => (Some(bytes), None),
            Err(error) => (None, Some(error.to_string())),
        };
        if let Some(fault) = &fault {
            self.anomaly(&format!("the bundle does not read: {fault}"))?;
        }
        self.execute(
            "INSERT OR REPLACE INTO bundle VALUES (0, ?1, ?2, ?3, ?4, ?5)",
            (
                Int(self.index),
                Text(adopted.number),
                Text(adopted.sha256),
                bytes,
                fault,
            ),
        )?;
        Ok(About::default())
    }

    /// The first revocation of a serial counts: its date is what relying parties were told.
    pub(super) fn revocation(&self, revocation: &Revocation) -> rusqlite::Result<About> {
        self.execute(
            "INSERT OR IGNORE INTO revoked VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                Text(&revocation.key),
                Text(&revocation.serial),
                Int(self.index),
                Millis(self.time),
                Millis(revocation.not_after),
                Json(revocation.reason),
            ),
        )?;
        Ok(About {
            caller: Some(revocation.by.clone()),
            key: Some(revocation.key.clone()),
            serial: Some(revocation.serial.clone()),
            ..About::default()
        })
    }

    pub(super) fn freeze(&self, freeze: &Freeze) -> rusqlite::Result<About> {
        self.execute(
            "INSERT OR IGNORE INTO frozen VALUES (?1, ?2)",
            (Json(&freeze.target), Int(self.index)),
        )?;
        let mut about = about_target(&freeze.target);
        about.caller.get_or_insert_with(|| freeze.by.clone());
        Ok(about)
    }

    pub(super) fn unfreeze(&self, unfreeze: &Unfreeze) -> rusqlite::Result<About> {
        self.execute("DELETE FROM frozen WHERE target = ?1", [Json(&unfreeze.target)])?;
        Ok(about_target(&unfreeze.target))
    }
}

fn about_target(target: &FreezeTarget) -> About {
    let mut about = About::default();
    match target {
        FreezeTarget::Issuer(key) => about.key = Some(key.clone()),
        FreezeTarget::Profile(profile) => about.profile = Some(profile.clone()),
        FreezeTarget::Caller(caller) => about.caller = Some(caller.clone()),
    }
    about
}
