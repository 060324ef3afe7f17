//! The ceremony's hand-over: checked in every part, then recorded. What a first import left out, a second one adds.

mod check;
mod continuity;
mod request;

use std::sync::PoisonError;

use stele_core::Error;
use stele_core::authority::Bundle;
use stele_core::ceremony::{CeremonyFile as _, Handover};
use stele_core::checkpoint::{NoteVerifier, open};
use stele_core::keycheck::PublicKey;
use stele_core::record::{Body, CaCertificate, CeremonyImported, Payload};
use stele_core::tbs::TbsView;
use stele_core::types::{B64, Digest, KeyName};

use crate::error::SignerError;
use crate::signer::Signer;
use crate::snapshot::all;
use crate::tree;
use check::{chain, check_root_crl, proven, require};

/// A certificate of the hand-over whose proof holds.
struct Handed {
    key: KeyName,
    der: Vec<u8>,
    view: TbsView,
}

/// A hand-over that was checked whole.
struct Checked {
    handover: Handover,
    bundle: Bundle,
    root: Handed,
    below: Vec<Handed>,
}

impl Signer {
    /// Checks a hand-over and records it, then signs the first CRLs. Answers with a sentence for each thing done.
    ///
    /// # Errors
    /// When anything in it does not fit, naming what; then nothing of it is recorded.
    pub(crate) fn import(&self, bytes: &[u8]) -> Result<Vec<String>, SignerError> {
        let _turn = self.apply_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let sha256 = Digest::of(bytes);
        let checked = self.check_handover(Handover::decode(bytes)?)?;
        self.check_continuity(&checked, sha256)?;
        let mut done = Vec::new();
        self.import_bundle(&checked, &mut done)?;
        self.import_ceremony(&checked, sha256, &mut done)?;
        self.import_root(&checked, &mut done)?;
        for handed in &checked.below {
            self.import_certificate(handed, chain(handed, &checked)?, &mut done)?;
        }
        self.sign_due_crls()?;
        done.push("the CRLs of the CA keys are signed".to_owned());
        self.warn_of_revoked(&checked, &mut done)?;
        Ok(done)
    }

    fn check_handover(&self, handover: Handover) -> Result<Checked, SignerError> {
        require(
            handover.signer_origin == self.origin,
            "hand-over: signer_origin",
            handover.signer_origin.as_str(),
            self.origin.as_str(),
        )?;
        let verifiers = [handover.vkey.parse::<NoteVerifier>()?];
        let (last, _) = open(&handover.checkpoint, &verifiers)?;
        require(
            last.origin == handover.origin,
            "hand-over: origin",
            last.origin.as_str(),
            handover.origin.as_str(),
        )?;
        self.check_own_checkpoint("hand-over: signer_checkpoint", &handover.signer_checkpoint)?;
        let bundle = Bundle::parse(&handover.bundle.0).map_err(|errors| all(&errors))?;
        let mut handed = Vec::new();
        for certificate in &handover.certificates {
            handed.push(proven(certificate, &verifiers, &last, &bundle)?);
        }
        let at = handed.iter().position(|h| h.view.is_self_issued());
        let at =
            at.ok_or_else(|| Error::malformed("hand-over: certificates", "no root", "the root and the CAs below it"))?;
        let root = handed.remove(at);
        check_root_crl(&root, &handover.root_crl.0)?;
        let checked = Checked {
            handover,
            bundle,
            root,
            below: handed,
        };
        self.check_keys(&checked)?;
        Ok(checked)
    }

    /// The ceremony names a checkpoint of our log; it must lie on our history.
    fn check_own_checkpoint(&self, field: &str, note: &str) -> Result<(), SignerError> {
        let verifiers = [self.vkey.parse::<NoteVerifier>()?];
        let (checkpoint, _) = open(note, &verifiers)?;
        let (_, head) = tree::checkpoint(&self.keeper)?;
        require(
            checkpoint.size <= head.size,
            field,
            &format!("{} records", checkpoint.size),
            &format!("at most {}, which this log has", head.size),
        )?;
        let root = tree::root(&self.keeper, checkpoint.size)?;
        require(
            root == checkpoint.root,
            field,
            &checkpoint.root.to_string(),
            &format!("{root}, the root of our first {} records", checkpoint.size),
        )
    }

