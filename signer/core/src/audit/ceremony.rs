//! What joins logs: keys and requests that a ceremony gets, CA certificates and checkpoints that it hands over.

use std::sync::Arc;

use super::Verifier;
use super::examine::{CSR_LIMITS, SignedObject};
use super::keys::CaIdentity;
use super::policy::show;
use super::report::{Finding, Imported, OtherLog};
use super::texts::{Signed, line};
use crate::authority::Action;
use crate::authority::texts::{KeyAction, KeyText, Remaining};
use crate::ceremony::{self, CeremonyFile};
use crate::checkpoint::{self, NoteVerifier};
use crate::crl::parse_tbs_crl;
use crate::csr::Csr;
use crate::epoch::{CarriedCa, CarriedKey};
use crate::error::Error;
use crate::keycheck::PublicKey;
use crate::record::{Authority, CaCertificate, CeremonyImported, KeyDestroyed, KeyGenerated, KeyRole, SignerRequest};
use crate::tbs::{TbsView, parse_certificate};
use crate::types::{B64, Digest, Origin, Time};

impl Verifier {
    pub(super) fn key_generated(&mut self, at: (u64, Time), body: &KeyGenerated, texts: Vec<Result<Signed, Error>>) {
        let (index, _) = at;
        self.tally
            .same(index, "spki_sha256", &Digest::of(&body.spki.0), &body.spki_sha256);
        let public = PublicKey::from_spki_der(&body.spki.0);
        let public = self.tally.check(index, "public key", public).map(Arc::new);
        if let Some(public) = &public {
            self.tally
                .same(index, "key algorithm", &body.algorithm, &public.algorithm());
        }
        self.tally
            .check(index, "key", self.keys.add(CarriedKey::from(body), public, body.role));
        if body.role == KeyRole::Checkpoint {
            let fits = self.is_own_key(&body.spki.0);
            self.tally.check(index, "checkpoint key", fits);
        }
        match (&body.authority, self.bundles.newest(), body.role) {
            (Authority::Bootstrap, None, _) if self.succession.is_none() => {}
            (Authority::Succession, Some(_), KeyRole::Checkpoint) if self.succession.is_some() => {}
            (Authority::Approvals(_), Some(_), KeyRole::Ca) => {
                let fits = |text: &KeyText| {
                    line("action", &text.action, &KeyAction::Generate)?;
                    line("key", &text.key, &body.key)?;
                    line("algorithm", &text.algorithm, &body.algorithm)
                };
                self.agreed(at, Action::Key, texts, fits);
            }
            (found, ..) => {
                let found = format!("{found:?}");
                let expected = "bootstrap before the first bundle, then operators' approvals";
                self.tally.add(Finding::at(index, "authority", found, expected));
            }
        }
    }

    pub(super) fn key_destroyed(&mut self, at: (u64, Time), body: &KeyDestroyed, texts: Vec<Result<Signed, Error>>) {
        let (index, time) = at;
        let known = self.keys.ca(&body.key).map(|key| (key.number, key.spki_sha256));
        let Some((number, spki_sha256)) = self.tally.check(index, "key", known) else {
            return;
        };
        self.tally.same(index, "spki_sha256", &body.spki_sha256, &spki_sha256);
        let unexpired = self.serials.unexpired(number, time).len();
        let fits = |text: &KeyText| {
            line("action", &text.action, &KeyAction::Destroy)?;
            line("key", &text.key, &body.key)?;
            line("spki-sha256", &show(text.spki_sha256), &body.spki_sha256.to_string())?;
            if unexpired > 0 && text.certificates == Remaining::Expired {
                let found = format!("{unexpired} certificates of `{}` that have not expired", body.key);
                return Err(Error::malformed(
                    "key",
                    found,
                    "none, or a text that says `certificates: abandoned`",
                ));
            }
            Ok(())
        };
        self.agreed(at, Action::Key, texts, fits);
        if let Some(key) = self.keys.get_mut(&body.key) {
            key.carried.held = false;
        }
    }

    fn is_own_key(&self, spki_der: &[u8]) -> Result<(), Error> {
        let origin: Origin = self.origin().parse()?;
        if NoteVerifier::for_key(&origin, spki_der)? == self.vkey {
            return Ok(());
        }
        Err(Error::malformed("checkpoint key", "another key", self.vkey.to_string()))
    }

    pub(super) fn signer_request(&mut self, index: u64, body: &SignerRequest) {
        self.other_log(index, &body.origin, &body.vkey, &body.checkpoint);
        let Some(bytes) = self.chunks.take(index, &body.request, &mut self.tally) else {
            return;
        };
        let file = self
            .tally
            .check(index, "signer's request", ceremony::SignerRequest::decode(&bytes));
        let Some(file) = file else { return };
        if (&file.origin, &file.vkey, &file.checkpoint) != (&body.origin, &body.vkey, &body.checkpoint) {
            let expected = "origin, key and checkpoint of the record";
            self.tally.add(Finding::at(
                index,
                "signer's request",
                "a file about another log",
                expected,
            ));
        }
        if let Some(before) = &self.request {
            self.tally.check(index, "signer's request", file.follows(before));
        }
        self.request = Some(body.clone());
        for key in &file.keys {
            let proved = Csr::prove(&key.csr.0, &CSR_LIMITS)
                .map_err(|refusal| Error::unverified(format!("CSR of `{}`", key.key), refusal.to_string()));
            if let Some(csr) = self.tally.check(index, "signer's request", proved) {
                self.tally
                    .same(index, "signer's request", &csr.public_key().digest(), &key.spki_sha256);
            }
        }
        self.adopted_elsewhere = self
            .tally
            .check(index, "bundles of the signer's log", file.proven_bundles())
            .unwrap_or_default();
    }

