//! Files that operators signed: the next bundle, an unfreezing, a CA's revocation, a recovery. What counts is who
//! signed, which the keeper judges; who hands the file in does not matter.

use std::sync::PoisonError;

use stele_api::status::{Failure, Reason};
use stele_api::v1::SignedFileKind;
use stele_core::Error;
use stele_core::authority::signed_file::{SignedFile, Subject};
use stele_core::authority::texts::{CloseText, KeyAction, KeyText, RecoveryText, StopAction, StopText};
use stele_core::authority::{Bundle, diff};
use stele_core::ceremony::{CeremonyFile as _, to_pem};
use stele_core::epoch::CarryOver;
use stele_core::keeping::KeeperFault;
use stele_core::record::{
    self, Body, BundleAdopted, EpochClosed, FreezeTarget, Payload, Recovery, Successor, Unfreeze,
};
use stele_core::types::{CallerSan, KeyName, Serial, SignedText};
use stele_index::Filter;

use crate::approvals::words;
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
            Subject::Close => self.apply_close(text.parse().map_err(invalid)?, file.texts)?,
            Subject::Key => self.apply_key(&text.parse().map_err(invalid)?, file.texts)?,
            Subject::Succession(_) => {
                let permitted = "`stele-keeper init --successor-of FILE`: it begins another log";
                return Err(invalid(Error::malformed("signed file", "a succession", permitted)));
            }
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
        match text.action {
            StopAction::Unfreeze => {
                let kind = SignedFileKind::Unfreeze;
                let target = freeze_target(&text.target).map_err(invalid)?;
                let index = match self.applied_before("unfreeze", &texts)? {
                    Some(index) => index,
                    None => self.unfreeze(target, texts)?,
                };
                let changes = vec![format!("{} is no longer frozen", text.target)];
                Ok(Applied { kind, index, changes })
            }
            StopAction::Revoke => {
                let kind = SignedFileKind::CaRevocation;
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
                Body::EpochClosed(before) => before.texts == texts,
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
        let found = self.used_serial(&key, &serial)?;
        let found = found.ok_or_else(|| {
            let why = format!("`{key}` issued no certificate with serial {serial}");
            Failure::new(Reason::CertificateNotFound, why)
        })?;
        let index = self.judged(&Body::Revocation(record::Revocation {
            key: key.clone(),
            serial,
            not_after: found.not_after,
            reason: text.crl_reason(),
            by: by.clone(),
            texts,
            comment: words(&text.reason),
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

    /// Ends the epoch. Whoever asks again after it, with the texts that did it, finds it done.
    fn apply_close(&self, text: CloseText, texts: Vec<SignedText>) -> Result<Applied, Failure> {
        let changes = vec![format!(
            "the ledger is closed: `{}` goes on; export it with `stele audit export` and stop this signer",
            text.successor
        )];
        let index = match self.applied_before("epoch_closed", &texts)? {
            Some(index) => index,
            None => self.judged(&Body::EpochClosed(EpochClosed {
                successor: Successor {
                    origin: text.successor,
                    vkey: text.successor_vkey,
                },
                texts,
            }))?,
        };
        let kind = SignedFileKind::Close;
        Ok(Applied { kind, index, changes })
    }

    fn apply_key(&self, text: &KeyText, texts: Vec<SignedText>) -> Result<Applied, Failure> {
        let done = self.keeper.key(&texts);
        // A key may have been recorded though a later step failed, so the index follows in either case.
        self.follow().map_err(Failure::from)?;
        let done = done.map_err(signed_text_failure)?;
        let mut changes = vec![match text.action {
            KeyAction::Generate => format!("the key `{}` is generated; its CSR:", text.key),
            KeyAction::Destroy => format!("the key `{}` is destroyed", text.key),
        }];
        if let Some(csr) = &done.csr {
            changes.push(to_pem("CERTIFICATE REQUEST", csr).map_err(SignerError::from)?);
        }
        self.refresh_held()?;
        Ok(Applied {
            kind: SignedFileKind::Key,
            index: done.index,
            changes,
        })
    }

    /// Appends what rests on signed texts; the keeper's refusal then says what is wrong with them.
    fn judged(&self, body: &Body) -> Result<u64, Failure> {
        match self.append(body) {
            Ok(at) => Ok(at.index),
            Err(SignerError::Fault(fault)) => Err(signed_text_failure(fault)),
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
                return self.carried_bundle(number);
            }
        }
    }
}

impl Signer {
    /// The bundle that this log took over from the one before; its texts stand in that log.
    fn carried_bundle(&self, number: Option<u64>) -> Result<(u64, BundleAdopted, Vec<u8>), Failure> {
        let none = || Failure::new(Reason::ObjectNotFound, "there is no such bundle");
        let filter = Filter {
            kind: Some("carried_over".to_owned()),
            ..Filter::default()
        };
        let page = self.reader.find_newest(&filter, None, 1).map_err(SignerError::from)?;
        let index = page.items.first().ok_or_else(none)?.index;
        let Body::CarriedOver(carried) = self.keeper.record(index).map_err(SignerError::from)?.body else {
            return Err(none());
        };
        let bytes = tree::resolve(&self.keeper, &carried.carry_over)?;
        let carry = CarryOver::decode(&bytes).map_err(SignerError::from)?;
        let bundle = carry.check().map_err(SignerError::from)?.bundle;
        if number.is_some_and(|number| number != bundle.number()) {
            return Err(none());
        }
        let adopted = BundleAdopted {
            number: bundle.number(),
            sha256: bundle.digest(),
            predecessor: bundle.predecessor(),
            bundle: Payload::of(bundle.bytes(), Vec::new()),
            texts: Vec::new(),
        };
        Ok((index, adopted, bundle.bytes().to_vec()))
    }
}

/// What a fault means where signed texts were judged: they are what is refused.
fn signed_text_failure(fault: KeeperFault) -> Failure {
    match fault {
        KeeperFault::Refused(why) => Failure::new(Reason::SignedTextInvalid, why),
        other => SignerError::from(other).into(),
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
