//! Texts signed by the real `ssh-keygen`, with every kind of key that needs no hardware.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod sshsig_support;

use std::path::Path;
use std::process::{Command, Stdio};

use sshsig_support::{NAMESPACE, TEXT, armor, signed, unarmor};
use stele_core::sshsig::{SignedText, SshPublicKey, verify};

fn ssh_keygen(dir: &Path, arguments: &[&str]) -> String {
    let run = Command::new("ssh-keygen")
        .current_dir(dir)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "ssh-keygen {arguments:?}: {errors}");
    String::from_utf8(run.stdout).unwrap()
}

/// A fresh key of the given type, its `.pub` line, and `TEXT` signed with it.
fn signed_by_ssh_keygen(kind: &[&str], options: &[&str]) -> (String, String, SignedText) {
    let dir = tempfile::tempdir().unwrap();
    ssh_keygen(
        dir.path(),
        &[&["-q", "-N", "", "-C", "a comment", "-f", "key", "-t"], kind].concat(),
    );
    std::fs::write(dir.path().join("text"), TEXT).unwrap();
    ssh_keygen(
        dir.path(),
        &[&["-Y", "sign", "-q", "-n", NAMESPACE, "-f", "key"], options, &["text"]].concat(),
    );
    let line = std::fs::read_to_string(dir.path().join("key.pub")).unwrap();
    let signature = std::fs::read_to_string(dir.path().join("text.sig")).unwrap();
    let fingerprint = ssh_keygen(dir.path(), &["-l", "-f", "key.pub"]);
    let fingerprint = fingerprint.split(' ').nth(1).unwrap().to_owned();
    (line, fingerprint, signed(&signature))
}

#[test]
fn every_kind_of_software_key_verifies() {
    for (kind, options) in [
        (&["ed25519"][..], &[][..]),
        (&["ed25519"], &["-O", "hashalg=sha256"]),
        (&["ecdsa", "-b", "256"], &[]),
        (&["ecdsa", "-b", "384"], &[]),
        (&["ecdsa", "-b", "521"], &["-O", "hashalg=sha256"]),
        (&["rsa", "-b", "3072"], &[]),
        (&["rsa", "-b", "4096"], &["-O", "hashalg=sha256"]),
    ] {
        let (line, fingerprint, signed) = signed_by_ssh_keygen(kind, options);
        let listed: SshPublicKey = line.parse().unwrap();
        let signer = verify(&signed, NAMESPACE).unwrap_or_else(|e| panic!("{kind:?} {options:?}: {e}"));
        assert_eq!(signer, listed);
        assert_eq!(signer.fingerprint(), fingerprint);
        assert!(!signer.is_hardware());
        assert_eq!(format!("{listed} a comment\n"), line);
        assert_eq!(
            serde_json::from_str::<SshPublicKey>(&serde_json::to_string(&listed).unwrap()).unwrap(),
            listed
        );

        let other = verify(&signed, "stele-plan").unwrap_err().to_string();
        assert!(
            other.contains("namespace `stele-approval`, not `stele-plan`"),
            "{other}"
        );
        let altered = SignedText {
            text: TEXT.replace("approve", "reject"),
            ..signed.clone()
        };
        assert!(
            verify(&altered, NAMESPACE)
                .unwrap_err()
                .to_string()
                .contains("does not verify")
        );
        let swapped = SignedText {
            text: TEXT.trim_end().to_owned(),
            ..signed
        };
        assert!(verify(&swapped, NAMESPACE).is_err());
    }
}

#[test]
fn no_bit_of_a_signature_can_be_changed() {
    for kind in [&["ed25519"][..], &["ecdsa", "-b", "256"], &["rsa", "-b", "3072"]] {
        let (_, _, good) = signed_by_ssh_keygen(kind, &[]);
        let blob = unarmor(&good.signature);
        assert_eq!(armor(&blob), good.signature);
        let original = verify(&good, NAMESPACE).unwrap();
        for bit in 0..blob.len() * 8 {
            let mut changed = blob.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(
                verify(&signed(&armor(&changed)), NAMESPACE).ok(),
                Some(original.clone()),
                "{kind:?} {bit}"
            );
            assert!(
                verify(&signed(&armor(&changed)), NAMESPACE).is_err(),
                "{kind:?} bit {bit}"
            );
        }
        let trailing = [&blob[..], &[0]].concat();
        assert!(verify(&signed(&armor(&trailing)), NAMESPACE).is_err());
    }
}

#[test]
fn the_armor_has_one_form() {
    let (_, _, good) = signed_by_ssh_keygen(&["ed25519"], &[]);
    let armor = good.signature.as_str();
    assert!(verify(&signed(armor.trim_end()), NAMESPACE).is_ok());
    for bad in [
        String::new(),
        format!(" {armor}"),
        format!("{armor}\n"),
        format!("{armor}{armor}"),
        armor.replace('\n', "\r\n"),
        armor.replacen('\n', "\n\n", 2),
        armor.replace("SSH SIGNATURE", "PGP SIGNATURE"),
        armor.replace("==", "="),
        armor.replace("U1NIU0lH", "U1NIU0l!"),
        armor
            .lines()
            .filter(|l| !l.starts_with("-----END"))
            .collect::<Vec<_>>()
            .join("\n"),
        format!(
            "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
            "A".repeat(80)
        ),
        format!(
            "-----BEGIN SSH SIGNATURE-----\n{}-----END SSH SIGNATURE-----\n",
            "AAAA\n".repeat(4000)
        ),
    ] {
        assert!(verify(&signed(&bad), NAMESPACE).is_err(), "{bad}");
    }
}

#[test]
fn keys_that_may_not_sign_are_refused() {
    let (line, _, _) = signed_by_ssh_keygen(&["ed25519"], &[]);
    let words: Vec<_> = line.split_whitespace().collect();
    for bad in [
        String::new(),
        words[0].to_owned(),
        format!("no-touch-required {line}"),
        format!("{line}{line}"),
        format!("ssh-rsa {}", words[1]),
        format!("ssh-dss {}", words[1]),
        format!("{} {}AAAA", words[0], words[1]),
        format!("{} {}!", words[0], words[1]),
        format!("{line}{}", "c".repeat(5000)),
    ] {
        assert!(bad.parse::<SshPublicKey>().is_err(), "{bad}");
    }
    let (rsa, _, signed) = {
        let dir = tempfile::tempdir().unwrap();
        ssh_keygen(dir.path(), &["-q", "-N", "", "-t", "rsa", "-b", "2048", "-f", "key"]);
        std::fs::write(dir.path().join("text"), TEXT).unwrap();
        ssh_keygen(dir.path(), &["-Y", "sign", "-q", "-n", NAMESPACE, "-f", "key", "text"]);
        let read = |name| std::fs::read_to_string(dir.path().join(name)).unwrap();
        (read("key.pub"), (), signed(&read("text.sig")))
    };
    assert!(
        rsa.parse::<SshPublicKey>()
            .unwrap_err()
            .to_string()
            .contains("ssh-rsa of 2048 bits")
    );
    assert!(
        verify(&signed, NAMESPACE)
            .unwrap_err()
            .to_string()
            .contains("ssh-rsa of 2048 bits")
    );
}
