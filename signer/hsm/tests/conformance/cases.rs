//! What every token must do while nothing goes wrong, and what must be refused.

use std::time::{Duration, Instant};

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use stele_core::types::{Digest, KeyAlgorithm, SignatureAlgorithm};
use stele_hsm::{SignError, Token, TokenError, TokenSpec, init_token};

use crate::Case;
use crate::support::{Bench, LABEL, MESSAGE, PATIENT, name, sign_and_verify, so_pin, user_pin, verifies};

pub(crate) const CASES: &[Case] = &[
    (
        "a_token_is_initialised_and_opened_by_label_and_serial",
        initialised_and_opened,
    ),
    ("a_wrong_pin_is_tried_once", wrong_pin),
    ("a_pin_of_a_wrong_length_is_not_tried", pin_length),
    ("a_token_is_opened_once_per_process", opened_once),
    ("a_missing_module_is_named", missing_module),
    ("every_algorithm_signs_what_others_verify", every_algorithm),
    ("signatures_fit_their_key", signatures_fit),
    ("keys_cannot_leave_the_token", cannot_leave),
    ("a_key_does_only_what_it_is_for", allowed_mechanisms),
    ("a_taken_label_is_refused", taken_label),
    ("a_key_is_found_by_id_label_and_public_key", found_again),
    ("two_keys_of_one_id_are_refused", two_keys),
    ("an_extractable_key_is_refused", extractable),
    ("a_destroyed_key_is_gone", destroyed),
    ("eight_threads_sign_side_by_side", concurrent),
    ("keys_are_generated_beside_signatures", generating_beside),
    ("a_full_pool_says_so_at_the_deadline", back_pressure),
    ("two_tokens_of_one_module_live_apart", two_tokens),
    ("random_bytes_differ", random),
];

fn initialised_and_opened(bench: &Bench) {
    let made = bench.init(LABEL);
    assert_eq!(made.label, LABEL);
    bench.init("another");
    assert!(matches!(
        init_token(&bench.module, LABEL, &so_pin(), &user_pin()),
        Err(TokenError::TokenExists { .. })
    ));
    let spec = TokenSpec {
        serial: Some(made.serial.clone()),
        ..bench.spec()
    };
    let token = Token::open(&spec, &user_pin()).unwrap();
    assert_eq!(token.info(), &made);
    drop(token);

    // A second life of the module in this process, with the sessions of the first gone.
    let elsewhere = TokenSpec {
        serial: Some("0000".to_owned()),
        ..bench.spec()
    };
    let said = Token::open(&elsewhere, &user_pin()).unwrap_err().to_string();
    assert!(said.contains("`another`") && said.contains(&made.serial), "{said}");
    Token::open(&spec, &user_pin()).unwrap().probe().unwrap();
}

fn wrong_pin(bench: &Bench) {
    bench.init(LABEL);
    let refused = Token::open(&bench.spec(), &"9999-user".into());
    assert!(matches!(refused, Err(TokenError::PinIncorrect { .. })));
    // The right PIN still works, so that one attempt was spent at most; and it resets the count.
    let token = Token::open(&bench.spec(), &user_pin()).unwrap();
    let state = token.pin_state().unwrap();
    assert!(
        state.usable && !state.final_try && !state.locked && !state.count_low,
        "{state:?}"
    );
}

fn pin_length(bench: &Bench) {
    bench.init(LABEL);
    for pin in [String::new(), "1".repeat(300)] {
        let refused = Token::open(&bench.spec(), &pin.into());
        assert!(matches!(refused, Err(TokenError::PinLength { .. })));
    }
    let token = Token::open(&bench.spec(), &user_pin()).unwrap();
    assert!(!token.pin_state().unwrap().count_low);
}

fn opened_once(bench: &Bench) {
    let token = bench.token();
    // C_Login would answer "already logged in" to any PIN at all.
    for pin in [user_pin(), "9999-user".into()] {
        assert!(matches!(
            Token::open(&bench.spec(), &pin),
            Err(TokenError::AlreadyOpen { .. })
        ));
    }
    token.probe().unwrap();
}

