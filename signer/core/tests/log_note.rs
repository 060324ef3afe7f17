//! Notes, checkpoints and cosignatures against an independent implementation (`signed_note`, `tlog_tiles`), with keys of
//! every kind.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test may panic"
)]

mod log_support;

use base64ct::{Base64, Encoding};
use ed25519_dalek::Signer as _;
use log_support::{Key, ORIGIN, checkpoint};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::pkcs8::EncodePublicKey as _;
use proptest::prelude::*;
use signed_note::Verifier as _;
use stele_core::Error;
use stele_core::checkpoint::{self, Checkpoint, Note, NoteKeyType, NoteVerifier, SignatureLine, TlogProof};
use stele_core::types::{Digest, Time};

fn with_line(note: &str, line: &SignatureLine) -> String {
    format!("{note}{line}\n")
}

/// The example of the Go package golang.org/x/mod/sumdb/note, where the format comes from.
#[test]
fn the_format_is_that_of_go() {
    let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let text = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n\n\
                — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let verifiers = [key.parse::<NoteVerifier>().unwrap()];
    let note: Note = text.parse().unwrap();
    assert_eq!(note.verify(&verifiers).unwrap().len(), 1);
    assert_eq!(note.to_string(), text);
    assert_eq!(verifiers[0].to_string(), key);
}

proptest! {
    /// What we sign the oracle verifies, and the other way round; keys and checkpoints have the same text.
    #[test]
    fn notes_equal_the_oracles(size: u64, root: [u8; 32], seed: u8, name in "[a-z0-9./-]{1,40}") {
        let key = Key::new(seed);
        let ours = key.verifier(&name, NoteKeyType::Ed25519);
        // The oracle computes the id again from name and key.
        let oracle = signed_note::StandardVerifier::new(&ours.to_string()).unwrap();
        prop_assert_eq!(ours.key_id(), oracle.key_id());

        let body = Checkpoint { origin: name.parse().unwrap(), size, root: Digest(root) };
        let text = tlog_tiles::Checkpoint::new(&name, size, tlog_tiles::Hash(root), "").unwrap().to_bytes();
        prop_assert_eq!(body.body().into_bytes(), text.clone());

        let mut note = signed_note::Note::new(&text, &[]).unwrap();
        note.add_sigs(&[&signed_note::StandardSigner::new(&secret_key(&key, &name)).unwrap()]).unwrap();
        let note = String::from_utf8(note.to_bytes()).unwrap();
        let verifiers = [ours];
        let (opened, by) = checkpoint::open(&note, &verifiers).unwrap();
        prop_assert_eq!(&opened, &body);
        prop_assert_eq!(by.len(), 1);

        let signature = key.0.sign(&text).to_bytes();
        prop_assert_eq!(checkpoint::assemble(&body.body(), &verifiers[0], &signature).unwrap(), note.clone());
        let list = signed_note::VerifierList::new(vec![Box::new(oracle)]);
        let (verified, _) = signed_note::Note::from_bytes(note.as_bytes()).unwrap().verify(&list).unwrap();
        prop_assert_eq!(verified.len(), 1);
    }

    #[test]
    fn foreign_text_does_not_panic(s in "(?s)(c2sp.org/tlog-proof@v1\n|extra .{0,8}\n|index [0-9]{1,25}\n|— |\n|\\PC{0,12}){0,12}") {
        let _ = s.parse::<TlogProof>();
        let _ = s.parse::<NoteVerifier>();
        if let Ok(note) = s.parse::<Note>() {
            prop_assert_eq!(note.to_string(), &s[..]);
        }
        if let Ok(checkpoint) = s.parse::<Checkpoint>() {
            prop_assert_eq!(checkpoint.to_string(), s);
        }
    }
}

fn secret_key(key: &Key, name: &str) -> String {
    let public = [&[1], &key.0.verifying_key().as_bytes()[..]].concat();
    let secret = [&[1], &key.0.to_bytes()[..]].concat();
    let id = signed_note::key_id(name, &public);
    format!("PRIVATE+KEY+{name}+{id:08x}+{}", Base64::encode_string(&secret))
}

