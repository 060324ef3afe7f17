//! Files that operators signed: the next bundle, an unfreezing, a CA's revocation, a recovery. What counts is who
//! signed, which the keeper judges; who hands the file in does not matter.

use std::sync::PoisonError;

use stele_api::status::{Failure, Reason};
use stele_api::v1::SignedFileKind;
use stele_core::Error;
use stele_core::authority::signed_file::{SignedFile, Subject};
use stele_core::authority::texts::{RecoveryText, StopAction, StopText};
use stele_core::authority::{Bundle, diff};
use stele_core::ceremony::CeremonyFile as _;
use stele_core::crl;
use stele_core::record::{self, Body, BundleAdopted, FreezeTarget, Recovery, Unfreeze};
use stele_core::types::{CallerSan, KeyName, Serial, SignedText};
use stele_index::Filter;

use crate::error::SignerError;
use crate::signer::Signer;
use crate::snapshot;
use crate::tree;

/// How many records are looked through for one that the same file made before.
const RECENT: u32 = 100;

/// What applying a file did.
#[derive(Debug)]
pub(crate) struct Applied {
    /// What it was.
    pub(crate) kind: SignedFileKind,
    /// The index of its record.
    pub(crate) index: u64,
    /// What changed, in a sentence each.
    pub(crate) changes: Vec<String>,
}

impl Signer {
    /// Applies one signed file. What is in force already is no error.
    ///
    /// # Errors
    /// When it does not read, does not follow what is in force, or the keeper refuses it.
    pub(crate) fn apply(&self, by: &CallerSan, bytes: &[u8]) -> Result<Applied, Failure> {
        let invalid = |error: Error| Failure::from_error(Reason::SignedTextInvalid, error);
        let _turn = self.apply_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let file = SignedFile::decode(bytes).map_err(invalid)?;
        file.check().map_err(invalid)?;
        let text = file.texts.first().map(|t| t.text.clone()).unwrap_or_default();
        let applied = match &file.subject {
            Subject::Bundle(bundle) => self.apply_bundle(bundle.as_bytes(), file.texts)?,
            Subject::Stop => self.apply_stop(by, &text.parse().map_err(invalid)?, file.texts)?,
            Subject::Recovery(_) => self.apply_recovery(text.parse().map_err(invalid)?, file.texts)?,
        };
        tracing::info!(
            index = applied.index,
            kind = applied.kind.as_str_name(),
            "applied a signed file"
        );
        Ok(applied)
    }

    fn apply_bundle(&self, bytes: &[u8], texts: Vec<SignedText>) -> Result<Applied, Failure> {
        let bundle = Bundle::parse(bytes).map_err(|errors| snapshot::all(&errors))?;
        let snapshot = self.snapshot.load_full();
        let current = snapshot.in_force()?;
        let kind = SignedFileKind::Bundle;
        if current.bundle.digest() == bundle.digest() {
            return Ok(Applied {
                kind,
                index: current.index,
                changes: Vec::new(),
            });
        }
        if bundle.predecessor() != Some(current.bundle.digest()) {
            let named = bundle.predecessor().map_or("none".to_owned(), |d| d.to_string());
            let why = format!(
                "the bundle's predecessor is {named}; in force is {}",
                current.bundle.digest()
            );
            return Err(Failure::new(Reason::NotSuccessor, why));
        }
        // Before the operators' quorum is judged: what cannot be issued is no use to them.
        bundle.lint_samples().map_err(|errors| snapshot::all(&errors))?;
        let index = self.adopt(&bundle, texts)?;
        Ok(Applied {
            kind,
            index,
            changes: diff(&current.bundle, &bundle),
        })
    }

    /// Records a bundle, its bytes chunked where they must be. The keeper judges whether it may.
    ///
    /// # Errors
    /// When the keeper refuses it.
    pub(crate) fn adopt(&self, bundle: &Bundle, texts: Vec<SignedText>) -> Result<u64, Failure> {
        let payload = self.keeper.payload(bundle.bytes()).map_err(SignerError::from)?;
        let body = Body::BundleAdopted(BundleAdopted {
            number: bundle.number(),
            sha256: bundle.digest(),
            predecessor: bundle.predecessor(),
            bundle: payload,
            texts,
        });
        self.judged(&body)
    }

    fn apply_stop(&self, by: &CallerSan, text: &StopText, texts: Vec<SignedText>) -> Result<Applied, Failure> {
        let invalid = |error: Error| Failure::from_error(Reason::SignedTextInvalid, error);
        let kind = SignedFileKind::Unfreeze;
        match text.action {
            StopAction::Unfreeze => {
                let target = freeze_target(&text.target).map_err(invalid)?;
                let index = match self.applied_before("unfreeze", &texts)? {
                    Some(index) => index,
                    None => self.unfreeze(target, texts)?,
                };
                let changes = vec![format!("{} is no longer frozen", text.target)];
                Ok(Applied { kind, index, changes })
            }
            StopAction::Revoke => {
                let index = self.revoke_ca(by, text, texts)?;
                let changes = vec![format!("{} is revoked", text.target)];
                Ok(Applied { kind, index, changes })
            }
            StopAction::Freeze => {
                let error = Error::malformed("action", "freeze", "unfreeze or revoke; a freeze needs no quorum");
                Err(invalid(error))
            }
        }
    }

    fn unfreeze(&self, target: FreezeTarget, texts: Vec<SignedText>) -> Result<u64, Failure> {
        let frozen = self.reader.is_frozen(&target).map_err(SignerError::from)?;
        if frozen.is_none() {
            return Err(Failure::new(Reason::NotSuccessor, "it is not frozen"));
        }
        self.judged(&Body::Unfreeze(Unfreeze { target, texts }))
    }

