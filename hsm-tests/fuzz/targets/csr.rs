//! PKCS#10 requests: as they come, and as the content of a request that is then signed with a fixed key. Without the
//! second, no input that differs from a seed would get past the check of its signature.

#![no_main]

use ed25519_dalek::{Signer, SigningKey};
use libfuzzer_sys::fuzz_target;
use stele_core::csr::{Csr, Limits};

/// The key whose public half the seeds `signed-*` carry.
const SECRET: [u8; 32] = [7; 32];
/// AlgorithmIdentifier id-Ed25519 (RFC 8410 section 3).
const ED25519: [u8; 7] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
/// BIT STRING of 64 octets without unused bits.
const BIT_STRING: [u8; 3] = [0x03, 0x41, 0x00];

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    let _ = Csr::from_pem_or_der(data, &limits);
    if let Ok(csr) = Csr::prove(&signed(data), &limits) {
        assert_eq!(csr.der(), signed(data));
    }
});

/// CertificationRequest ::= SEQUENCE { info, algorithm, signature } (RFC 2986 section 4.2).
fn signed(info: &[u8]) -> Vec<u8> {
    let signature = SigningKey::from_bytes(&SECRET).sign(info).to_bytes();
    let content = [info, &ED25519, &BIT_STRING, &signature].concat();
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|octet| **octet == 0).count();
    let length = match content.len() {
        short @ 0..=0x7f => vec![short as u8],
        _ => [&[0x80 | (length.len() - zeros) as u8], &length[zeros..]].concat(),
    };
    [&[0x30], length.as_slice(), &content].concat()
}
