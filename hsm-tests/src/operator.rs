//! Operators with real SSH keys, who sign with the real `ssh-keygen`.

use std::path::PathBuf;
use std::process::Command;

use stele_core::authority::texts::OperatorText;
use stele_core::types::SignedText;

use crate::scratch::Scratch;

/// A person with an SSH key.
pub struct Operator {
    /// Their name.
    pub name: String,
    key: PathBuf,
    /// Their public key, one `authorized_keys` line.
    pub public: String,
}

impl Operator {
    /// A new Ed25519 key in the scratch directory.
    pub fn new(scratch: &Scratch, name: &str) -> Self {
        let key = scratch.path(&format!("ssh-{name}"));
        let status = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(&key)
            .status();
        assert!(status.expect("ssh-keygen runs").success());
        let public = std::fs::read_to_string(key.with_extension("pub")).expect("the public key");
        Self {
            name: name.to_owned(),
            key,
            public: public.trim().to_owned(),
        }
    }

    /// Signs a text in a namespace.
    pub fn sign_in(&self, namespace: &str, text: &str) -> SignedText {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("text");
        std::fs::write(&file, text).expect("the text");
        let out = Command::new("ssh-keygen")
            .args(["-Y", "sign", "-q", "-n", namespace, "-f"])
            .arg(&self.key)
            .arg(&file)
            .output();
        let out = out.expect("ssh-keygen runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let signature = std::fs::read_to_string(file.with_extension("sig")).expect("the signature");
        SignedText {
            text: text.to_owned(),
            signature,
        }
    }

    /// Signs a text in the namespace of its kind.
    pub fn sign<T: OperatorText>(&self, text: &T) -> SignedText {
        self.sign_in(T::NAMESPACE, &text.to_string())
    }
}
