//! What the log publishes, and what witnesses answer. Only the canonical form is taken, so whatever is read must be written as it was.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use stele_core::checkpoint::tile::{decode_bundle, decode_hashes, encode_bundle};
use stele_core::checkpoint::witness::{Answer, CosignedCheckpoint, SIZE_CONTENT_TYPE, cosignatures};
use stele_core::checkpoint::{Checkpoint, Note, NoteKeyType, NoteVerifier, SignatureLine, TilePath, TlogProof};

fuzz_target!(|data: &[u8]| {
    let _ = decode_hashes(data);
    if let Ok(entries) = decode_bundle(data) {
        assert_eq!(encode_bundle(&entries).as_deref().ok(), Some(data));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        round_trip::<Note>(text);
        round_trip::<SignatureLine>(text);
        round_trip::<Checkpoint>(text);
        round_trip::<TlogProof>(text);
        round_trip::<TilePath>(text);
        round_trip::<NoteVerifier>(text);
        let _ = Checkpoint::from_note_unverified(text);
        witness(text);
    }
    for status in [200, 403, 409, 422, 500] {
        let _ = Answer::read(status, Some(SIZE_CONTENT_TYPE), data);
    }
});

/// No stranger signs for a key that is not theirs.
fn witness(text: &str) {
    let key = |name, kind, seed: u8| {
        let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        NoteVerifier::new(name, kind, secret.verifying_key().as_bytes()).expect("a key")
    };
    let log = key("log.example", NoteKeyType::Ed25519, 1);
    let witness = key("witness.example", NoteKeyType::CosignatureV1, 2);
    if let Ok(note) = text.parse::<Note>() {
        assert!(cosignatures(text, &note, &witness).is_err());
    }
    assert!(CosignedCheckpoint::open(text, &log, &[witness]).is_err());
}

fn round_trip<T: FromStr + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}
