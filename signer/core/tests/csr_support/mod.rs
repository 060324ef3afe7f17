//! Requests for the tests: made by the real `openssl`, or byte by byte and signed with a fixed Ed25519 key.
#![allow(dead_code, unreachable_pub)] // every test binary uses another part of this

use std::path::Path;
use std::process::Command;

use ed25519_dalek::{Signer, SigningKey};

/// Runs `openssl` in `dir` with the words of `arguments`; answers with its standard output.
pub fn openssl(dir: &Path, arguments: &str) -> Vec<u8> {
    let run = Command::new("openssl")
        .current_dir(dir)
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "openssl {arguments}: {errors}");
    run.stdout
}

/// A request by `openssl req` for a fresh key: `key` are arguments of `genpkey`, `request` more of `req`.
pub fn openssl_csr(key: &str, request: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    openssl(dir.path(), &format!("genpkey -out key.pem {key}"));
    openssl(
        dir.path(),
        &format!("req -new -key key.pem -subj /CN=test -outform DER {request}"),
    )
}

/// One tag-length-value, in the shortest form.
pub fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match value.len() {
        n @ 0..0x80 => out.push(n as u8),
        n @ 0x80..0x100 => out.extend([0x81, n as u8]),
        n => out.extend([0x82, (n >> 8) as u8, n as u8]),
    }
    out.extend_from_slice(value);
    out
}

/// A SEQUENCE of the parts.
pub fn seq(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// A relative distinguished name of one attribute: the last arc of 2.5.4.x, and the value with its tag.
pub fn rdn(arc: u8, tag: u8, value: &[u8]) -> Vec<u8> {
    tlv(0x31, &seq(&[tlv(0x06, &[0x55, 0x04, arc]), tlv(tag, value)]))
}

/// An Extension 2.5.29.x.
pub fn extension(arc: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { tlv(0x01, &[0xff]) } else { Vec::new() };
    seq(&[tlv(0x06, &[0x55, 0x1d, arc]), critical, tlv(0x04, value)])
}

/// The attribute extensionRequest with these extensions.
pub fn extension_request(extensions: &[Vec<u8>]) -> Vec<u8> {
    let oid = tlv(0x06, b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e");
    seq(&[oid, tlv(0x31, &seq(extensions))])
}

/// The key of [`signed`].
pub fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// The SubjectPublicKeyInfo of [`signing_key`].
pub fn spki() -> Vec<u8> {
    let algorithm = seq(&[tlv(0x06, b"\x2b\x65\x70")]);
    let key = [&[0][..], signing_key().verifying_key().as_bytes()].concat();
    seq(&[algorithm, tlv(0x03, &key)])
}

/// A correctly signed request from the encodings of its subject and of the contents of its attributes.
pub fn signed(subject: &[u8], attributes: &[u8]) -> Vec<u8> {
    signed_info(&seq(&[
        tlv(0x02, &[0]),
        subject.to_vec(),
        spki(),
        tlv(0xa0, attributes),
    ]))
}

/// A correctly signed request around any CertificationRequestInfo.
pub fn signed_info(info: &[u8]) -> Vec<u8> {
    let signature = [&[0][..], &signing_key().sign(info).to_bytes()].concat();
    seq(&[info.to_vec(), seq(&[tlv(0x06, b"\x2b\x65\x70")]), tlv(0x03, &signature)])
}
