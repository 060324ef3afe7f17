//! A text, and the armor of signatures over it.
#![allow(dead_code, unreachable_pub)] // every test binary uses another part of this

use base64ct::{Base64, Encoding};
use stele_core::sshsig::SignedText;

/// The namespace of every signature in the tests.
pub const NAMESPACE: &str = "stele-approval";
/// The text that is signed.
pub const TEXT: &str = "stele-approval-v1\norigin: log.example/1\ndecision: approve\n";

/// `TEXT` with this signature.
pub fn signed(signature: &str) -> SignedText {
    SignedText {
        text: TEXT.to_owned(),
        signature: signature.to_owned(),
    }
}

/// The armor as OpenSSH writes it.
pub fn armor(blob: &[u8]) -> String {
    let base64 = Base64::encode_string(blob);
    let lines: Vec<_> = base64
        .as_bytes()
        .chunks(70)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    format!(
        "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
        lines.join("\n")
    )
}

/// The blob inside an armor.
pub fn unarmor(armor: &str) -> Vec<u8> {
    let lines: Vec<_> = armor.lines().filter(|line| !line.starts_with('-')).collect();
    Base64::decode_vec(&lines.concat()).unwrap()
}
