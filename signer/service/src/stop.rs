//! Revoking and freezing.

use stele_api::convert::{Freeze as FreezeCall, Revocation as RevokeCall};
use stele_api::status::{Failure, Reason};
use stele_core::record::{self, Body, FreezeTarget};
use stele_core::tbs::parse_certificate;
use stele_core::types::{CallerSan, KeyName, Serial, Time};

use crate::approvals::words;
use crate::error::SignerError;
use crate::signer::Signer;
use crate::snapshot::Snapshot;

/// A certificate, as far as its revocation needs to know it.
pub(crate) struct Used {
    /// The key that issued it.
    pub(crate) key: KeyName,
    /// Its serial.
    pub(crate) serial: Serial,
    /// The end of its validity.
    pub(crate) not_after: Time,
    /// Whether it is a CA's.
    pub(crate) ca: bool,
}

impl Signer {
    /// Revokes a certificate and signs its issuer's next CRL. Answers with the index of the revocation.
    ///
    /// # Errors
    /// When there is no such certificate, it is a CA's and no quorum signed, or it cannot be recorded.
    pub(crate) fn revoke(&self, by: &CallerSan, call: RevokeCall) -> Result<u64, Failure> {
        let snapshot = self.snapshot.load_full();
        let found = self.issued_certificate(&snapshot, &call)?;
        let before = self
            .reader
            .revoked(&found.key, &found.serial)
            .map_err(SignerError::from)?;
        if let Some(before) = before {
            return Ok(before.index);
        }
        if found.ca && call.approvals.is_empty() {
            let why = "a CA's certificate is revoked by the quorum's signed texts only";
            return Err(Failure::new(Reason::QuorumNotMet, why));
        }
        let body = Body::Revocation(record::Revocation {
            key: found.key.clone(),
            serial: found.serial.clone(),
            not_after: found.not_after,
            reason: call.reason,
            by: by.clone(),
            texts: call.approvals,
            comment: words(&call.comment),
        });
        let at = self.append(&body)?;
        tracing::info!(index = at.index, key = %found.key, serial = %found.serial, comment = call.comment, "revoked");
        if let Err(error) = self.sign_crl_if_due(&found.key) {
            // The revocation stands; the worker tries again.
            tracing::error!(key = %found.key, %error, "no CRL was signed after a revocation");
        }
        Ok(at.index)
    }

    fn issued_certificate(&self, snapshot: &Snapshot, call: &RevokeCall) -> Result<Used, Failure> {
        let issuers = match &call.issuer {
            Some(issuer) => vec![issuer],
            None => snapshot.cas.keys().collect(),
        };
        let mut found = Vec::new();
        for issuer in issuers {
            found.extend(self.used_serial(issuer, &call.serial)?);
        }
        match (found.pop(), found.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(_), false) => Err(Failure::new(
                Reason::CertificateNotFound,
                "several issuers have issued this serial; name the issuer",
            )),
            (None, _) => {
                let why = format!("no certificate with serial {} in the ledger", call.serial);
                Err(Failure::new(Reason::CertificateNotFound, why))
            }
        }
    }

    /// A serial that a key of ours used, in this log or in the one before.
    ///
    /// # Errors
    /// When the index cannot be read, or a certificate in it does not read.
    pub(crate) fn used_serial(&self, key: &KeyName, serial: &Serial) -> Result<Option<Used>, SignerError> {
        let used = |not_after, ca| Used {
            key: key.clone(),
            serial: serial.clone(),
            not_after,
            ca,
        };
        if let Some(found) = self.reader.certificate(key, serial)? {
            let (view, ..) = parse_certificate(&found.der)?;
            return Ok(Some(used(view.not_after, view.ca)));
        }
        let carried = self.reader.carried(key, serial)?;
        Ok(carried.map(|found| used(found.not_after, found.ca)))
    }

    /// Freezes an issuer, a profile or a caller. Answers with the index of the freeze.
    ///
    /// # Errors
    /// When there is no such thing, or it cannot be recorded.
    pub(crate) fn freeze(&self, by: &CallerSan, call: FreezeCall) -> Result<u64, Failure> {
        let snapshot = self.snapshot.load_full();
        let target = call.target;
        require_known(&snapshot, &target)?;
        if let Some(before) = self.reader.is_frozen(&target).map_err(SignerError::from)? {
            return Ok(before);
        }
        let body = Body::Freeze(record::Freeze {
            target: target.clone(),
            reason: call.reason,
            by: by.clone(),
        });
        let at = self.append(&body)?;
        tracing::warn!(index = at.index, ?target, "frozen");
        Ok(at.index)
    }
}

/// Refuses to freeze what the bundle does not name: a slip in a name would freeze nothing, unnoticed.
fn require_known(snapshot: &Snapshot, target: &FreezeTarget) -> Result<(), Failure> {
    let authority = snapshot.authority()?;
    let (known, reason, name) = match target {
        FreezeTarget::Issuer(name) => (
            authority.key(name).is_some(),
            Reason::IssuerNotFound,
            format!("issuer `{name}`"),
        ),
        FreezeTarget::Profile(name) => (
            authority.profile(name).is_some(),
            Reason::ObjectNotFound,
            format!("profile `{name}`"),
        ),
        FreezeTarget::Caller(san) => (
            authority.caller_by_san(san).is_some() || matches!(san, CallerSan::Unix(_)),
            Reason::ObjectNotFound,
            format!("caller {san}"),
        ),
    };
    if known {
        Ok(())
    } else {
        Err(Failure::new(reason, format!("the bundle names no {name}")))
    }
}