    pub(super) fn ceremony_imported(&mut self, index: u64, body: &CeremonyImported) {
        self.other_log(index, &body.origin, &body.vkey, &body.checkpoint);
    }

    fn other_log(&mut self, index: u64, origin: &Origin, vkey: &str, note: &str) {
        let opened = vkey.parse::<NoteVerifier>().and_then(|vkey| {
            let (checkpoint, _) = checkpoint::open(note, std::slice::from_ref(&vkey))?;
            if checkpoint.origin == *origin {
                return Ok(());
            }
            Err(Error::malformed(
                "checkpoint",
                checkpoint.origin.to_string(),
                origin.to_string(),
            ))
        });
        self.tally.check(index, "the other log's checkpoint", opened);
        self.other_logs.push(OtherLog {
            index,
            origin: origin.clone(),
            vkey: vkey.to_owned(),
            checkpoint: note.to_owned(),
        });
    }

    pub(super) fn ca_certificate(&mut self, index: u64, body: &CaCertificate) {
        let chain = verify_chain(&body.certificate.0, &body.chain);
        let Some(path) = self.tally.check(index, "CA certificate chain", chain) else {
            return;
        };
        let Some(own) = path.first() else { return };
        let spki_sha256 = Digest::of(&own.spki_der);
        self.tally.same(index, "spki_sha256", &body.spki_sha256, &spki_sha256);
        if let Some(key) = self.keys.get(&body.key) {
            self.tally
                .same(index, "key of the CA certificate", &spki_sha256, &key.spki_sha256);
        }
        self.tally
            .check(index, "key in the bundle", self.bundles.names(&body.key, spki_sha256));
        self.judge_root(index, body, path.last());
        let crl = body
            .crl
            .as_ref()
            .and_then(|crl| self.chunks.take(index, crl, &mut self.tally));
        if let Some(crl) = &crl {
            self.tally.check(index, "imported CRL", verify_crl(crl, own));
        }
        let carried = CarriedCa {
            key: body.key.clone(),
            certificate: body.certificate.clone(),
            chain: body.chain.clone(),
            crl: crl.map(B64),
        };
        self.cas.insert(body.key.clone(), carried);
        if let Some(identity) = CaIdentity::of(own) {
            self.keys.learn(spki_sha256, identity);
        }
        self.imported.push(Imported {
            index,
            key: body.key.clone(),
            spki_sha256,
            certificate_sha256: Digest::of(&body.certificate.0),
        });
    }

    /// A chain ends at a root that the bundle names, or that the log recorded on its own; otherwise anyone's would do.
    fn judge_root(&mut self, index: u64, body: &CaCertificate, root: Option<&TbsView>) {
        self.tally.count("root");
        let root_der = body.chain.last().unwrap_or(&body.certificate);
        let digest = Digest::of(&root_der.0);
        if body.chain.is_empty() {
            self.roots.insert(digest);
        }
        let named = root.is_some_and(|view| self.bundles.names_key(Digest::of(&view.spki_der)));
        if !named && !self.roots.contains(&digest) {
            let found = format!("a chain to the root {digest}");
            let expected = "a root that the bundle names or an earlier record brought";
            self.tally.add(Finding::at(index, "root", found, expected));
        }
    }
}

/// Verifies a CA certificate up to the root at the end of `chain`; answers with all of them, the certificate first.
fn verify_chain(certificate: &[u8], chain: &[B64]) -> Result<Vec<TbsView>, Error> {
    let all = std::iter::once(certificate).chain(chain.iter().map(|c| c.0.as_slice()));
    let parts: Vec<_> = all.map(parse_certificate).collect::<Result<_, _>>()?;
    // The root is its own issuer.
    let issuers = parts.iter().skip(1).chain(parts.last());
    for ((view, tbs, algorithm, signature), (issuer, ..)) in parts.iter().zip(issuers) {
        PublicKey::from_spki_der(&issuer.spki_der)?.verify(*algorithm, tbs, signature)?;
        let identity = CaIdentity::of(issuer)
            .ok_or_else(|| Error::malformed("CA certificate", "basicConstraints without CA", "a CA's certificate"))?;
        let self_signed_without_aki = view.authority_key_identifier.is_none() && view == issuer;
        if !self_signed_without_aki && !identity.is_named(&view.issuer_der, view.authority_key_identifier.as_deref()) {
            let permitted = "the exact subject and key identifier of its issuer's certificate";
            return Err(Error::malformed("issuer", "another name or key identifier", permitted));
        }
        if view != issuer {
            identity.permits(view)?;
        }
    }
    Ok(parts.into_iter().map(|(view, ..)| view).collect())
}

fn verify_crl(der: &[u8], issuer: &TbsView) -> Result<(), Error> {
    let signed = SignedObject::read(der)?;
    let view = parse_tbs_crl(&signed.tbs)?;
    if view.issuer_der != issuer.subject_der
        || Some(&view.issuer_key_identifier) != issuer.subject_key_identifier.as_ref()
    {
        return Err(Error::malformed(
            "CRL issuer",
            "another name or key identifier",
            "those of the certificate",
        ));
    }
    PublicKey::from_spki_der(&issuer.spki_der)?.verify(signed.algorithm, &signed.tbs, &signed.signature)
}
