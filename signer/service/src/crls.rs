//! CRLs: a first one for every CA key, the next at half life, and one at once when a serial has to be listed.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use stele_core::Error;
use stele_core::crl::{CrlSpec, Reason, Revocation};
use stele_core::door::{Asked, DoorError, Evidence, Linted};
use stele_core::keeping::KeeperFault;
use stele_core::record::RequestRef;
use stele_core::types::{CallerSan, KeyName, Time};
use stele_keeper_client::CrlEntry;

use crate::clock;
use crate::error::SignerError;
use crate::signer::Signer;
use crate::snapshot::Ca;

/// How often a CRL is made anew when something was revoked while it was on its way.
const TRIES: u32 = 4;
/// The name under which the service itself asks for what nobody else asks for.
const OWN_NAME: &str = "stele-signer";

impl Signer {
    /// Signs every CRL that is due.
    ///
    /// # Errors
    /// The first failure; the other keys' CRLs are tried nevertheless.
    pub(crate) fn sign_due_crls(&self) -> Result<(), SignerError> {
        let snapshot = self.snapshot.load_full();
        let mut failed = Ok(());
        for name in snapshot.cas.keys() {
            if let Err(error) = self.sign_crl_if_due(name) {
                tracing::error!(key = %name, %error, "no CRL was signed");
                failed = failed.and(Err(error));
            }
        }
        failed
    }

    /// Whether the newest CRL is absent, past half of its life, or leaves out what must be listed.
    fn is_due(&self, key: &KeyName) -> Result<bool, SignerError> {
        let Some(newest) = self.reader.crl(key)? else {
            return Ok(true);
        };
        let half = (newest.next_update.secs().saturating_sub(newest.this_update.secs())) / 2;
        if clock::now() >= newest.this_update.plus_secs(half) {
            return Ok(true);
        }
        let (listed, ..) = stele_core::crl::parse_crl(&newest.der)?;
        let state = self.keeper.crl_state(key)?;
        Ok(state.entries.iter().any(|e| !listed.revoked.contains_key(&e.serial)))
    }

    /// Signs the next CRL of a key, where it is due: whoever waited for the turn may find that it is signed already.
    ///
    /// # Errors
    /// When the key has no certificate, or the door does not open.
    pub(crate) fn sign_crl_if_due(&self, key: &KeyName) -> Result<(), SignerError> {
        let _turn = self.crl_turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Judged when it is our turn: whoever had it before may have signed what was due.
        if !self.is_due(key)? {
            return Ok(());
        }
        let mut tries = 1;
        loop {
            match self.try_crl(key) {
                // A serial was revoked since the state was read: the keeper wants it listed, or another number.
                Err(SignerError::Door(DoorError::Keeper(KeeperFault::Refused(why)))) if tries < TRIES => {
                    tracing::info!(%key, why, "the CRL is made anew");
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    fn try_crl(&self, key: &KeyName) -> Result<(), SignerError> {
        let snapshot = self.snapshot.load_full();
        let ca = snapshot.cas.get(key).ok_or_else(|| {
            SignerError::Core(Error::malformed("issuer", key.as_str(), "a CA with a certificate here"))
        })?;
        let state = self.keeper.crl_state(key)?;
        let spec = self.spec(ca, state.next_number, &state.entries)?;
        let linted = Linted::crl(key.clone(), ca.key.clone(), &spec)?;
        let request = RequestRef {
            caller: CallerSan::Unix(OWN_NAME.to_owned()),
            id: format!("crl:{key}:{}", spec.number).parse()?,
            attempt: 1,
            digest: linted.tbs_sha256(),
        };
        let asked = Asked {
            request,
            bundle: Some(snapshot.bundle_digest()?),
            asked: None,
            previous: None,
        };
        let issued = self.through_door(linted, Evidence::Policy, asked)?;
        self.follow_through(issued.committed.index)?;
        self.metrics.crls.add();
        let (number, revoked) = (spec.number, spec.revoked.len());
        tracing::info!(%key, number, revoked, index = issued.committed.index, "signed a CRL");
        Ok(())
    }

    fn spec(&self, ca: &Ca, number: u64, entries: &[CrlEntry]) -> Result<CrlSpec, SignerError> {
        let now = Time::from_secs(clock::now().secs());
        let revoked = entries
            .iter()
            .map(|entry| {
                let reason = reason(entry.reason)?;
                let revocation = Revocation {
                    date: entry.time,
                    reason,
                };
                Ok((entry.serial.clone(), revocation))
            })
            .collect::<Result<BTreeMap<_, _>, Error>>()?;
        Ok(CrlSpec {
            signature: ca.issuer.key_algorithm.default_signature(),
            issuer_der: ca.issuer.subject_der.clone(),
            issuer_key_identifier: ca.issuer.ski.clone(),
            number,
            this_update: now,
            // What the issuer's certificate no longer covers nobody can check.
            next_update: now.plus_secs(self.config.crl.lifetime.0).min(ca.issuer.not_after),
            revoked,
        })
    }
}

/// The reason with this CRLReason code (RFC 5280 section 5.3.1).
fn reason(code: u8) -> Result<Reason, Error> {
    Reason::of_code(code).ok_or_else(|| Error::malformed("reason", code.to_string(), "a CRLReason of a full CRL"))
}
