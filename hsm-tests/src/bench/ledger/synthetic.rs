//! A log of as many certificates as one likes, made without a token: it verifies as a real one does.

use std::collections::VecDeque;
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use der::{Decode as _, Encode as _};
use stele_core::checkpoint::tiler::{TileFile, Tiler};
use stele_core::checkpoint::{Checkpoint, assemble as assemble_note};
use stele_core::record::{Body, Intent, Issued, Payload, Record};
use stele_core::request::KeyProof;
use stele_core::tbs::assemble;
use stele_core::types::{B64, Digest, Serial, SignatureAlgorithm, Time};

use x509_cert::request::CertReq;

use super::Fallible;
use super::support::keys::{Key, certificate, note_key};
use super::support::{NOW, signer};

/// A signature that the verifier has to check, with what it has to hash for it.
pub(super) struct Bare {
    pub(super) tbs: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) csr: Vec<u8>,
    pub(super) csr_signature: Vec<u8>,
    pub(super) entries: [Vec<u8>; 2],
}

/// What was made.
pub(super) struct Made {
    pub(super) bytes: u64,
    pub(super) bare: Vec<Bare>,
}

/// Issues certificates.
struct Issuer {
    world: signer::Signer,
    key: EcdsaKeyPair,
    leaf: Key,
    template: Intent,
    next: u64,
}

impl Issuer {
    fn new() -> Fallible<Self> {
        let world = signer::build();
        let ca = [1; 32];
        let public = signer::issuing().public();
        let point = public.spki_der().last_chunk::<65>().ok_or("no point in the key")?;
        let key = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_ASN1_SIGNING, &ca, point)
            .map_err(|e| e.to_string())?;
        Ok(Self {
            template: signer::leaf(&world.bundle, 99),
            world,
            key,
            leaf: Key::p256(77),
            next: 0,
        })
    }

    /// Intent and outcome of the next certificate, at these places of the log.
    fn issue(&mut self, index: u64) -> Fallible<([Record; 2], Bare)> {
        self.next += 1;
        let mut spec = certificate(
            1,
            "system:node:node-1",
            &self.leaf,
            ("Issuing", &signer::issuing()),
            None,
        );
        let mut octets = [0x5a; 20];
        octets[12..].copy_from_slice(&self.next.to_be_bytes());
        spec.serial = Serial::from_entropy(octets);
        let tbs = spec.to_tbs_der()?;
        let mut asked = signer::asked("bench", "kubelet-client", &self.leaf);
        asked.id = format!("bench-{}", self.next).parse()?;
        let KeyProof::Pkcs10(csr) = &asked.proof else {
            return Err("no CSR".into());
        };
        let request = CertReq::from_der(csr)?;
        let mut intent = self.template.clone();
        intent.request.id = asked.id.clone();
        intent.request.digest = asked.digest();
        intent.asked = Some(asked);
        intent.tbs_sha256 = Digest::of(&tbs);
        intent.tbs = Payload::Inline(B64(tbs.clone()));
        intent.serial = Some(spec.serial.clone());
        let signature = self.key.sign(&SystemRandom::new(), &tbs).map_err(|e| e.to_string())?;
        let whole = assemble(&tbs, SignatureAlgorithm::EcdsaSha256, signature.as_ref())?;
        let outcome = Issued {
            intent: index,
            request: intent.request.clone(),
            purpose: intent.purpose,
            key: intent.key.clone(),
            serial: intent.serial.clone(),
            sha256: Digest::of(&whole),
            signed: Payload::Inline(B64(whole)),
        };
        let time = Time::from_millis((NOW + 3600) * 1000 + self.next);
        let record = |index, body| Record { index, time, body };
        let records = [
            record(index, Body::Intent(Box::new(intent))),
            record(index + 1, Body::Issued(Box::new(outcome))),
        ];
        let bare = Bare {
            tbs,
            signature: signature.as_ref().to_vec(),
            csr: request.info.to_der()?,
            csr_signature: request.signature.raw_bytes().to_vec(),
            entries: [records[0].encode()?, records[1].encode()?],
        };
        Ok((records, bare))
    }
}

/// Bytes in the keeper's store for each certificate.
pub(super) fn stored_bytes(path: &Path, certificates: u64) -> Fallible<u64> {
    let mut ledger = stele_ledger::Ledger::create(path)?;
    let mut issuer = Issuer::new()?;
    let mut waiting = Vec::new();
    for n in 0..certificates {
        let (_, bare) = issuer.issue(n * 2)?;
        waiting.extend(bare.entries);
        if waiting.len() == 512 || n + 1 == certificates {
            ledger.append(&waiting, &[])?;
            waiting.clear();
        }
    }
    drop(ledger);
    let with = |suffix: &str| {
        path.with_file_name(format!("ledger.db{suffix}"))
            .metadata()
            .map_or(0, |m| m.len())
    };
    Ok((with("") + with("-wal")) / certificates)
}

/// Writes an export of so many certificates, and keeps the bare work of the first `keep`.
pub(super) fn export(root: &Path, certificates: u64, keep: usize) -> Fallible<Made> {
    let mut issuer = Issuer::new()?;
    let mut made = Made {
        bytes: 0,
        bare: Vec::new(),
    };
    let mut tiler = Tiler::new();
    for record in &issuer.world.log.raw() {
        write(root, tiler.push(record)?, &mut made.bytes)?;
    }
    let before = made.bytes;
    for _ in 0..certificates {
        let (_, bare) = issuer.issue(tiler.size())?;
        for entry in &bare.entries {
            write(root, tiler.push(entry)?, &mut made.bytes)?;
        }
        if made.bare.len() < keep {
            made.bare.push(bare);
        }
    }
    let head = Checkpoint {
        origin: issuer.world.log.origin.parse()?,
        size: tiler.size(),
        root: tiler.root(),
    };
    write(root, tiler.partials()?, &mut made.bytes)?;
    made.bytes -= before;
    let vkey = issuer.world.log.vkey();
    let signature = ed25519_dalek::Signer::sign(&note_key(issuer.world.log.seed), head.body().as_bytes());
    std::fs::write(
        root.join("checkpoint"),
        assemble_note(&head.body(), &vkey, &signature.to_bytes())?,
    )?;
    std::fs::write(root.with_extension("vkey"), vkey.to_string())?;
    Ok(made)
}

fn write(root: &Path, files: impl Into<VecDeque<TileFile>>, bytes: &mut u64) -> Fallible<()> {
    for file in files.into() {
        let path = root.join(file.path.to_string());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        *bytes += file.bytes.len() as u64;
        std::fs::write(path, file.bytes)?;
    }
    Ok(())
}