#[test]
fn a_log_may_have_an_ecdsa_key() {
    let body = checkpoint(7, Digest::of(b"root")).body();
    let p256 = p256::ecdsa::SigningKey::from_slice(&[3; 32]).unwrap();
    let p384 = p384::ecdsa::SigningKey::from_slice(&[3; 48]).unwrap();
    let hash = Digest::of(body.as_bytes()).0;
    let signature256: p256::ecdsa::Signature = p256.sign_prehash(&hash).unwrap();
    let signature384: p384::ecdsa::Signature = p384.sign_prehash(&hash).unwrap();
    let cases = [
        (
            p256.verifying_key().to_public_key_der().unwrap(),
            signature256.to_der().as_bytes().to_vec(),
        ),
        (
            p384.verifying_key().to_public_key_der().unwrap(),
            signature384.to_der().as_bytes().to_vec(),
        ),
    ];
    for (spki, signature) in cases {
        let verifier = NoteVerifier::for_key(&ORIGIN.parse().unwrap(), spki.as_bytes()).unwrap();
        assert_eq!(verifier.key_type(), NoteKeyType::Ecdsa);
        assert_eq!(verifier.key_id().to_be_bytes(), Digest::of(spki.as_bytes()).0[..4]);
        let note = checkpoint::assemble(&body, &verifier, &signature).unwrap();
        let verifiers = [verifier.to_string().parse().unwrap()];
        assert_eq!(verifiers[0], verifier);
        assert_eq!(checkpoint::open(&note, &verifiers).unwrap().0.size, 7);
        assert!(checkpoint::assemble(&body.replace('7', "8"), &verifier, &signature).is_err());
        for cut in 0..spki.as_bytes().len() {
            assert!(NoteVerifier::for_key(&ORIGIN.parse().unwrap(), &spki.as_bytes()[..cut]).is_err());
        }
    }
}

#[test]
fn a_token_s_ed25519_key_comes_as_spki() {
    let key = Key::new(9);
    let spki = key.0.verifying_key().to_public_key_der().unwrap();
    let verifier = NoteVerifier::for_key(&ORIGIN.parse().unwrap(), spki.as_bytes()).unwrap();
    assert_eq!(verifier, key.log());
}

#[test]
fn witnesses_cosign_with_a_time() {
    let (log, witness, stranger) = (Key::new(1), Key::new(2), Key::new(3));
    let checkpoint = checkpoint(12, Digest::of(b"root"));
    let body = checkpoint.body();
    let note = log.note(&checkpoint);
    let verifiers = [
        log.log(),
        witness.verifier("witness.example/w1", NoteKeyType::CosignatureV1),
    ];
    let line = witness.cosign("witness.example/w1", &body, 1_679_315_147);
    let cosigned = with_line(&with_line(&note, &line), &stranger.cosign("stranger.example", &body, 5));
    let (opened, by) = checkpoint::open(&cosigned, &verifiers).unwrap();
    assert_eq!(opened, checkpoint);
    assert_eq!(by.len(), 2);
    assert_eq!(by[0].cosigned_at, None);
    assert_eq!(by[1].cosigned_at, Some(Time::from_secs(1_679_315_147)));
    assert_eq!(by[1].verifier.name(), "witness.example/w1");

    // One witness twice is one witness, and a witness alone is not the log.
    let twice = with_line(&cosigned, &witness.cosign("witness.example/w1", &body, 1_679_315_148));
    assert_eq!(checkpoint::open(&twice, &verifiers).unwrap().1.len(), 2);
    assert!(checkpoint::open(&cosigned, &verifiers[1..]).is_err());
    assert_eq!(checkpoint::open(&cosigned, &verifiers[..1]).unwrap().1.len(), 1);

    let parsed: Note = note.parse().unwrap();
    assert_eq!(
        parsed.with_lines(&format!("{line}\n{line}\n")).unwrap().to_string(),
        with_line(&note, &line)
    );

    // The same bytes with another time, another text, none at all; a known key's failure rejects the whole note.
    for altered in [
        witness.cosign("witness.example/w1", &body, 0),
        witness.cosign("witness.example/w1", &body, 1 << 63),
        witness.cosign("witness.example/w1", &body.replace("12", "13"), 1_679_315_147),
        SignatureLine::new("witness.example/w1", line.key_id(), vec![1; 7]).unwrap(),
        SignatureLine::new("witness.example/w1", line.key_id(), line.signature()[8..].to_vec()).unwrap(),
    ] {
        let error = checkpoint::open(&with_line(&note, &altered), &verifiers).unwrap_err();
        assert!(matches!(error, Error::Unverified { .. }), "{error}");
    }
}

