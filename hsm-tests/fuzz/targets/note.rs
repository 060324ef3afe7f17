//! What the log publishes. Only the canonical form is taken, so whatever is read must be written as it was.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use stele_core::checkpoint::tile::{decode_bundle, decode_hashes, encode_bundle};
use stele_core::checkpoint::{Checkpoint, Note, NoteVerifier, SignatureLine, TilePath, TlogProof};

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
    }
});

fn round_trip<T: FromStr + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}