fn missing_module(bench: &Bench) {
    let nowhere = bench.dir.join("nowhere.so");
    let spec = TokenSpec::new(&nowhere, LABEL);
    assert!(matches!(Token::open(&spec, &user_pin()), Err(TokenError::ModuleMissing { path }) if path == nowhere));
    let spec = TokenSpec::new(bench.dir.join("text.so"), LABEL);
    std::fs::write(&spec.module, "not a library").unwrap();
    assert!(matches!(
        Token::open(&spec, &user_pin()),
        Err(TokenError::ModuleUnusable { .. })
    ));
}

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

fn cannot_leave(bench: &Bench) {
    let token = bench.token();
    let key = token.generate(&name("root"), KeyAlgorithm::EcP384).unwrap();
    let session = bench.stranger();
    let private = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(key.cka_id)];
    let handle = session.find_objects(&private).unwrap()[0];
    let wanted = [
        Attribute::Sensitive(true),
        Attribute::AlwaysSensitive(true),
        Attribute::Extractable(false),
        Attribute::NeverExtractable(true),
        Attribute::Local(true),
        Attribute::Private(true),
    ];
    let kinds: Vec<_> = wanted.iter().map(Attribute::attribute_type).collect();
    assert_eq!(session.get_attributes(handle, &kinds).unwrap(), wanted);
    assert!(
        session
            .get_attributes(handle, &[AttributeType::Value])
            .unwrap()
            .is_empty()
    );
    for loosened in [Attribute::Extractable(true), Attribute::Sensitive(false)] {
        assert!(session.update_attributes(handle, &[loosened]).is_err());
    }
}

fn allowed_mechanisms(bench: &Bench) {
    let token = bench.token();
    let key = token.generate(&name("rsa"), KeyAlgorithm::Rsa2048).unwrap();
    let session = bench.stranger();
    let private = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Id(key.cka_id.clone()),
    ];
    let handle = session.find_objects(&private).unwrap()[0];
    let known = session
        .get_attributes(handle, &[AttributeType::AllowedMechanisms])
        .unwrap();
    if known.is_empty() {
        return; // CKA_ALLOWED_MECHANISMS is optional.
    }
    // Bare CKM_RSA_PKCS would sign anything that looks like a padded digest.
    assert!(session.sign(&Mechanism::RsaPkcs, handle, &[0; 32]).is_err());
    sign_and_verify(&token, &key, SignatureAlgorithm::RsaPssSha256);
}

fn taken_label(bench: &Bench) {
    let token = bench.token();
    let first = token.generate(&name("issuing-ca"), KeyAlgorithm::EcP256).unwrap();
    let refused = token.generate(&name("issuing-ca"), KeyAlgorithm::EcP384);
    assert!(matches!(refused, Err(TokenError::KeyExists { .. })));
    sign_and_verify(&token, &first, SignatureAlgorithm::EcdsaSha256);
}

fn found_again(bench: &Bench) {
    let token = bench.token();
    let made = token.generate(&name("issuing-ca"), KeyAlgorithm::EcP256).unwrap();
    drop(token);
    let token = Token::open(&bench.spec(), &user_pin()).unwrap();
    let found = token.find(&made.name, &made.cka_id, made.spki_sha256()).unwrap();
    assert_eq!(found, made);
    sign_and_verify(&token, &found, SignatureAlgorithm::EcdsaSha256);

    let expected = Digest::of(b"another key");
    assert!(matches!(
        token.find(&made.name, &made.cka_id, expected),
        Err(TokenError::KeyDiffers { expected: e, found: f, .. }) if e == expected && f == made.spki_sha256()
    ));
    for (label, id) in [("issuing-ca", &[1, 2, 3][..]), ("other", &made.cka_id)] {
        let error = token.find(&name(label), id, made.spki_sha256()).unwrap_err();
        assert!(matches!(error, TokenError::KeyNotFound { .. }));
        assert!(error.to_string().contains("`issuing-ca`"), "{error}");
    }
}

