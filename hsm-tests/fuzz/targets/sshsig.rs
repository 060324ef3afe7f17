//! SSH signatures and keys: as text, and as the bytes inside the base64, which mutated text seldom reaches.

#![no_main]

use base64ct::{Base64, Encoding};
use libfuzzer_sys::fuzz_target;
use stele_core::sshsig::{SshPublicKey, verify};
use stele_core::types::SignedText;

/// The namespace of the seeds.
const NAMESPACE: &str = "stele-bundle";
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "\n-----END SSH SIGNATURE-----\n";
/// Where OpenSSH wraps.
const LINE: usize = 70;

fuzz_target!(|data: &[u8]| {
    if let Ok(key) = SshPublicKey::from_blob(data) {
        assert_eq!(key.blob(), data);
        assert_eq!(key.to_string().parse().ok(), Some(key));
    }
    let _ = verify(
        &SignedText {
            text: "text\n".to_owned(),
            signature: armored(data),
        },
        NAMESPACE,
    );
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = text.parse::<SshPublicKey>();
        let (text, signature) = text.split_at(text.find(BEGIN).unwrap_or(0));
        let _ = verify(
            &SignedText {
                text: text.to_owned(),
                signature: signature.to_owned(),
            },
            NAMESPACE,
        );
    }
});

fn armored(blob: &[u8]) -> String {
    let base64 = Base64::encode_string(blob);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(LINE)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    format!("{BEGIN}{}{END}", lines.join("\n"))
}
