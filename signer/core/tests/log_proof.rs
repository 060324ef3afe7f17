//! Proof files, read and verified offline, and every altered byte of them.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test may panic"
)]

mod log_support;

use std::collections::HashMap;

use log_support::{Key, checkpoint};
use stele_core::checkpoint::{self, NoteVerifier, TlogProof};
use stele_core::merkle::{self, Frontier};
use stele_core::types::Digest;

/// A proof of entry 5 of 11, whose bytes travel in `extra`.
fn proof(log: &Key) -> TlogProof {
    let entries: Vec<_> = (0..11_u8).map(|i| vec![i; 3]).collect();
    let mut frontier = Frontier::new();
    let mut hashes = HashMap::new();
    for entry in &entries {
        hashes.extend(
            frontier
                .push(merkle::leaf_hash(entry))
                .into_iter()
                .map(|s| ((s.level, s.index), s.hash)),
        );
    }
    TlogProof {
        extra: Some(entries[5].clone()),
        index: 5,
        hashes: [(0, 4), (1, 3), (2, 0)]
            .map(|p| hashes[&p])
            .into_iter()
            .chain([eight_to_eleven(&hashes)])
            .collect(),
        checkpoint: log.note(&checkpoint(11, frontier.root())),
    }
}

fn eight_to_eleven(hashes: &HashMap<(u8, u64), Digest>) -> Digest {
    merkle::node_hash(&hashes[&(1, 4)], &hashes[&(0, 10)])
}

#[test]
fn a_proof_is_verified_offline() {
    let log = Key::new(1);
    let verifiers = [log.log()];
    let proof = proof(&log);
    let (checkpoint, by) = proof.verify(&[5; 3], &verifiers).unwrap();
    assert_eq!((checkpoint.size, by.len()), (11, 1));
    assert!(proof.verify(&[6; 3], &verifiers).is_err());
    assert!(proof.verify(&[5; 3], &[Key::new(2).log()]).is_err());

    let text = proof.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra BQUF\nindex 5\n"));
    assert_eq!(text.parse::<TlogProof>().unwrap(), proof);
    let plain = TlogProof {
        extra: None,
        ..proof.clone()
    };
    assert_eq!(plain.to_string().parse::<TlogProof>().unwrap(), plain);
    let empty = TlogProof {
        extra: Some(vec![]),
        hashes: vec![],
        ..proof
    };
    assert_eq!(empty.to_string().parse::<TlogProof>().unwrap(), empty);

    let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    for bad in [
        text.replace("@v1", "@v2"),
        text.replace("extra ", "extra"),
        text.replace("index 5", "index 05"),
        text.replace("index 5\n", ""),
        text.replace("extra BQUF\nindex 5\n", "index 5\nextra BQUF\n"),
        text.replace("extra BQUF\n", "extra BQUF\nextra BQUF\n"),
        text.replace("index 5\n", &format!("index 5\n{}", hash.repeat(61))),
        text.replace("index 5\n", "index 5\n\n"),
        text.replace('\n', "\r\n"),
        format!("\n{text}"),
        text.trim_end().to_owned(),
    ] {
        assert!(bad.parse::<TlogProof>().is_err(), "{bad}");
    }
}

/// Each bit of a note and of a proof matters: whatever is altered, it does not verify.
#[test]
fn no_altered_byte_is_accepted() {
    let log = Key::new(1);
    let verifiers = [log.log()];
    let proof = proof(&log);
    let text = proof.to_string();
    assert!(verifies(&text, &verifiers));
    assert_no_alteration(&proof.checkpoint, |s| checkpoint::open(s, &verifiers).is_ok());
    assert_no_alteration(&text, |s| verifies(s, &verifiers));
}

fn assert_no_alteration(original: &str, accepted: impl Fn(&str) -> bool) {
    for at in 0..original.len() {
        for bit in 0..8 {
            let mut bytes = original.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            // What is no UTF-8 cannot even be handed over.
            if let Ok(altered) = String::from_utf8(bytes) {
                assert!(!accepted(&altered), "byte {at}, bit {bit}: {altered}");
            }
        }
        if let (Some(before), Some(after)) = (original.get(..at), original.get(at + 1..)) {
            assert!(!accepted(&format!("{before}{after}")), "without byte {at}");
            assert!(!accepted(before), "cut at {at}");
        }
    }
}

/// As an auditor does it: the entry is what `extra` says.
fn verifies(text: &str, verifiers: &[NoteVerifier]) -> bool {
    text.parse::<TlogProof>()
        .is_ok_and(|p| p.verify(p.extra.as_deref().unwrap_or_default(), verifiers).is_ok())
}
