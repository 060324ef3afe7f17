//! Certificates and CRLs, whole and to be signed. Taking one apart loses nothing: its parts stand in it unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stele_core::crl::{parse_crl, parse_tbs_crl};
use stele_core::tbs::{parse_certificate, parse_tbs};

fuzz_target!(|data: &[u8]| {
    let _ = parse_tbs(data);
    let _ = parse_tbs_crl(data);
    if let Ok((view, tbs, _, _)) = parse_certificate(data) {
        assert!(data.windows(tbs.len()).any(|part| part == tbs));
        assert_eq!(parse_tbs(&tbs), Ok(view));
    }
    if let Ok((view, tbs, _)) = parse_crl(data) {
        assert!(data.windows(tbs.len()).any(|part| part == tbs));
        assert_eq!(parse_tbs_crl(&tbs), Ok(view));
    }
});
