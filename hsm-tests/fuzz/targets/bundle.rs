//! Authority bundles. One that is accepted is exactly the bytes its content makes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stele_core::authority::Bundle;

fuzz_target!(|data: &[u8]| {
    if let Ok(bundle) = Bundle::parse(data) {
        assert_eq!(bundle.bytes(), data);
    }
});
