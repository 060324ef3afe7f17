//! Records of the ledger. One that is read has no other form than the bytes it was read from.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stele_core::record::{Body, Record};

fuzz_target!(|data: &[u8]| {
    if let Ok(record) = Record::decode(data) {
        assert_eq!(record.encode().as_deref().ok(), Some(data));
    }
    if let Ok(body) = Body::decode(data) {
        assert_eq!(body.encode().as_deref().ok(), Some(data));
    }
});
