//! Keys: how they are protected, found, and refused.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use stele_core::types::{Digest, KeyAlgorithm, SignatureAlgorithm};
use stele_hsm::{SignError, Token, TokenError};

use crate::Case;
use crate::support::{Bench, MESSAGE, PATIENT, name, sign_and_verify, user_pin};

pub(crate) const CASES: &[Case] = &[
    ("keys_cannot_leave_the_token", cannot_leave),
    ("a_key_does_only_what_it_is_for", allowed_mechanisms),
    ("a_taken_label_is_refused", taken_label),
    ("a_key_is_found_by_id_label_and_public_key", found_again),
    ("two_keys_of_one_id_are_refused", two_keys),
    ("an_extractable_key_is_refused", extractable),
    ("a_destroyed_key_is_gone", destroyed),
];

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
