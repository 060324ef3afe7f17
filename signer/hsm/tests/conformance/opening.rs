//! Opening a token, its PIN, and several tokens side by side.

use stele_core::types::{KeyAlgorithm, SignatureAlgorithm};
use stele_hsm::{Token, TokenError, TokenSpec, init_token};

use crate::Case;
use crate::support::{Bench, LABEL, name, sign_and_verify, so_pin, user_pin};

pub(crate) const CASES: &[Case] = &[
    (
        "a_token_is_initialised_and_opened_by_label_and_serial",
        initialised_and_opened,
    ),
    ("a_wrong_pin_is_tried_once", wrong_pin),
    ("a_pin_of_a_wrong_length_is_not_tried", pin_length),
    ("a_token_is_opened_once_per_process", opened_once),
    ("a_missing_module_is_named", missing_module),
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
