//! Requests made byte by byte: what real clients send, names that no certificate can carry, and what is not DER.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod csr_support;

use std::time::{Duration, Instant};

use csr_support::{extension, extension_request, rdn, seq, signed, signed_info, spki, tlv};
use proptest::prelude::*;
use stele_core::csr::{Csr, Limits, ProvenRequest};
use stele_core::names::Usage;

const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const SAN: u8 = 17;

fn prove(der: &[u8]) -> Result<Csr, String> {
    Csr::prove(der, &Limits::default()).map_err(|refusal| refusal.to_string())
}

fn no_subject() -> Vec<u8> {
    seq(&[])
}

fn with_sans(names: &[Vec<u8>]) -> Vec<u8> {
    signed(&no_subject(), &extension_request(&[extension(SAN, false, &seq(names))]))
}

#[test]
fn the_stub_of_a_pod_certificate_request_proves() {
    let csr = prove(&signed(&no_subject(), &[])).unwrap();
    let request = ProvenRequest::from(csr.clone());
    assert_eq!(request.csr(), Some(&csr));
    assert!(request.subject().0.is_empty() && request.sans().is_empty() && request.attributes().is_empty());
    assert_eq!((request.usages(), request.basic_constraints()), (None, None));
}

#[test]
fn the_request_of_an_istio_proxy_proves() {
    let uri = b"spiffe://cluster.local/ns/foo/sa/bar";
    let sans = extension(SAN, true, &seq(&[tlv(0x86, uri)]));
    let subject = seq(&[rdn(10, PRINTABLE, b"")]);
    let csr = prove(&signed(&subject, &extension_request(&[sans]))).unwrap();
    assert!(csr.subject().0.is_empty());
    assert_eq!(csr.sans()[0].to_string(), "uri:spiffe://cluster.local/ns/foo/sa/bar");
    let [violation] = csr.unrepresentable() else { panic!() };
    assert_eq!(
        (violation.field.as_str(), violation.found.as_str()),
        ("subject.Organization", "an empty value")
    );
}

#[test]
fn the_request_of_rcgen_proves() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["a.example".to_owned(), "10.0.0.1".to_owned()]).unwrap();
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let request = params.serialize_request(&key).unwrap();
    let csr = prove(request.der()).unwrap();
    assert_eq!(
        csr.sans().iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["dns:a.example", "ip:10.0.0.1"]
    );
    assert_eq!(csr.usages().unwrap(), [Usage::DigitalSignature, Usage::ClientAuth]);
    let crlf = request.pem().unwrap().replace("\r\n", "\n").replace('\n', "\r\n");
    assert_eq!(Csr::from_pem_or_der(crlf.as_bytes(), &Limits::default()).unwrap(), csr);
}

#[test]
fn names_that_no_certificate_carries_are_kept_for_the_profile() {
    let two = [
        seq(&[tlv(0x06, &[0x55, 4, 3]), tlv(UTF8, b"a")]),
        seq(&[tlv(0x06, &[0x55, 4, 10]), tlv(UTF8, b"b")]),
    ];
    for (name, found) in [
        (tlv(0x31, &two.concat()), "2 attributes"),
        (tlv(0x31, &[]), "0 attributes"),
        (rdn(4, UTF8, b"surname"), "attribute type 2.5.4.4"),
        (rdn(3, 0x1e, b"\0a"), "BMPString"),
        (rdn(3, 0x14, b"a"), "TeletexString"),
        (rdn(3, UTF8, b"a\0b"), "control characters in `a\\0b`"),
        (rdn(3, UTF8, "\u{9b}31m".as_bytes()), "control characters"),
        (
            rdn(3, UTF8, "admin\u{202e}gpj".as_bytes()),
            "invisible characters in `admin\\u{202e}gpj`",
        ),
        (rdn(3, UTF8, b"\xff\xfe"), "UTF8String with characters"),
        (rdn(3, PRINTABLE, b"a@b"), "PrintableString with characters"),
        (rdn(3, 0x16, b"\xe9"), "IA5String with characters"),
        (rdn(3, UTF8, b""), "an empty value"),
    ] {
        let csr = prove(&signed(&seq(&[rdn(10, UTF8, b"kept"), name]), &[])).unwrap();
        assert_eq!(csr.subject().0.len(), 1);
        let [violation] = csr.unrepresentable() else {
            panic!("{found}")
        };
        assert!(violation.found.contains(found), "{violation} should say {found}");
    }
}