    /// The record that these very texts made before, if they did: each text serves once.
    fn applied_before(&self, kind: &str, texts: &[SignedText]) -> Result<Option<u64>, Failure> {
        let filter = Filter {
            kind: Some(kind.to_owned()),
            ..Filter::default()
        };
        let recent = self
            .reader
            .find_newest(&filter, None, RECENT)
            .map_err(SignerError::from)?;
        for view in recent.items {
            let same = match self.keeper.record(view.index).map_err(SignerError::from)?.body {
                Body::Unfreeze(before) => before.texts == texts,
                Body::Recovery(before) => before.texts == texts,
                _ => false,
            };
            if same {
                return Ok(Some(view.index));
            }
        }
        Ok(None)
    }

    fn revoke_ca(&self, by: &CallerSan, text: &StopText, texts: Vec<SignedText>) -> Result<u64, Failure> {
        let (key, serial) =
            serial_target(&text.target).map_err(|e| Failure::from_error(Reason::SignedTextInvalid, e))?;
        if let Some(before) = self.reader.revoked(&key, &serial).map_err(SignerError::from)? {
            return Ok(before.index);
        }
        let found = self.reader.certificate(&key, &serial).map_err(SignerError::from)?;
        let found = found.ok_or_else(|| {
            let why = format!("`{key}` issued no certificate with serial {serial}");
            Failure::new(Reason::CertificateNotFound, why)
        })?;
        let index = self.judged(&Body::Revocation(record::Revocation {
            key: key.clone(),
            serial,
            not_after: found.not_after,
            reason: crl::Reason::Unspecified,
            by: by.clone(),
            texts,
        }))?;
        if let Err(error) = self.sign_crl_if_due(&key) {
            tracing::error!(%key, %error, "no CRL was signed after a revocation");
        }
        Ok(index)
    }

    fn apply_recovery(&self, text: RecoveryText, texts: Vec<SignedText>) -> Result<Applied, Failure> {
        let action = text.action;
        let index = match self.applied_before("recovery", &texts)? {
            Some(index) => index,
            None => self.judged(&Body::Recovery(Recovery {
                action: action.clone(),
                texts,
            }))?,
        };
        Ok(Applied {
            kind: SignedFileKind::Recovery,
            index,
            changes: vec![format!("the operators decided: {action}")],
        })
    }

    /// Appends what rests on signed texts; the keeper's refusal then says what is wrong with them.
    fn judged(&self, body: &Body) -> Result<u64, Failure> {
        match self.append(body) {
            Ok(at) => Ok(at.index),
            Err(SignerError::Fault(stele_core::keeping::KeeperFault::Refused(why))) => {
                let reason = if why.contains(" operators ") {
                    Reason::QuorumNotMet
                } else {
                    Reason::SignedTextInvalid
                };
                Err(Failure::new(reason, why))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// A bundle that was adopted, by its number or the one in force: its record's index, the record, and its bytes.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn adopted_bundle(&self, number: Option<u64>) -> Result<(u64, BundleAdopted, Vec<u8>), Failure> {
        let filter = Filter {
            kind: Some("bundle_adopted".to_owned()),
            ..Filter::default()
        };
        let mut before = None;
        loop {
            let page = self
                .reader
                .find_newest(&filter, before, 100)
                .map_err(SignerError::from)?;
            for view in &page.items {
                before = Some(view.index);
                let body = self.keeper.record(view.index).map_err(SignerError::from)?.body;
                let Body::BundleAdopted(adopted) = body else { continue };
                if number.is_none_or(|number| adopted.number == number) {
                    let bytes = tree::resolve(&self.keeper, &adopted.bundle)?;
                    return Ok((view.index, adopted, bytes));
                }
            }
            if page.next.is_none() {
                return Err(Failure::new(Reason::ObjectNotFound, "there is no such bundle"));
            }
        }
    }
}

/// A freeze's target as it stands in a signed text: `key:NAME`, `profile:NAME` or `caller:SAN`.
fn freeze_target(text: &str) -> Result<FreezeTarget, Error> {
    match text.split_once(':') {
        Some(("key", name)) => Ok(FreezeTarget::Issuer(name.parse()?)),
        Some(("profile", name)) => Ok(FreezeTarget::Profile(name.parse()?)),
        Some(("caller", san)) => Ok(FreezeTarget::Caller(san.parse()?)),
        _ => Err(Error::malformed("target", text, "key:NAME, profile:NAME or caller:SAN")),
    }
}

/// A certificate as it stands in a signed text: `serial:KEY:SERIAL`.
fn serial_target(text: &str) -> Result<(KeyName, Serial), Error> {
    let bad = || Error::malformed("target", text, "serial:KEY:SERIAL");
    let rest = text.strip_prefix("serial:").ok_or_else(bad)?;
    let (key, serial) = rest.split_once(':').ok_or_else(bad)?;
    Ok((key.parse()?, serial.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_as_texts_name_them() {
        assert!(matches!(
            freeze_target("key:issuing-ca").unwrap(),
            FreezeTarget::Issuer(_)
        ));
        assert!(matches!(
            freeze_target("caller:uri:spiffe://a/b").unwrap(),
            FreezeTarget::Caller(_)
        ));
        for bad in ["", "key", "key:", "issuer:a", "caller:nobody"] {
            assert!(freeze_target(bad).is_err(), "{bad}");
        }
        let (key, serial) = serial_target("serial:issuing-ca:01ff").unwrap();
        assert_eq!((key.as_str(), serial.to_string().as_str()), ("issuing-ca", "01ff"));
        assert!(serial_target("serial:issuing-ca").is_err());
    }
}
