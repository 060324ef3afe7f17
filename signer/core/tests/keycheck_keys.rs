//! Public keys: what is refused, how long that takes, and that signatures verify under the right algorithm only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod csr_support;

use std::time::{Duration, Instant};

use csr_support::{openssl, seq, spki, tlv};
use p256::ecdsa::signature::Signer;
use proptest::prelude::*;
use stele_core::csr::prove_pod_key;
use stele_core::keycheck::{Blocklist, PublicKey, SIGNATURE_ALGORITHMS};
use stele_core::types::{Digest, KeyAlgorithm, SignatureAlgorithm, hex, unhex};

/// Made for this test as Infineon's library made keys: both primes are k·M + 65537^a mod M, M the product of the first
/// 126 primes (Nemec et al. 2017, table 1).
const ROCA: &str = "da2ff604054f7832c867edac990eecaed560f4ba08165bb5cc572f44832c391a49a552c0b094f751bbcfe2dcbdcdca47\
    d0d1a33d73aebd7856e994c3be2d5661bccd8cb3981ff57278fda1292975c4486ad555f201be387cc003bbec598abe2e\
    0edb981d23921694645fbcf63b5fc92f34d5978dfc552e93a4fa093b305b2700e5129efd03ea5f0c51d92d52d3945326\
    0c2d3215fd56eef05d790ad573ded4c6ca7ada6516ab2387d33362bf8afa702fcd6380f9e80d30bb4ae83e332b0c9ab0\
    38d77ceeb87c5d0a3d2a211a4216fffc2f6cd5529ef5e84bb24acfe578176b1362e990041c59cd4259a84d9183a342b6\
    54cc76acb7380543dc62dabf7bc07e97";
/// Two primes about 2^500 apart: the first round of Fermat's method finds them.
const FERMAT: &str = "aae11d6fbfc0bdc2ff9d1cd511dcea94e22d48fbc399c2516848a4a7f838ea00200df969e72decc9188c989766e1414a\
    982cb82de2b60d01901cc07ed672ac8054618707b876a07bc5f61baa144f9884485d41e8c11f461679b8ca373be071ac\
    a8861d1e37dbffc8a3e09c65271999b678c1b70e84f4ca697418bdb39e365c9f4546856b20a411e1d2d66a9911f63366\
    9278d3b6da09a164597947eaca4a51a07dbc0515ddfe10d10d92f26a7c523006f3d5226e99b272cb2f3527817e9d9e33\
    f2199df8d06ebc19752f8d7c48b72a2858959df80a01e91ee8bb478e9429321d20f8470e70d1442e7490d1ae2ec7c3dc\
    6fd6f54056d90ac091305c9db65a4b19";
/// Two primes about 2^515 apart: the eleventh round finds them.
const FERMAT_LATER: &str = "930ed165a3a15a57c0e70c8b867252fad7ade2ce23ebe225261b7711e2e1d6ac4852815e9cec249c8faa687e9817c65b\
    002932848d85a8b5dcb4c7cd58f2aeb56a93d35519f7e778baaa33f23828bee1aba98db27d3910d2cea5ec324afb779f\
    0e987dc7b0c0bb91fe4f05ba225eb2903a565a44b9a5b4ba0473288323f41b14235446b3e86c3aafa4d9b6f0cb0e7f40\
    f07a0947bd95b9e9850642b10a3090630d2dffaeea42562a0b911cafbb838c6c3a9b0457bba5077155370febd0a28256\
    b1a68603bfc8714ed0ac8dc8a4aa1bff601b1aebb5aa5090bde57c2f402a6cd98132045ed28778e4bc8e4d485cafd005\
    f756777d470cdde72acaa9859b8d538f";
const F4: [u8; 3] = [1, 0, 1];

fn modulus(hex: &str) -> Vec<u8> {
    unhex("modulus", hex).unwrap()
}