#[test]
fn unknown_keys_are_ignored_and_a_wrong_known_one_rejects() {
    let log = Key::new(1);
    let verifiers = [log.log()];
    let id = verifiers[0].key_id();
    let note = log.note(&checkpoint(1, Digest::of(b"root")));
    let line = |name: &str, id| with_line(&note, &SignatureLine::new(name, id, vec![1; 64]).unwrap());
    for ignored in [line(ORIGIN, id ^ 1), line("another", id), line("другой/журнал", 1)] {
        assert_eq!(checkpoint::open(&ignored, &verifiers).unwrap().1.len(), 1);
    }
    assert!(checkpoint::open(&line(ORIGIN, id), &verifiers).is_err());
    assert!(checkpoint::open(&note, &[]).is_err());
    assert!(checkpoint::open(&note, &[Key::new(2).log()]).is_err());
    // Another log's key proves nothing about this one, even where it signed.
    let body = checkpoint(1, Digest::of(b"root")).body();
    let other = [log.verifier("log.example/other", NoteKeyType::Ed25519)];
    let signed = checkpoint::assemble(&body, &other[0], &log.0.sign(body.as_bytes()).to_bytes()).unwrap();
    assert!(checkpoint::open(&signed, &other).is_err());
}

#[test]
fn notes_have_one_form_and_a_limit() {
    let log = Key::new(1);
    let note = log.note(&checkpoint(1, Digest::of(b"root")));
    let line = note.lines().last().unwrap();
    let many = |n| format!("text\n\n{}", format!("{line}\n").repeat(n));
    assert!(many(16).parse::<Note>().is_ok());
    assert!(many(100).parse::<Note>().is_ok());
    let bad = [
        String::new(),
        "\n\n".into(),
        many(0),
        many(101),
        format!("text\n{line}\n"),
        format!("text\n\n{line}"),
        format!("text\n\n{line}\n\n"),
        format!("text\n\n{line}\r\n"),
        format!("te\txt\n\n{line}\n"),
        format!("text\n\n{}\n", line.replace("\u{2014} ", "- ")),
        format!("text\n\n{}\n", line.replace(ORIGIN, "")),
        format!("text\n\n{}\n", line.replace(ORIGIN, "a+b")),
        format!("text\n\n{}\n", line.replace(ORIGIN, "a\u{a0}b")),
        format!("text\n\n{line}=\n"),
        "text\n\n\u{2014} name AAAAAA==\n".into(),
        format!("{}\n\n{line}\n", "x".repeat(1_000_000)),
    ];
    for (number, bad) in bad.iter().enumerate() {
        assert!(bad.parse::<Note>().is_err(), "{number}");
    }
    let two: Note = format!("a\n\nb\n\n{line}\n").parse().unwrap();
    assert_eq!(two.text(), "a\n\nb\n");
}

#[test]
fn checkpoints_have_one_form() {
    let good = checkpoint(10, Digest::of(b"root")).body();
    assert_eq!(good.parse::<Checkpoint>().unwrap().body(), good);
    let root = good.lines().last().unwrap();
    for bad in [
        String::new(),
        good.trim_end().to_owned(),
        format!("{good}extension\n"),
        format!("{good}\n"),
        format!("\n10\n{root}\n"),
        format!("a b\n10\n{root}\n"),
        format!("{ORIGIN}\n010\n{root}\n"),
        format!("{ORIGIN}\n+10\n{root}\n"),
        format!("{ORIGIN}\n\n{root}\n"),
        format!("{ORIGIN}\n18446744073709551616\n{root}\n"),
        format!("{ORIGIN}\n10\n{}\n", root.trim_end_matches('=')),
        format!("{ORIGIN}\n10\nAAAA\n"),
        format!("{ORIGIN}\n10\n{}AAAA\n", root.replace('=', "A")),
    ] {
        assert!(bad.parse::<Checkpoint>().is_err(), "{bad}");
    }
}

#[test]
fn verifier_keys_have_one_form() {
    let key = Key::new(1).log().to_string();
    let witness = Key::new(1).verifier("w", NoteKeyType::CosignatureV1).to_string();
    assert_eq!(witness.parse::<NoteVerifier>().unwrap().to_string(), witness);
    let (rest, base64) = key.rsplit_once('+').unwrap();
    let (name, id) = rest.rsplit_once('+').unwrap();
    let typed = |t: u8| {
        let mut bytes = Base64::decode_vec(base64).unwrap();
        bytes[0] = t;
        format!("{rest}+{}", Base64::encode_string(&bytes))
    };
    for bad in [
        String::new(),
        rest.to_owned(),
        format!("x{key}"),
        format!("a b+{id}+{base64}"),
        format!("{name}+{}+{base64}", id.to_uppercase()),
        format!("{name}+00000000+{base64}"),
        format!("{rest}+"),
        format!("{rest}+AQ=="),
        format!("{key}="),
        typed(2),
        typed(3),
        typed(4),
        typed(6),
    ] {
        assert!(bad.parse::<NoteVerifier>().is_err(), "{bad}");
    }
}