#[test]
fn alternative_names_that_no_certificate_carries_are_kept_for_the_profile() {
    let other_name = tlv(0xa0, &[tlv(0x06, &[0x2a, 3]), tlv(0xa0, &tlv(UTF8, b"x"))].concat());
    for (name, field) in [
        (other_name, "san.otherName"),
        (tlv(0xa4, &seq(&[rdn(3, UTF8, b"x")])), "san.directoryName"),
        (tlv(0x88, &[0x2a, 3]), "san.registeredID"),
        (tlv(0xa3, &[]), "san.x400Address"),
        (tlv(0xa5, &[]), "san.ediPartyName"),
        (tlv(0x89, &[]), "san.unknown"),
        (tlv(0x82, b""), "san.dns"),
        (tlv(0x82, b"a.example\0.evil"), "san.dns"),
        (tlv(0x82, "ä.example".as_bytes()), "san.dns"),
        (tlv(0x81, b"a@b\r\n"), "san.email"),
        (tlv(0x86, b"spiffe://\x7f"), "san.uri"),
        (tlv(0x87, &[10, 0, 0]), "san.ip"),
        (tlv(0x87, &[10, 0, 0, 0, 255, 0, 0, 0]), "san.ip"),
    ] {
        let csr = prove(&with_sans(&[tlv(0x82, b"kept"), name])).unwrap();
        assert_eq!(csr.sans().len(), 1, "{field}");
        let [violation] = csr.unrepresentable() else {
            panic!("{field}")
        };
        assert_eq!(violation.field, field);
    }
}

#[test]
fn extensions_that_are_not_der_are_refused() {
    let eku = tlv(0x06, b"\x2b\x06\x01\x05\x05\x07\x03\x01");
    let explicit_false = seq(&[tlv(0x06, &[0x55, 0x1d, 15]), tlv(1, &[0]), tlv(4, &tlv(3, &[7, 0x80]))]);
    for (what, extensions) in [
        ("an empty list", vec![]),
        (
            "one extension twice",
            vec![extension(19, false, &seq(&[])), extension(19, false, &seq(&[]))],
        ),
        ("critical FALSE written out", vec![explicit_false]),
        ("no names", vec![extension(SAN, false, &seq(&[]))]),
        ("names of another type", vec![extension(SAN, false, &tlv(0x82, b"a"))]),
        (
            "bytes after the names",
            vec![extension(SAN, false, &[seq(&[tlv(0x82, b"a")]), vec![0]].concat())],
        ),
        (
            "BER inside the names",
            vec![extension(SAN, false, b"\x30\x80\x82\x01a\0\0")],
        ),
        ("no usage bits", vec![extension(15, true, &tlv(3, &[0]))]),
        ("trailing zero bits", vec![extension(15, true, &tlv(3, &[0, 0x80]))]),
        ("a tenth bit", vec![extension(15, true, &tlv(3, &[6, 0x80, 0x40]))]),
        ("no purposes", vec![extension(37, false, &seq(&[]))]),
        (
            "bytes after the purposes",
            vec![extension(37, false, &[seq(&[eku]), vec![5, 0]].concat())],
        ),
        (
            "cA FALSE written out",
            vec![extension(19, false, &seq(&[tlv(1, &[0])]))],
        ),
        (
            "a path length of 256",
            vec![extension(19, true, &seq(&[tlv(1, &[0xff]), tlv(2, &[1, 0])]))],
        ),
        (
            "a negative path length",
            vec![extension(19, true, &seq(&[tlv(1, &[0xff]), tlv(2, &[0xff])]))],
        ),
    ] {
        let refused = prove(&signed(&no_subject(), &extension_request(&extensions)));
        assert!(refused.unwrap_err().contains("malformed"), "{what}");
    }
}

