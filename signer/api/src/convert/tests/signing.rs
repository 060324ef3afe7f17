use prost::Message as _;
use stele_core::request::{Context, KeyProof, Wanted};
use stele_core::types::Digest;

use super::*;
use crate::convert::{sign_request, sign_request_to_wire};

#[test]
fn a_request_survives_the_wire() {
    let core = sign_request(full()).unwrap();
    let wire = sign_request_to_wire(&core);
    assert_eq!(wire, full());
    let decoded = v1::SignRequest::decode(wire.encode_to_vec().as_slice()).unwrap();
    assert_eq!(sign_request(decoded).unwrap(), core);
}

#[test]
fn absent_is_not_stated_and_empty_is_stated() {
    let core = sign_request(with_csr(Proof::Pkcs10Der(vec![1]))).unwrap();
    assert_eq!((&core.wanted, &core.context), (&Wanted::default(), &Context::default()));

    let mut wire = with_csr(Proof::Pkcs10Der(vec![1]));
    wire.wanted = Some(v1::Wanted {
        subject: Some(v1::Subject::default()),
        sans: Some(v1::SubjectAlternativeNames::default()),
        ..v1::Wanted::default()
    });
    let stated = sign_request(wire).unwrap();
    assert_eq!(stated.wanted.sans, Some(Vec::new()));
    assert_ne!(stated.digest(), core.digest());
    assert_eq!(sign_request(sign_request_to_wire(&stated)).unwrap(), stated);
}

#[test]
fn pem_and_der_are_the_same_request() {
    let pem = "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n";
    let from_pem = sign_request(with_csr(Proof::Pkcs10Pem(pem.to_owned()))).unwrap();
    assert_eq!(from_pem.proof, KeyProof::Pkcs10(vec![0x30, 0]));
    let from_der = sign_request(with_csr(Proof::Pkcs10Der(vec![0x30, 0]))).unwrap();
    assert_eq!(from_pem.digest(), from_der.digest());
}

/// An item of the digest's encoding, written from its documentation (proto/README.md).
fn item(tag: u8, value: &[u8]) -> Vec<u8> {
    [&[tag][..], &(value.len() as u64).to_be_bytes(), value].concat()
}

#[test]
fn the_digest_takes_the_numbers_of_the_contract() {
    let expect = |wanted: v1::Wanted, encoded: Vec<u8>| {
        let mut wire = with_csr(Proof::Pkcs10Der(vec![1]));
        wire.wanted = Some(wanted);
        let core = sign_request(wire.clone()).unwrap();
        assert_eq!(sign_request_to_wire(&core).wanted, wire.wanted);
        let header = b"stele-sign-request-v1\n".to_vec();
        let bytes = [
            header,
            item(1, b"r"),
            item(2, b"p"),
            item(4, &[1]),
            encoded,
            item(12, b""),
        ]
        .concat();
        assert_eq!(core.digest(), Digest::of(&bytes), "{wire:?}");
    };
    for usage in 1..=15i32 {
        let wanted = v1::Wanted {
            usages: Some(v1::Usages { usages: vec![usage] }),
            ..v1::Wanted::default()
        };
        expect(wanted, item(8, &item(1, &i64::from(usage).to_be_bytes())));
    }
    for kind in 1..=9i32 {
        let attribute = v1::Attribute {
            r#type: kind,
            value: "x".to_owned(),
        };
        let wanted = v1::Wanted {
            subject: Some(v1::Subject {
                attributes: vec![attribute],
            }),
            ..v1::Wanted::default()
        };
        let attribute = [item(1, &i64::from(kind).to_be_bytes()), item(2, b"x")].concat();
        expect(wanted, item(6, &item(1, &attribute)));
    }
    assert!(v1::Usage::try_from(16).is_err() && v1::AttributeType::try_from(10).is_err());
}
