//! Keys for the tests of notes and proofs.
#![allow(unreachable_pub, dead_code, reason = "each test uses its part")]

use ed25519_dalek::Signer as _;
use stele_core::checkpoint::{self, Checkpoint, NoteKeyType, NoteVerifier, SignatureLine};
use stele_core::types::Digest;

/// The origin of the tests' log.
pub const ORIGIN: &str = "log.example/stele";

/// The head of the tests' log.
pub fn checkpoint(size: u64, root: Digest) -> Checkpoint {
    let origin = ORIGIN.parse().unwrap();
    Checkpoint { origin, size, root }
}

/// A log's or witness's Ed25519 key.
pub struct Key(pub ed25519_dalek::SigningKey);

impl Key {
    pub fn new(seed: u8) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
    }

    pub fn verifier(&self, name: &str, key_type: NoteKeyType) -> NoteVerifier {
        NoteVerifier::new(name, key_type, self.0.verifying_key().as_bytes()).unwrap()
    }

    pub fn log(&self) -> NoteVerifier {
        self.verifier(ORIGIN, NoteKeyType::Ed25519)
    }

    pub fn note(&self, checkpoint: &Checkpoint) -> String {
        let body = checkpoint.body();
        checkpoint::assemble(&body, &self.log(), &self.0.sign(body.as_bytes()).to_bytes()).unwrap()
    }

    pub fn cosign(&self, name: &str, body: &str, seconds: u64) -> SignatureLine {
        let message = format!("cosignature/v1\ntime {seconds}\n{body}");
        let signature = [&seconds.to_be_bytes(), &self.0.sign(message.as_bytes()).to_bytes()[..]].concat();
        let id = self.verifier(name, NoteKeyType::CosignatureV1).key_id();
        SignatureLine::new(name, id, signature).unwrap()
    }
}
