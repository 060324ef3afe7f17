//! What happens when the log-in, the token or the PIN goes away under a running service.

use std::time::{Duration, Instant};

use cryptoki::session::UserType;
use stele_core::types::{KeyAlgorithm, SignatureAlgorithm};
use stele_hsm::{SignError, Token, TokenError, TokenSpec};

use crate::Case;
use crate::support::{Bench, LABEL, MESSAGE, PATIENT, name, sign_and_verify, user_pin};

pub(crate) const CASES: &[Case] = &[
    ("a_lost_log_in_is_mended_unnoticed", lost_log_in),
    ("log_outs_under_load_are_survived", lost_under_load),
    ("a_removed_token_is_reported_and_found_again", removed_token),
    ("the_token_tells_of_a_wrong_pin", pin_flags),
    ("a_changed_pin_is_tried_once_and_never_again", changed_pin),
];

const ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::EcdsaSha256;

fn lost_log_in(bench: &Bench) {
    bench.init(LABEL);
    // With a single session, one that was not given back would be missed at once.
    let spec = TokenSpec {
        sessions: 1,
        ..bench.spec()
    };
    let token = Token::open(&spec, &user_pin()).unwrap();
    let key = token.generate(&name("issuing-ca"), KeyAlgorithm::EcP256).unwrap();
    let stranger = bench.stranger();
    for _ in 0..3 {
        sign_and_verify(&token, &key, ALGORITHM);
        stranger.logout().unwrap();
    }
    sign_and_verify(&token, &key, ALGORITHM);
    stranger.logout().unwrap();
    token.probe().unwrap();
    stranger.logout().unwrap();
    assert_eq!(token.find(&key.name, &key.cka_id, key.spki_sha256()).unwrap(), key);
}

fn lost_under_load(bench: &Bench) {
    let token = bench.token();
    let key = token.generate(&name("issuing-ca"), KeyAlgorithm::EcP256).unwrap();
    std::thread::scope(|scope| {
        let signers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut unknown = 0;
                    for _ in 0..300 {
                        match token.sign(&key, ALGORITHM, MESSAGE, PATIENT) {
                            Ok(_) => {}
                            // The log-out fell between C_SignInit and C_Sign, or twice upon one caller.
                            Err(SignError::FateUnknown(_)) => unknown += 1,
                            Err(SignError::NotCalled(TokenError::Call { .. })) => unknown += 1,
                            Err(other) => panic!("{other}"),
                        }
                    }
                    unknown
                })
            })
            .collect();
        let stranger = bench.stranger();
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(5));
            // Refused while nobody is logged in, which is as good.
            let _ = stranger.logout();
        }
        let unknown: i32 = signers.into_iter().map(|s| s.join().unwrap()).sum();
        assert!(
            unknown <= 40,
            "{unknown} of 1200 signatures failed for 10 log-outs of 4 threads"
        );
    });
    sign_and_verify(&token, &key, ALGORITHM);
}

fn removed_token(bench: &Bench) {
    let token = bench.token();
    let key = token.generate(&name("issuing-ca"), KeyAlgorithm::EcP256).unwrap();
    let (there, away) = (bench.dir.join("tokens"), bench.dir.join("away"));
    std::fs::rename(&there, &away).unwrap();
    std::fs::create_dir(&there).unwrap();
    let first = token.sign(&key, ALGORITHM, MESSAGE, PATIENT).unwrap_err();
    assert!(matches!(first, SignError::NotCalled(_)), "{first}");
    assert!(token.probe().is_err());

    // While the token is away nobody hammers it: failures come back at once.
    let began = Instant::now();
    for _ in 0..50 {
        assert!(token.sign(&key, ALGORITHM, MESSAGE, PATIENT).is_err());
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());

    std::fs::remove_dir(&there).unwrap();
    std::fs::rename(&away, &there).unwrap();
    let began = Instant::now();
    while let Err(error) = token.sign(&key, ALGORITHM, MESSAGE, PATIENT) {
        assert!(began.elapsed() < Duration::from_secs(10), "{error}");
        std::thread::sleep(Duration::from_millis(50));
    }
    token.probe().unwrap();
    sign_and_verify(&token, &key, ALGORITHM);
}

fn pin_flags(bench: &Bench) {
    let token = bench.token();
    assert!(!token.pin_state().unwrap().count_low);
    let stranger = bench.stranger();
    stranger.logout().unwrap();
    assert!(stranger.login(UserType::User, Some(&"9999-user".into())).is_err());
    assert!(token.pin_state().unwrap().count_low);
    // Ours is right, and proved by logging in again: that resets the count.
    token.probe().unwrap();
    assert!(!token.pin_state().unwrap().count_low);
}

fn changed_pin(bench: &Bench) {
    let token = bench.token();
    let key = token.generate(&name("issuing-ca"), KeyAlgorithm::EcP256).unwrap();
    let stranger = bench.stranger();
    stranger.set_pin(&user_pin(), &"5678-user".into()).unwrap();
    stranger.logout().unwrap();
    for _ in 0..3 {
        let refused = token.sign(&key, ALGORITHM, MESSAGE, PATIENT).unwrap_err();
        let SignError::NotCalled(TokenError::Closed { cause }) = &refused else {
            panic!("{refused}");
        };
        assert!(matches!(**cause, TokenError::PinIncorrect { .. }), "{cause}");
        // Somebody enters the right PIN meanwhile: had ours been tried again, the count would be low again.
        stranger.login(UserType::User, Some(&"5678-user".into())).unwrap();
        stranger.logout().unwrap();
        assert!(!token.pin_state().unwrap().count_low);
    }
    // Sessions go before the module is stopped.
    drop(stranger);
    drop(token);
    let token = Token::open(&bench.spec(), &"5678-user".into()).unwrap();
    assert_eq!(token.info().label, LABEL);
    sign_and_verify(
        &token,
        &token.find(&key.name, &key.cka_id, key.spki_sha256()).unwrap(),
        ALGORITHM,
    );
}