/// A real 4096-bit key, its SubjectPublicKeyInfo and modulus.
fn real_rsa() -> (Vec<u8>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    openssl(
        dir.path(),
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -out key.pem",
    );
    let spki = openssl(dir.path(), "pkey -in key.pem -pubout -outform DER");
    let printed = String::from_utf8(openssl(dir.path(), "rsa -in key.pem -noout -modulus")).unwrap();
    let digits = printed.trim().strip_prefix("Modulus=").unwrap().to_lowercase();
    (spki, modulus(&digits))
}

fn refused(key: Result<PublicKey, stele_core::Error>, why: &str) {
    let error = key.unwrap_err().to_string();
    assert!(error.contains(why), "{error} should say {why}");
}

#[test]
fn weak_rsa_keys_are_refused() {
    refused(PublicKey::from_rsa(&modulus(ROCA), &F4), "ROCA");
    refused(PublicKey::from_rsa(&modulus(FERMAT), &F4), "too close");
    refused(PublicKey::from_rsa(&modulus(FERMAT_LATER), &F4), "too close");
    // A square is the closest pair of all.
    refused(PublicKey::from_rsa(&square_of_2048_bits(), &F4), "too close");

    let mut even = modulus(FERMAT);
    *even.last_mut().unwrap() &= 0xfe;
    refused(PublicKey::from_rsa(&even, &F4), "divisible by 2");
    // All ones: 2^2048 - 1 is divisible by 3.
    refused(PublicKey::from_rsa(&[0xff; 256], &F4), "divisible by 3");
    refused(PublicKey::from_rsa(&multiple_of_751(), &F4), "divisible by 751");
}

/// (2^1024 - 105)², odd, and 2^1024 - 105 is prime to all primes below 752.
fn square_of_2048_bits() -> Vec<u8> {
    // 2^2048 - 210·2^1024 + 11025
    let mut bytes = vec![0xff; 127];
    bytes.push(0xff - 209);
    bytes.extend([0; 126]);
    bytes.extend([0x2b, 0x11]);
    bytes
}

/// 751 · (2^2039 + k) for the first k that leaves no smaller factor.
fn multiple_of_751() -> Vec<u8> {
    let is_smooth =
        |bytes: &[u8]| (2..751u32).any(|p| bytes.iter().fold(0, |rest, b| ((rest << 8) | u32::from(*b)) % p) == 0);
    (1u32..)
        .step_by(2)
        .map(|k| {
            let mut bytes = vec![0u8; 256];
            bytes[..2].copy_from_slice(&(751u16 << 6).to_be_bytes());
            bytes[252..].copy_from_slice(&(751 * k).to_be_bytes());
            bytes
        })
        .find(|bytes| !is_smooth(bytes))
        .unwrap()
}