/// Makes a pair as an administrator with another tool would.
fn foreign_pair(bench: &Bench, id: &[u8], label: &str, extractable: bool) {
    let session = bench.stranger();
    let both = [
        Attribute::Token(true),
        Attribute::Id(id.to_vec()),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    let mut public = both.to_vec();
    public.push(Attribute::EcParams(
        b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07".to_vec(),
    ));
    let mut private = both.to_vec();
    private.extend([
        Attribute::Private(true),
        Attribute::Sign(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(extractable),
    ]);
    session
        .generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)
        .unwrap();
}

fn two_keys(bench: &Bench) {
    let token = bench.token();
    let key = token.generate(&name("issuing-ca"), KeyAlgorithm::EcP256).unwrap();
    foreign_pair(bench, &key.cka_id, "impostor", false);
    assert!(matches!(
        token.find(&key.name, &key.cka_id, key.spki_sha256()),
        Err(TokenError::SeveralKeys { count: 2, .. })
    ));
    assert!(matches!(token.destroy(&key), Err(TokenError::SeveralKeys { .. })));
}

fn extractable(bench: &Bench) {
    let token = bench.token();
    foreign_pair(bench, b"loose", "loose", true);
    let error = token.find(&name("loose"), b"loose", Digest::of(b"")).unwrap_err();
    assert!(matches!(error, TokenError::KeyUnprotected { .. }), "{error}");
    assert!(error.to_string().contains("EXTRACTABLE is true"), "{error}");
}

fn destroyed(bench: &Bench) {
    let token = bench.token();
    let key = token.generate(&name("old"), KeyAlgorithm::EcP256).unwrap();
    token.destroy(&key).unwrap();
    let refused = token.sign(&key, SignatureAlgorithm::EcdsaSha256, MESSAGE, PATIENT);
    assert!(matches!(
        refused,
        Err(SignError::NotCalled(TokenError::KeyNotFound { .. }))
    ));
    assert!(matches!(token.destroy(&key), Err(TokenError::KeyNotFound { .. })));
    token.generate(&name("old"), KeyAlgorithm::EcP256).unwrap();
}

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
    let deadline = Duration::from_millis(30);
    let busy: usize = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    let began = Instant::now();
                    match token.sign(&key, SignatureAlgorithm::RsaPkcs1Sha256, MESSAGE, deadline) {
                        Ok(_) => 0,
                        Err(SignError::NotCalled(TokenError::Busy { waited_ms, sessions: 1 })) => {
                            assert!(waited_ms >= deadline.as_millis());
                            assert!(began.elapsed() < deadline * 20, "{:?}", began.elapsed());
                            1
                        }
                        Err(other) => panic!("{other}"),
                    }
                })
            })
            .collect();
        callers.into_iter().map(|c| c.join().unwrap()).sum()
    });
    assert!(busy > 0 && busy < 16, "{busy} of 16 callers met the deadline");
    sign_and_verify(&token, &key, SignatureAlgorithm::RsaPkcs1Sha256);
}

fn two_tokens(bench: &Bench) {
    let first = bench.token();
    bench.init("second");
    let second = Token::open(&TokenSpec::new(&bench.module, "second"), &user_pin()).unwrap();
    let key = first.generate(&name("key"), KeyAlgorithm::EcP256).unwrap();
    let other = second.generate(&name("key"), KeyAlgorithm::EcP256).unwrap();
    let absent = second.find(&key.name, &key.cka_id, key.spki_sha256());
    assert!(matches!(absent, Err(TokenError::KeyNotFound { .. })));
    drop(first);
    sign_and_verify(&second, &other, SignatureAlgorithm::EcdsaSha256);
    let first = Token::open(&bench.spec(), &user_pin()).unwrap();
    sign_and_verify(&first, &key, SignatureAlgorithm::EcdsaSha256);
}

fn random(bench: &Bench) {
    let token = bench.token();
    let (a, b) = (token.random(20).unwrap(), token.random(20).unwrap());
    assert_eq!((a.len(), b.len()), (20, 20));
    assert_ne!(a, b);
}
