//! Signatures put together by hand as PROTOCOL.sshsig and PROTOCOL.u2f say: hardware keys, odd envelopes, foreign bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod sshsig_support;

use ed25519_dalek::Signer;
use p256::ecdsa::{Signature as EcdsaSignature, SigningKey as EcdsaKey};
use proptest::prelude::*;
use sha2::{Digest, Sha256, Sha512};
use sshsig_support::{NAMESPACE, TEXT, armor, signed, unarmor};
use stele_core::sshsig::{SignedText, SshPublicKey, verify};

/// A `string` of RFC 4251.
fn string(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u32).to_be_bytes()[..], octets].concat()
}

/// A positive `mpint` of RFC 4251.
fn mpint(octets: &[u8]) -> Vec<u8> {
    let start = octets.iter().position(|b| *b != 0).unwrap();
    let sign: &[u8] = if octets[start] & 0x80 == 0 { &[] } else { &[0] };
    string(&[sign, &octets[start..]].concat())
}

/// What PROTOCOL.sshsig says is signed for `TEXT`.
fn to_be_signed() -> Vec<u8> {
    let digest = Sha512::digest(TEXT);
    [
        &b"SSHSIG"[..],
        &string(NAMESPACE.as_bytes()),
        &string(b""),
        &string(b"sha512"),
        &string(&digest),
    ]
    .concat()
}

/// What a token signs instead of `message` (PROTOCOL.u2f).
fn token_data(application: &str, flags: u8, counter: u32) -> Vec<u8> {
    let message = Sha256::digest(to_be_signed());
    [
        &Sha256::digest(application)[..],
        &[flags],
        &counter.to_be_bytes(),
        &message,
    ]
    .concat()
}

fn envelope(key: &[u8], signature: &[u8]) -> SignedText {
    let parts = [
        string(key),
        string(NAMESPACE.as_bytes()),
        string(b""),
        string(b"sha512"),
        string(signature),
    ];
    signed(&armor(&[&b"SSHSIG\0\0\0\x01"[..], &parts.concat()].concat()))
}

fn sk_ed25519(application: &str, flags: u8) -> (Vec<u8>, SignedText) {
    const NAME: &[u8] = b"sk-ssh-ed25519@openssh.com";
    let token = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let key = [
        string(NAME),
        string(token.verifying_key().as_bytes()),
        string(application.as_bytes()),
    ]
    .concat();
    let signature = token.sign(&token_data(application, flags, 77)).to_bytes();
    let signature = [
        string(NAME),
        string(&signature),
        vec![flags],
        77u32.to_be_bytes().to_vec(),
    ]
    .concat();
    let text = envelope(&key, &signature);
    (key, text)
}

fn sk_ecdsa(application: &str, flags: u8) -> (Vec<u8>, SignedText) {
    const NAME: &[u8] = b"sk-ecdsa-sha2-nistp256@openssh.com";
    let token = EcdsaKey::from_slice(&[9; 32]).unwrap();
    let point = token.verifying_key().to_sec1_point(false);
    let key = [
        string(NAME),
        string(b"nistp256"),
        string(point.as_bytes()),
        string(application.as_bytes()),
    ]
    .concat();
    let signature: EcdsaSignature = token.sign(&token_data(application, flags, 77));
    let (r, s) = signature.split_bytes();
    let value = [mpint(&r), mpint(&s)].concat();
    let signature = [string(NAME), string(&value), vec![flags], 77u32.to_be_bytes().to_vec()].concat();
    let text = envelope(&key, &signature);
    (key, text)
}

#[test]
fn hardware_keys_count_only_when_touched() {
    for make in [sk_ed25519, sk_ecdsa] {
        // 0x01: user present; 0x04: user verified by PIN.
        for flags in [0x01, 0x05] {
            let (key, text) = make("ssh:", flags);
            let signer = verify(&text, NAMESPACE).unwrap();
            assert_eq!(signer, SshPublicKey::from_blob(&key).unwrap());
            assert!(signer.is_hardware());
        }
        for flags in [0x00, 0x04] {
            let refused = verify(&make("ssh:", flags).1, NAMESPACE).unwrap_err().to_string();
            assert!(refused.contains("without a touch"), "{refused}");
        }
        // An assertion that a web site asked for is not a signature.
        let refused = verify(&make("https://example.org", 0x01).1, NAMESPACE)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("begins with `ssh:`"), "{refused}");
    }
}

#[test]
fn no_bit_of_a_hardware_signature_can_be_changed() {
    for make in [sk_ed25519, sk_ecdsa] {
        let (_, good) = make("ssh:", 0x01);
        let blob = unarmor(&good.signature);
        for bit in 0..blob.len() * 8 {
            let mut changed = blob.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&signed(&armor(&changed)), NAMESPACE).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn envelopes_of_other_forms_are_refused() {
    let token = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let key = [string(b"ssh-ed25519"), string(token.verifying_key().as_bytes())].concat();
    let make = |version: u8, reserved: &[u8], hash: &[u8], digest: &[u8], format: &[u8]| {
        let namespace = string(NAMESPACE.as_bytes());
        let data = [
            &b"SSHSIG"[..],
            &namespace,
            &string(reserved),
            &string(hash),
            &string(digest),
        ]
        .concat();
        let signature = [string(format), string(&token.sign(&data).to_bytes())].concat();
        let parts = [
            string(&key),
            namespace,
            string(reserved),
            string(hash),
            string(&signature),
        ]
        .concat();
        verify(
            &signed(&armor(&[&b"SSHSIG\0\0\0"[..], &[version], &parts].concat())),
            NAMESPACE,
        )
    };
    let (sha512, sha1) = (Sha512::digest(TEXT), [0u8; 20]);
    assert!(make(1, b"", b"sha512", &sha512, b"ssh-ed25519").is_ok());
    for (result, why) in [
        (make(2, b"", b"sha512", &sha512, b"ssh-ed25519"), "version 2"),
        (make(1, b"x", b"sha512", &sha512, b"ssh-ed25519"), "reserved"),
        (make(1, b"", b"sha1", &sha1, b"ssh-ed25519"), "hash `sha1`"),
        (
            make(1, b"", b"sha512", &sha512, b"ssh-rsa"),
            "signature format `ssh-rsa`",
        ),
        (
            make(1, b"", b"sha512", &sha512, b"sk-ssh-ed25519@openssh.com"),
            "signature format",
        ),
    ] {
        let refused = result.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused} should say {why}");
    }
    assert!(verify(&sk_ed25519("ssh:", 1).1, "").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn foreign_signatures_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
        let with_magic = [&b"SSHSIG\0\0\0\x01"[..], &bytes].concat();
        prop_assert!(verify(&signed(&armor(&with_magic)), NAMESPACE).is_err());
        prop_assert!(verify(&signed(&text), NAMESPACE).is_err());
        prop_assert!(SshPublicKey::from_blob(&bytes).is_err());
        let _ = text.parse::<SshPublicKey>();
    }

    #[test]
    fn mutated_signatures_never_verify(at in any::<usize>(), cut in 0usize..5, insert in prop::collection::vec(any::<u8>(), 0..5)) {
        let (_, good) = sk_ecdsa("ssh:", 1);
        let blob = unarmor(&good.signature);
        let at = at % blob.len();
        let mut changed = blob.clone();
        changed.splice(at..(at + cut).min(blob.len()), insert);
        prop_assume!(changed != blob);
        prop_assert!(verify(&signed(&armor(&changed)), NAMESPACE).is_err());
    }
}