#[test]
fn rsa_keys_have_one_encoding() {
    let (spki, modulus) = real_rsa();
    let key = PublicKey::from_spki_der(&spki).unwrap();
    assert_eq!(key.algorithm(), KeyAlgorithm::Rsa4096);
    assert_eq!(key, PublicKey::from_rsa(&modulus, &F4).unwrap());
    assert_eq!(key.digest(), Digest::of(&spki));

    let oid = tlv(0x06, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");
    let inner = |parts: &[Vec<u8>]| {
        let key = [vec![0], seq(parts)].concat();
        PublicKey::from_spki_der(&seq(&[seq(&[oid.clone(), tlv(5, &[])]), tlv(3, &key)]))
    };
    let (n, e) = (tlv(2, &[&[0][..], &modulus].concat()), tlv(2, &F4));
    assert!(inner(&[n.clone(), e.clone()]).is_ok());
    refused(inner(&[n.clone(), e.clone(), tlv(5, &[])]), "RSA public key");
    refused(inner(std::slice::from_ref(&n)), "RSA public key");
    refused(inner(&[tlv(2, &modulus), e.clone()]), "RSA public key");
    refused(inner(&[n.clone(), tlv(2, &[0, 1, 0, 1])]), "shortest form");
    refused(inner(&[n.clone(), tlv(2, &[3])]), "exponent 0x03");
    let without_null = seq(&[seq(&[oid]), tlv(3, &[vec![0], seq(&[n, e])].concat())]);
    refused(PublicKey::from_spki_der(&without_null), "without NULL");
    refused(PublicKey::from_rsa(&[0xff; 2048], &F4), "2086 bytes");
}

#[test]
fn ec_points_lie_on_their_curve() {
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let good = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
    assert!(PublicKey::from_ec_point(KeyAlgorithm::EcP256, &good).is_ok());
    let changed = |at: usize| {
        let mut point = good.clone();
        point[at] ^= 1;
        PublicKey::from_ec_point(KeyAlgorithm::EcP256, &point)
    };
    (1..65).for_each(|at| refused(changed(at), "not on its curve"));
    refused(changed(0), "in another form");
    refused(PublicKey::from_ec_point(KeyAlgorithm::EcP256, &[0]), "in another form");
    refused(PublicKey::from_ec_point(KeyAlgorithm::EcP384, &good), "in another form");
    refused(
        PublicKey::from_ec_point(KeyAlgorithm::Ed25519, &good),
        "EcP256, EcP384 or EcP521",
    );
    // x + p for a point with a small x: the same point to a reader that reduces, but not as it must be written.
    let unreduced = [&[4][..], &[0xff; 64]].concat();
    refused(
        PublicKey::from_ec_point(KeyAlgorithm::EcP256, &unreduced),
        "not on its curve",
    );
    let zeros = [&[4][..], &[0; 132]].concat();
    refused(
        PublicKey::from_ec_point(KeyAlgorithm::EcP521, &zeros),
        "not on its curve",
    );
}

#[test]
fn the_key_identifier_is_that_of_rfc_7093() {
    let key = PublicKey::from_spki_der(&spki()).unwrap();
    let bit_string = csr_support::signing_key().verifying_key().to_bytes();
    assert_eq!(
        hex(&key.subject_key_identifier()),
        Digest::of(&bit_string).to_string()[..40]
    );
    let with_null = seq(&[
        seq(&[tlv(6, b"\x2b\x65\x70"), tlv(5, &[])]),
        tlv(3, &[&[0][..], &bit_string].concat()),
    ]);
    refused(PublicKey::from_spki_der(&with_null), "parameters absent");
}

#[test]
fn a_signature_verifies_under_its_algorithm_only() {
    let signing = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let signature: p256::ecdsa::Signature = signing.sign(b"message");
    let der = signature.to_der().as_bytes().to_vec();
    let point = signing.verifying_key().to_sec1_point(false).as_bytes().to_vec();
    let key = PublicKey::from_ec_point(KeyAlgorithm::EcP256, &point).unwrap();
    for alg in SIGNATURE_ALGORITHMS {
        assert_eq!(
            key.verify(alg, b"message", &der).is_ok(),
            alg == SignatureAlgorithm::EcdsaSha256,
            "{alg:?}"
        );
    }
    assert!(key.verify(SignatureAlgorithm::EcdsaSha256, b"messagE", &der).is_err());
    assert!(
        key.verify(SignatureAlgorithm::EcdsaSha256, b"message", &signature.to_bytes())
            .is_err()
    );
    // BER: the same integers with a length in long form, and with a byte after them.
    let long_form = [&[0x30, 0x81], &der[1..]].concat();
    let trailing = [&der[..], &[0]].concat();
    assert!(
        key.verify(SignatureAlgorithm::EcdsaSha256, b"message", &long_form)
            .is_err()
    );
    assert!(
        key.verify(SignatureAlgorithm::EcdsaSha256, b"message", &trailing)
            .is_err()
    );
}

/// The worst inputs reach every check; the best of several runs is free of the machine's noise.
#[test]
fn the_slowest_key_takes_less_than_5_ms() {
    let (spki, _) = real_rsa();
    let once = || {
        let start = Instant::now();
        PublicKey::from_spki_der(&spki).unwrap();
        start.elapsed()
    };
    let best = (0..20).map(|_| once()).min().unwrap();
    println!("RSA-4096: {best:?}");
    assert!(best < Duration::from_millis(5), "{best:?}");
}

#[test]
fn pod_proofs_of_every_kubernetes_key_type_verify() {
    const UID: &str = "7f6d3c0a-5c0e-4b8e-9a53-0d7f2a9c1b44";
    const PSS: &str = "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen";
    for (key, sign) in [
        (
            "RSA -pkeyopt rsa_keygen_bits:3072",
            format!("dgst {PSS}:max -sign key.pem uid"),
        ),
        (
            "RSA -pkeyopt rsa_keygen_bits:3072",
            format!("dgst {PSS}:digest -sign key.pem uid"),
        ),
        (
            "EC -pkeyopt ec_paramgen_curve:P-256",
            "dgst -sha256 -sign key.pem uid".to_owned(),
        ),
        (
            "EC -pkeyopt ec_paramgen_curve:P-384",
            "dgst -sha256 -sign key.pem uid".to_owned(),
        ),
        (
            "EC -pkeyopt ec_paramgen_curve:P-521",
            "dgst -sha256 -sign key.pem uid".to_owned(),
        ),
        ("ED25519", "pkeyutl -sign -rawin -inkey key.pem -in uid".to_owned()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        openssl(dir.path(), &format!("genpkey -out key.pem -algorithm {key}"));
        std::fs::write(dir.path().join("uid"), UID).unwrap();
        let spki = openssl(dir.path(), "pkey -in key.pem -pubout -outform DER");
        let proof = openssl(dir.path(), &sign);
        let proven = prove_pod_key(&spki, &proof, UID).unwrap_or_else(|e| panic!("{key} {sign}: {e}"));
        assert_eq!((proven.public_key().spki_der(), proven.pod_uid()), (&spki[..], UID));

        let other = UID.replace('7', "8");
        for (proof, uid) in [
            (&proof[..], other.as_str()),
            (&proof[1..], UID),
            (&[], UID),
            (&proof, ""),
            (&[0; 4096], UID),
        ] {
            assert!(prove_pod_key(&spki, proof, uid).is_err(), "{key} {uid}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn foreign_keys_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<usize>(), value: u8) {
        prop_assert!(PublicKey::from_spki_der(&bytes).is_err());
        let _ = PublicKey::from_rsa(&bytes, &F4);
        let _ = PublicKey::from_ec_point(KeyAlgorithm::EcP256, &bytes);
        let mut changed = spki();
        let at = at % changed.len();
        changed[at] = value;
        let _ = PublicKey::from_spki_der(&changed);
    }
}

#[test]
fn a_key_on_a_list_is_known_by_what_openssl_prints() {
    let dir = tempfile::tempdir().unwrap();
    openssl(
        dir.path(),
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem",
    );
    let key = PublicKey::from_spki_der(&openssl(dir.path(), "pkey -in key.pem -pubout -outform DER")).unwrap();
    std::fs::write(
        dir.path().join("line"),
        openssl(dir.path(), "rsa -in key.pem -noout -modulus"),
    )
    .unwrap();
    let digest = String::from_utf8(openssl(dir.path(), "dgst -sha1 -r line")).unwrap();
    let listed = Blocklist::parse("list", &digest[20..40]).unwrap();
    assert!(listed.contains(&key));
    assert!(!Blocklist::parse("list", "00112233445566778899").unwrap().contains(&key));
    assert!(!Blocklist::default().contains(&key));
    let (other, _) = real_rsa();
    assert!(!listed.contains(&PublicKey::from_spki_der(&other).unwrap()));
}
