use ed25519_dalek::{Signer as _, SigningKey};
use proptest::prelude::*;

use super::*;
use crate::types::Digest;

const LOG: &str = "log.example/stele";

fn secret(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn verifier(name: &str, kind: NoteKeyType, seed: u8) -> NoteVerifier {
    NoteVerifier::new(name, kind, secret(seed).verifying_key().as_bytes()).unwrap()
}

fn witness(seed: u8) -> NoteVerifier {
    verifier(&format!("witness.example/{seed}"), NoteKeyType::CosignatureV1, seed)
}

fn checkpoint(size: u64) -> Checkpoint {
    let origin = LOG.parse().unwrap();
    let root = Digest([7; 32]);
    Checkpoint { origin, size, root }
}

fn signed(size: u64) -> Note {
    let body = checkpoint(size).body();
    let log = verifier(LOG, NoteKeyType::Ed25519, 1);
    let signature = secret(1).sign(body.as_bytes()).to_bytes();
    super::super::assemble(&body, &log, &signature)
        .unwrap()
        .parse()
        .unwrap()
}

fn cosignature(body: &str, seed: u8) -> String {
    let seconds = 1_700_000_000u64;
    let message = format!("cosignature/v1\ntime {seconds}\n{body}");
    let bytes = [
        &seconds.to_be_bytes(),
        &secret(seed).sign(message.as_bytes()).to_bytes()[..],
    ]
    .concat();
    let key = witness(seed);
    format!("{}\n", SignatureLine::new(key.name(), key.key_id(), bytes).unwrap())
}

#[test]
fn a_submission_is_written_as_the_specification_says() {
    let note = signed(20);
    let proof = [Digest([1; 32]), Digest([2; 32])];
    let body = Submission::new(9, &proof, &note).unwrap().to_string();
    let (one, two) = (Base64::encode_string(&[1; 32]), Base64::encode_string(&[2; 32]));
    assert_eq!(body, format!("old 9\n{one}\n{two}\n\n{note}"));
    assert_eq!(
        Submission::new(0, &[], &note).unwrap().to_string(),
        format!("old 0\n\n{note}")
    );
}

#[test]
fn a_submission_that_no_witness_may_take_is_not_made() {
    let note = signed(20);
    let hash = Digest([1; 32]);
    for (old, proof) in [(21, vec![]), (0, vec![hash]), (20, vec![hash]), (9, vec![hash; 64])] {
        assert!(
            Submission::new(old, &proof, &note).is_err(),
            "old {old}, {} hashes",
            proof.len()
        );
    }
    assert!(Submission::new(9, &[hash; 63], &note).is_ok());
}

#[test]
fn every_answer_of_the_specification_is_read() {
    let size = Some(SIZE_CONTENT_TYPE);
    for (status, kind, body, answer) in [
        (403, None, "", Answer::UntrustedKey),
        (404, None, "not here", Answer::UnknownLog),
        (409, size, "20852014\n", Answer::Latest(20_852_014)),
        (409, size, "0\n", Answer::Latest(0)),
        (409, Some("Text/X.tlog.size; charset=utf-8"), "5\n", Answer::Latest(5)),
        (409, None, "", Answer::OtherRoot),
        (422, None, "", Answer::Inconsistent),
        (200, None, "x", Answer::Cosigned("x".to_owned())),
    ] {
        assert_eq!(Answer::read(status, kind, body.as_bytes()).unwrap(), answer);
    }
}

#[test]
fn everything_else_is_an_error() {
    let size = Some(SIZE_CONTENT_TYPE);
    for (status, kind, body) in [
        (409, size, "5"),
        (409, size, "05\n"),
        (409, size, "+5\n"),
        (409, size, "-1\n"),
        (409, size, "5\n\n"),
        (409, size, "18446744073709551616\n"),
        (409, Some("text/plain"), "5\n"),
        (409, None, "5\n"),
        (400, None, ""),
        (301, None, ""),
        (500, None, ""),
        (204, None, ""),
    ] {
        assert!(
            Answer::read(status, kind, body.as_bytes()).is_err(),
            "{status} {body:?}"
        );
    }
    assert!(Answer::read(200, None, &[0xff]).is_err());
    assert!(Answer::read(200, None, &vec![b'x'; MAX_ANSWER_BYTES + 1]).is_err());
}

#[test]
fn only_the_witnesss_own_line_over_this_text_counts() {
    let note = signed(20);
    let good = cosignature(note.text(), 2);
    let foreign = cosignature(note.text(), 3);
    let both = format!("{foreign}{good}");
    assert_eq!(cosignatures(&both, &note, &witness(2)).unwrap().len(), 1);
    assert_eq!(
        cosignatures(&format!("{good}{good}"), &note, &witness(2))
            .unwrap()
            .len(),
        1
    );
    let other_text = cosignature(signed(19).text(), 2);
    for bad in [
        "",
        "\n",
        "garbage\n",
        &foreign,
        &other_text,
        good.trim_end(),
        &format!("{good}\n"),
    ] {
        assert!(cosignatures(bad, &note, &witness(2)).is_err(), "{bad:?}");
    }
}

#[test]
fn cosigners_are_counted_by_key_once_each_and_strangers_not() {
    let note = signed(20);
    let log = verifier(LOG, NoteKeyType::Ed25519, 1);
    let lines: String = [2, 2, 3, 4]
        .iter()
        .map(|seed| cosignature(note.text(), *seed))
        .collect();
    let whole = format!("{note}{lines}");
    let opened = CosignedCheckpoint::open(&whole, &log, &[witness(2), witness(3)]).unwrap();
    assert_eq!(opened.by, [witness(2), witness(3)]);
    assert_eq!(opened.note.signatures().len(), 3);
    assert_eq!(opened.checkpoint, checkpoint(20));
    // A forged line of a known witness spoils the whole, and witnesses do not stand in for the log.
    let forged = format!("{note}{}", cosignature(signed(19).text(), 2));
    assert!(CosignedCheckpoint::open(&forged, &log, &[witness(2)]).is_err());
    let alone = format!("{}\n{}", note.text(), cosignature(note.text(), 2));
    assert!(CosignedCheckpoint::open(&alone, &log, &[witness(2)]).is_err());
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(status: u16, kind in proptest::option::of("\\PC{0,20}"), body: Vec<u8>, lines in "(— |\n|\\PC{0,9}){0,9}") {
        let _ = Answer::read(status, kind.as_deref(), &body);
        let _ = Answer::read(409, Some(SIZE_CONTENT_TYPE), &body);
        let _ = cosignatures(&lines, &signed(1), &witness(2));
    }

    #[test]
    fn a_told_size_comes_back(size: u64) {
        let answer = Answer::read(409, Some(SIZE_CONTENT_TYPE), format!("{size}\n").as_bytes());
        prop_assert_eq!(answer.unwrap(), Answer::Latest(size));
    }
}