#[test]
fn requests_that_are_not_pkcs10_are_refused() {
    let good = signed(&no_subject(), &[]);
    let bmp = tlv(0x31, &tlv(0x0c, b"secret"));
    let challenge = seq(&[tlv(0x06, b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07"), bmp]);
    let request = || extension_request(&[extension(19, false, &seq(&[]))]);
    let info = |parts: &[Vec<u8>]| signed_info(&seq(parts));
    let version = |n: u8| tlv(2, &[n]);
    let (none, attributes) = (no_subject(), tlv(0xa0, &[]));
    let mut long_form = good.clone();
    long_form.splice(1..2, [0x82, 0x00, good[1]]);
    for (what, der) in [
        ("nothing", vec![]),
        ("a trailing byte", [good.clone(), vec![0]].concat()),
        ("a missing byte", good[..good.len() - 1].to_vec()),
        ("a long length", long_form),
        (
            "version 2",
            info(&[version(1), none.clone(), spki(), attributes.clone()]),
        ),
        ("no attributes field", info(&[version(0), none.clone(), spki()])),
        (
            "a fifth field",
            info(&[version(0), none.clone(), spki(), attributes, tlv(0xa1, &[])]),
        ),
        (
            "two extension requests",
            signed(&none, &[request(), request()].concat()),
        ),
        (
            "attributes out of order",
            signed(&none, &[request(), challenge.clone()].concat()),
        ),
        (
            "deep nesting",
            signed(&seq(&[rdn(3, 0x30, &(0..20).fold(vec![], |v, _| tlv(0x30, &v)))]), &[]),
        ),
    ] {
        assert!(prove(&der).unwrap_err().contains("malformed"), "{what}");
    }
    let csr = prove(&signed(&none, &[challenge, request()].concat())).unwrap();
    assert_eq!(csr.attributes(), ["1.2.840.113549.1.9.7"]);
    assert_eq!(csr.basic_constraints(), Some((false, None)));
}

#[test]
fn limits_hold_before_the_work_is_done() {
    let names: Vec<_> = (0..101).map(|_| tlv(0x82, b"a.example")).collect();
    assert!(prove(&with_sans(&names[..100])).is_ok());
    assert!(prove(&with_sans(&names)).unwrap_err().contains("101 names"));
    let attributes: Vec<_> = (0..101).map(|_| rdn(4, UTF8, b"unknown")).collect();
    assert!(
        prove(&signed(&seq(&attributes), &[]))
            .unwrap_err()
            .contains("101 names")
    );
    assert!(prove(&vec![0x30; 1 << 20]).unwrap_err().contains("1048576 bytes"));
    let pem = [b"-----BEGIN CERTIFICATE REQUEST-----\n".to_vec(), vec![b'A'; 1 << 20]].concat();
    assert!(
        Csr::from_pem_or_der(&pem, &Limits::default())
            .unwrap_err()
            .to_string()
            .contains("1048")
    );
}

/// The largest request of as many values as fit, each in the order that costs a sort the most.
#[test]
fn the_costliest_requests_take_less_than_5_ms() {
    let attribute = |n: u16| seq(&[tlv(6, &[0x2a, 0x81 | (n >> 7) as u8, (n & 0x7f) as u8]), tlv(0x31, &[])]);
    let rising: Vec<_> = (0..1000).map(attribute).collect();
    let falling: Vec<_> = rising.iter().rev().cloned().collect();
    let mut sorted = rising.clone();
    sorted.sort();
    let names: Vec<_> = (0..1100).map(|_| tlv(0x82, b"a.org")).collect();
    let nested = (0..2000).fold(vec![], |v, _| tlv(0x30, &v));
    for (what, der) in [
        ("attributes in order", signed(&no_subject(), &sorted.concat())),
        ("attributes in reverse", signed(&no_subject(), &falling.concat())),
        ("names", with_sans(&names)),
        ("one large name", signed(&seq(&[tlv(0x31, &names.concat())]), &[])),
        ("nesting", signed(&nested, &[])),
    ] {
        assert!((6000..10_240).contains(&der.len()), "{what}: {} bytes", der.len());
        let once = || {
            let start = Instant::now();
            let _ = prove(&der);
            start.elapsed()
        };
        let best = (0..10).map(|_| once()).min().unwrap();
        println!("{what}: {best:?}");
        assert!(best < Duration::from_millis(5), "{what}: {best:?}");
    }
}

fn sample() -> Vec<u8> {
    let sans = extension(SAN, true, &seq(&[tlv(0x82, b"a.example"), tlv(0x87, &[10, 0, 0, 1])]));
    let usage = extension(15, true, &tlv(3, &[5, 0xa0]));
    signed(&seq(&[rdn(3, UTF8, b"a")]), &extension_request(&[sans, usage]))
}

#[test]
fn no_bit_of_a_request_can_be_changed() {
    let good = sample();
    prove(&good).unwrap();
    for bit in 0..good.len() * 8 {
        let mut changed = good.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(prove(&changed).is_err(), "bit {bit}");
    }
}

fn mutated(bytes: Vec<u8>, edits: &[(usize, u8, u8)]) -> Vec<u8> {
    edits.iter().fold(bytes, |mut bytes, (at, kind, value)| {
        let at = at % bytes.len().max(1);
        match kind % 3 {
            0 if at < bytes.len() => bytes[at] = *value,
            1 => bytes.insert(at, *value),
            _ => drop(bytes.drain(at..(at + usize::from(value % 4)).min(bytes.len()))),
        }
        bytes
    })
}

fn edits() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(prove(&bytes).is_err());
    }

    #[test]
    fn a_mutated_request_never_proves(edits in edits()) {
        let changed = mutated(sample(), &edits);
        prop_assume!(changed != sample());
        prop_assert!(prove(&changed).is_err());
    }

    /// Signed again after the mutation, so that what lies behind the signature check is reached.
    #[test]
    fn a_mutated_request_with_a_good_signature_never_panics(edits in edits()) {
        let sans = seq(&[tlv(0x82, b"a.example"), tlv(0x87, &[10, 0, 0, 1]), tlv(0xa4, &seq(&[rdn(3, UTF8, b"x")]))]);
        let eku = seq(&[tlv(0x06, b"\x2b\x06\x01\x05\x05\x07\x03\x01")]);
        let extensions = [
            extension(SAN, true, &mutated(sans, &edits)),
            extension(15, true, &mutated(tlv(3, &[5, 0xa0]), &edits)),
            extension(37, false, &mutated(eku, &edits)),
            extension(19, true, &mutated(seq(&[tlv(1, &[0xff]), tlv(2, &[3])]), &edits)),
        ];
        for extension in extensions {
            let _ = prove(&signed(&seq(&[]), &extension_request(&[extension])));
        }
        let _ = prove(&signed(&mutated(seq(&[rdn(3, UTF8, b"a"), rdn(10, PRINTABLE, b"b")]), &edits), &[]));
    }
}
