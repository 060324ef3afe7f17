//! Signing: every algorithm, many threads, deadlines.

use std::time::{Duration, Instant};

use stele_core::types::{KeyAlgorithm, SignatureAlgorithm};
use stele_hsm::{SignError, Token, TokenError, TokenSpec};

use crate::Case;
use crate::support::{Bench, LABEL, MESSAGE, PATIENT, name, sign_and_verify, user_pin, verifies};

pub(crate) const CASES: &[Case] = &[
    ("every_algorithm_signs_what_others_verify", every_algorithm),
    ("signatures_fit_their_key", signatures_fit),
    ("eight_threads_sign_side_by_side", concurrent),
    ("keys_are_generated_beside_signatures", generating_beside),
    ("a_full_pool_says_so_at_the_deadline", back_pressure),
];

const ALGORITHMS: [KeyAlgorithm; 7] = [
    KeyAlgorithm::EcP256,
    KeyAlgorithm::EcP384,
    KeyAlgorithm::EcP521,
    KeyAlgorithm::Rsa2048,
    KeyAlgorithm::Rsa3072,
    KeyAlgorithm::Rsa4096,
    KeyAlgorithm::Ed25519,
];

fn signatures_of(key: KeyAlgorithm) -> &'static [SignatureAlgorithm] {
    use KeyAlgorithm as K;
    use SignatureAlgorithm as S;
    match key {
        K::EcP256 | K::EcP384 | K::EcP521 => &[S::EcdsaSha256, S::EcdsaSha384, S::EcdsaSha512],
        K::Rsa2048 | K::Rsa3072 | K::Rsa4096 => &[
            S::RsaPkcs1Sha256,
            S::RsaPkcs1Sha384,
            S::RsaPkcs1Sha512,
            S::RsaPssSha256,
            S::RsaPssSha384,
            S::RsaPssSha512,
        ],
        K::Ed25519 => &[S::Ed25519],
    }
}

fn every_algorithm(bench: &Bench) {
    let token = bench.token();
    let supported: Vec<_> = ALGORITHMS.into_iter().filter(|a| token.supports(*a)).collect();
    assert!(supported.contains(&KeyAlgorithm::EcP256) && supported.contains(&KeyAlgorithm::Rsa2048));
    for algorithm in supported {
        let key = token.generate(&name(algorithm.name()), algorithm).unwrap();
        assert_eq!(key.algorithm, algorithm);
        for signature in signatures_of(algorithm) {
            sign_and_verify(&token, &key, *signature);
        }
    }
}

fn signatures_fit(bench: &Bench) {
    let token = bench.token();
    let key = token.generate(&name("ec"), KeyAlgorithm::EcP256).unwrap();
    for other in [SignatureAlgorithm::RsaPkcs1Sha256, SignatureAlgorithm::Ed25519] {
        let refused = token.sign(&key, other, MESSAGE, PATIENT);
        assert!(matches!(
            refused,
            Err(SignError::NotCalled(TokenError::AlgorithmMismatch { .. }))
        ));
    }
}

/// Makes a pair as an administrator with another tool would.
fn concurrent(bench: &Bench) {
    const THREADS: usize = 8;
    const EACH: usize = 200;
    let token = bench.token();
    let key = token.generate(&name("busy"), KeyAlgorithm::EcP256).unwrap();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (token, key) = (&token, &key);
            scope.spawn(move || {
                for i in 0..EACH {
                    let message = format!("{thread}/{i}");
                    let signed = token
                        .sign(key, SignatureAlgorithm::EcdsaSha256, message.as_bytes(), PATIENT)
                        .unwrap();
                    assert!(verifies(
                        key,
                        SignatureAlgorithm::EcdsaSha256,
                        message.as_bytes(),
                        &signed
                    ));
                }
            });
        }
    });
    let rate = (THREADS * EACH) as f64 / began.elapsed().as_secs_f64();
    println!("{rate:.0} P-256 signatures a second, each verified");
}

fn generating_beside(bench: &Bench) {
    let token = bench.token();
    let key = token.generate(&name("busy"), KeyAlgorithm::EcP256).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let token = &token;
            scope.spawn(move || {
                for i in 0..20 {
                    token
                        .generate(&name(&format!("k{thread}-{i}")), KeyAlgorithm::EcP256)
                        .unwrap();
                    token.probe().unwrap();
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| (0..200).for_each(|_| sign_and_verify(&token, &key, SignatureAlgorithm::EcdsaSha256)));
        }
    });
}

fn back_pressure(bench: &Bench) {
    bench.init(LABEL);
    let spec = TokenSpec {
        sessions: 1,
        ..bench.spec()
    };
    let token = Token::open(&spec, &user_pin()).unwrap();
    let key = token.generate(&name("slow"), KeyAlgorithm::Rsa4096).unwrap();
    let deadline = Duration::from_millis(20);
    let busy: usize = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(|| {
                    let began = Instant::now();
                    match token.sign(&key, SignatureAlgorithm::RsaPkcs1Sha256, MESSAGE, deadline) {
                        Ok(_) => 0,
                        Err(SignError::NotCalled(TokenError::Busy { waited_ms, sessions: 1 })) => {
                            assert!(waited_ms >= deadline.as_millis());
                            assert!(began.elapsed() < PATIENT, "{:?}", began.elapsed());
                            1
                        }
                        Err(other) => panic!("{other}"),
                    }
                })
            })
            .collect();
        callers.into_iter().map(|c| c.join().unwrap()).sum()
    });
    assert!(busy > 0 && busy < 64, "{busy} of 64 callers met the deadline");
    sign_and_verify(&token, &key, SignatureAlgorithm::RsaPkcs1Sha256);
}
