//! Revoking and freezing.

use stele_api::convert::{Freeze as FreezeCall, FreezeTarget as Wanted, Revocation as RevokeCall, RevocationReason};
use stele_api::status::{Failure, Reason};
use stele_core::crl;
use stele_core::record::{self, Body, FreezeTarget};
use stele_core::tbs::parse_certificate;
use stele_core::types::CallerSan;
use stele_index::CertificateView;

use crate::error::SignerError;
use crate::signer::Signer;
use crate::snapshot::Snapshot;

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
        let (view, ..) = parse_certificate(&found.der).map_err(SignerError::from)?;
        if view.ca && call.approvals.is_empty() {
            let why = "a CA's certificate is revoked by the quorum's signed texts only";
            return Err(Failure::new(Reason::QuorumNotMet, why));
        }
        let body = Body::Revocation(record::Revocation {
            key: found.key.clone(),
            serial: found.serial.clone(),
            not_after: view.not_after,
            reason: crl_reason(call.reason),
            by: by.clone(),
            texts: call.approvals,
        });
        let at = self.append(&body)?;
        tracing::info!(index = at.index, key = %found.key, serial = %found.serial, comment = call.comment, "revoked");
        if let Err(error) = self.sign_crl(&found.key) {
            // The revocation stands; the worker tries again.
            tracing::error!(key = %found.key, %error, "no CRL was signed after a revocation");
        }
        Ok(at.index)
    }

    fn issued_certificate(&self, snapshot: &Snapshot, call: &RevokeCall) -> Result<CertificateView, Failure> {
        let issuers = match &call.issuer {
            Some(issuer) => vec![issuer],
            None => snapshot.cas.keys().collect(),
        };
        let mut found = Vec::new();
        for issuer in issuers {
            found.extend(
                self.reader
                    .certificate(issuer, &call.serial)
                    .map_err(SignerError::from)?,
            );
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

    /// Freezes an issuer, a profile or a caller. Answers with the index of the freeze.
    ///
    /// # Errors
    /// When there is no such thing, or it cannot be recorded.
    pub(crate) fn freeze(&self, by: &CallerSan, call: FreezeCall) -> Result<u64, Failure> {
        let snapshot = self.snapshot.load_full();
        let target = target(&snapshot, call.target)?;
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

fn target(snapshot: &Snapshot, wanted: Wanted) -> Result<FreezeTarget, Failure> {
    let authority = snapshot.authority()?;
    match wanted {
        Wanted::Issuer(name) => match authority.key(&name) {
            Some(_) => Ok(FreezeTarget::Issuer(name)),
            None => Err(Failure::new(Reason::IssuerNotFound, format!("no issuer `{name}`"))),
        },
        Wanted::Profile(name) => match authority.profile(&name) {
            Some(_) => Ok(FreezeTarget::Profile(name)),
            None => Err(Failure::new(Reason::ObjectNotFound, format!("no profile `{name}`"))),
        },
        Wanted::Caller(name) => match authority.callers().get(&name) {
            Some(caller) => Ok(FreezeTarget::Caller(caller.san.clone())),
            None => Err(Failure::new(Reason::ObjectNotFound, format!("no caller `{name}`"))),
        },
    }
}

/// The contract's numbers are not those of the RFC.
const fn crl_reason(reason: RevocationReason) -> crl::Reason {
    match reason {
        RevocationReason::KeyCompromise => crl::Reason::KeyCompromise,
        RevocationReason::CaCompromise => crl::Reason::CaCompromise,
        RevocationReason::AffiliationChanged => crl::Reason::AffiliationChanged,
        RevocationReason::Superseded => crl::Reason::Superseded,
        RevocationReason::CessationOfOperation => crl::Reason::CessationOfOperation,
        RevocationReason::PrivilegeWithdrawn => crl::Reason::PrivilegeWithdrawn,
        RevocationReason::Unspecified | RevocationReason::Other => crl::Reason::Unspecified,
    }
}