    /// Each certificate below the root is for a key that the keeper holds, and each such key has one, now or before.
    fn check_keys(&self, checked: &Checked) -> Result<(), SignerError> {
        let keys = self.held.load_full();
        for handed in &checked.below {
            let held = keys.get(&handed.key).map(PublicKey::digest);
            let found = Digest::of(&handed.view.spki_der);
            require(
                held == Some(found),
                &format!("hand-over: certificate of `{}`", handed.key),
                &format!("a key with SPKI digest {found}"),
                &held.map_or("a key that the keeper holds".to_owned(), |d| d.to_string()),
            )?;
            chain(handed, checked)?;
        }
        // A later ceremony certifies what is new; the others keep what they have.
        for name in keys.keys() {
            let handed = checked.below.iter().any(|h| h.key == *name);
            require(
                handed || self.reader.ca(name)?.is_some(),
                "hand-over: certificates",
                &format!("none for the key `{name}`"),
                "one for each CA key of the keeper that has none yet",
            )?;
        }
        Ok(())
    }

    fn import_bundle(&self, checked: &Checked, done: &mut Vec<String>) -> Result<(), SignerError> {
        if self.snapshot.load_full().in_force().is_ok() {
            let number = checked.bundle.number();
            done.push(format!("authority bundle {number} was adopted already"));
            return Ok(());
        }
        let index = self.adopt(&checked.bundle, checked.handover.bundle_texts.clone())?;
        let (number, digest) = (checked.bundle.number(), checked.bundle.digest());
        done.push(format!(
            "authority bundle {number} ({digest}) is in force, at {}",
            self.position(index)
        ));
        Ok(())
    }

    fn import_ceremony(&self, checked: &Checked, sha256: Digest, done: &mut Vec<String>) -> Result<(), SignerError> {
        if self
            .newest_import()?
            .is_some_and(|before| before.handover_sha256 == sha256)
        {
            done.push("the hand-over was recorded already".to_owned());
            return Ok(());
        }
        let handover = &checked.handover;
        let at = self.append(&Body::CeremonyImported(CeremonyImported {
            origin: handover.origin.clone(),
            vkey: handover.vkey.clone(),
            checkpoint: handover.checkpoint.clone(),
            handover_sha256: sha256,
        }))?;
        done.push(format!(
            "the ceremony {} is recorded, at {}",
            handover.origin,
            self.position(at.index)
        ));
        Ok(())
    }

    /// The root with its newest CRL; its certificate never changes, its CRL does at every ceremony.
    fn import_root(&self, checked: &Checked, done: &mut Vec<String>) -> Result<(), SignerError> {
        let crl = &checked.handover.root_crl.0;
        if self
            .reader
            .crl(&checked.root.key)?
            .is_some_and(|known| known.der == *crl)
        {
            done.push("the root's CRL was recorded already".to_owned());
            return Ok(());
        }
        let crl = self.keeper.payload(crl)?;
        self.append_certificate(&checked.root, Vec::new(), Some(crl), done)
    }

    fn import_certificate(&self, handed: &Handed, chain: Vec<B64>, done: &mut Vec<String>) -> Result<(), SignerError> {
        let before = self.reader.ca(&handed.key)?;
        if before.is_some_and(|b| b.ca.certificate.0 == handed.der) {
            done.push(format!("the certificate of `{}` was recorded already", handed.key));
            return Ok(());
        }
        self.append_certificate(handed, chain, None, done)
    }

    fn append_certificate(
        &self,
        handed: &Handed,
        chain: Vec<B64>,
        crl: Option<Payload>,
        done: &mut Vec<String>,
    ) -> Result<(), SignerError> {
        let at = self.append(&Body::CaCertificate(CaCertificate {
            key: handed.key.clone(),
            spki_sha256: Digest::of(&handed.view.spki_der),
            certificate: B64(handed.der.clone()),
            chain,
            crl,
        }))?;
        done.push(format!(
            "the certificate of `{}` is recorded, at {}",
            handed.key,
            self.position(at.index)
        ));
        Ok(())
    }
}
