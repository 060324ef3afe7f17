//! Requests as the real `openssl` makes them: every permitted algorithm proves, every other is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod csr_support;

use csr_support::{openssl, openssl_csr};
use stele_core::csr::{Csr, Limits};
use stele_core::keycheck::{SIGNATURE_ALGORITHMS, decode_algorithm, encode_algorithm};
use stele_core::names::{AttributeType, Usage};
use stele_core::types::KeyAlgorithm;

fn prove(der: &[u8]) -> Result<Csr, String> {
    Csr::prove(der, &Limits::default()).map_err(|refusal| refusal.to_string())
}

#[test]
fn every_permitted_algorithm_proves() {
    const PSS: &str = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";
    let keys = [
        (KeyAlgorithm::EcP256, "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"),
        (KeyAlgorithm::EcP384, "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
        (KeyAlgorithm::EcP521, "-algorithm EC -pkeyopt ec_paramgen_curve:P-521"),
        (KeyAlgorithm::Rsa2048, "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
        (KeyAlgorithm::Rsa3072, "-algorithm RSA -pkeyopt rsa_keygen_bits:3072"),
        (KeyAlgorithm::Rsa4096, "-algorithm RSA -pkeyopt rsa_keygen_bits:4096"),
        (KeyAlgorithm::Ed25519, "-algorithm ED25519"),
    ];
    for (algorithm, key) in keys {
        let dir = tempfile::tempdir().unwrap();
        openssl(dir.path(), &format!("genpkey -out key.pem {key}"));
        let is_rsa = key.contains("RSA");
        for hash in ["-sha256", "-sha384", "-sha512"] {
            for padding in if is_rsa { &["", PSS][..] } else { &[""] } {
                let request = format!("req -new -key key.pem -subj /CN=test -outform DER {hash} {padding}");
                let der = openssl(dir.path(), &request);
                let csr = prove(&der).unwrap_or_else(|e| panic!("{algorithm:?} {hash} {padding}: {e}"));
                assert_eq!(csr.public_key().algorithm(), algorithm);
                assert_eq!(csr.der(), der);
            }
        }
        let spki = openssl(dir.path(), "pkey -in key.pem -pubout -outform DER");
        assert_eq!(
            prove(&openssl(dir.path(), "req -new -key key.pem -subj / -outform DER"))
                .unwrap()
                .public_key()
                .spki_der(),
            spki
        );
    }
}

#[test]
fn weak_keys_and_signatures_are_refused() {
    const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
    const RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
    let cases = [
        (
            "-algorithm RSA -pkeyopt rsa_keygen_bits:1024",
            "",
            "a modulus of 1024 bits",
        ),
        (
            "-algorithm RSA -pkeyopt rsa_keygen_bits:2056",
            "",
            "a modulus of 2056 bits",
        ),
        (
            "-algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3",
            "",
            "exponent 0x03",
        ),
        (
            "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048",
            "",
            "algorithm 1.2.840.113549.1.1.10",
        ),
        (
            "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1",
            "",
            "curve 1.3.132.0.10",
        ),
        (
            "-algorithm EC -pkeyopt ec_paramgen_curve:P-224",
            "",
            "curve 1.3.132.0.33",
        ),
        ("-algorithm ED448", "", "algorithm 1.3.101.113"),
        (P256, "-sha1", "AlgorithmIdentifier 30"),
        (P256, "-sha224", "AlgorithmIdentifier 30"),
        (RSA, "-sha1", "AlgorithmIdentifier 30"),
        (
            RSA,
            "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20",
            "AlgorithmIdentifier 30",
        ),
        (
            RSA,
            "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sigopt rsa_mgf1_md:sha512",
            "AlgorithmIdentifier 30",
        ),
    ];
    for (key, request, why) in cases {
        let refused = prove(&openssl_csr(key, request)).unwrap_err();
        assert!(refused.contains(why), "{key} {request}: {refused}");
    }
}

#[test]
fn curves_without_a_name_and_points_in_other_forms_are_refused() {
    for (conversion, why) in [
        ("-param_enc explicit", "EC parameters that name no curve"),
        ("-conv_form compressed", "a point of 33 octets in another form"),
        ("-conv_form hybrid", "a point of 65 octets in another form"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        openssl(dir.path(), "ecparam -name prime256v1 -genkey -noout -out named.pem");
        openssl(dir.path(), &format!("ec -in named.pem -out key.pem {conversion}"));
        let der = openssl(dir.path(), "req -new -key key.pem -subj /CN=test -outform DER");
        let refused = prove(&der).unwrap_err();
        assert!(refused.contains(why), "{conversion}: {refused}");
    }
}

#[test]
fn what_was_asked_for_is_read() {
    let csr = openssl_csr(
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        "-subj /C=CH/ST=Bern/L=Thun/O=system:nodes/OU=a/OU=b/CN=system:node:n1/serialNumber=7/UID=u/DC=example \
         -addext subjectAltName=DNS:n1.example.org,IP:10.0.0.1,IP:fd00::1,URI:spiffe://d/ns/a/sa/b,email:a@example.org \
         -addext keyUsage=critical,keyEncipherment,digitalSignature,decipherOnly \
         -addext extendedKeyUsage=serverAuth,1.2.3.4,clientAuth \
         -addext basicConstraints=CA:TRUE,pathlen:0 \
         -addext subjectKeyIdentifier=hash \
         -addext tlsfeature=status_request",
    );
    let csr = prove(&csr).unwrap();
    let subject: Vec<_> = csr.subject().0.iter().map(|a| (a.kind, a.value.as_str())).collect();
    assert_eq!(
        subject,
        [
            (AttributeType::Country, "CH"),
            (AttributeType::State, "Bern"),
            (AttributeType::Locality, "Thun"),
            (AttributeType::Organization, "system:nodes"),
            (AttributeType::OrganizationalUnit, "a"),
            (AttributeType::OrganizationalUnit, "b"),
            (AttributeType::CommonName, "system:node:n1"),
            (AttributeType::SerialNumber, "7"),
            (AttributeType::UserId, "u"),
            (AttributeType::DomainComponent, "example"),
        ]
    );
    let sans: Vec<_> = csr.sans().iter().map(ToString::to_string).collect();
    assert_eq!(
        sans,
        [
            "dns:n1.example.org",
            "ip:10.0.0.1",
            "ip:fd00::1",
            "uri:spiffe://d/ns/a/sa/b",
            "email:a@example.org"
        ]
    );
    let usages = [
        Usage::DigitalSignature,
        Usage::KeyEncipherment,
        Usage::DecipherOnly,
        Usage::ServerAuth,
        Usage::ClientAuth,
    ];
    assert_eq!(csr.usages().unwrap(), usages);
    assert_eq!(csr.unknown_usages(), ["1.2.3.4"]);
    assert_eq!(csr.basic_constraints(), Some((true, Some(0))));
    let others = [
        ("2.5.29.14".to_owned(), false),
        ("1.3.6.1.5.5.7.1.24".to_owned(), false),
    ];
    assert_eq!(csr.other_extensions(), others);
    assert!(csr.unrepresentable().is_empty() && csr.attributes().is_empty());
}

#[test]
fn pem_is_read_strictly() {
    let dir = tempfile::tempdir().unwrap();
    openssl(dir.path(), "genpkey -algorithm ED25519 -out key.pem");
    let limits = Limits::default();
    let pem = openssl(dir.path(), "req -new -key key.pem -subj /CN=test");
    let new_pem = openssl(dir.path(), "req -new -newhdr -key key.pem -subj /CN=test");
    let csr = Csr::from_pem_or_der(&pem, &limits).unwrap();
    assert_eq!(Csr::from_pem_or_der(&new_pem, &limits).unwrap(), csr);
    assert_eq!(Csr::from_pem_or_der(csr.der(), &limits).unwrap(), csr);

    let key = openssl(dir.path(), "pkey -in key.pem");
    let twice = [pem.clone(), pem.clone()].concat();
    let prefixed = [b"Certificate Request:\n".to_vec(), pem.clone()].concat();
    let headed = String::from_utf8(pem)
        .unwrap()
        .replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1);
    for bad in [key, twice, prefixed, headed.into_bytes(), b"-----BEGIN".to_vec()] {
        assert!(
            Csr::from_pem_or_der(&bad, &limits).is_err(),
            "{}",
            String::from_utf8_lossy(&bad)
        );
    }
}

#[test]
fn every_algorithm_has_one_identifier() {
    for alg in SIGNATURE_ALGORITHMS {
        let der = encode_algorithm(alg);
        assert_eq!(decode_algorithm(&der).unwrap(), alg);
        let mut trailing = der.clone();
        trailing.push(0);
        assert!(decode_algorithm(&trailing).is_err());
        // Absent becomes NULL, NULL becomes absent; PSS has neither at its end.
        let mut other = der.clone();
        if der.ends_with(&[5, 0]) {
            other.truncate(der.len() - 2);
            other[1] -= 2;
        } else {
            other.extend([5, 0]);
            other[1] += 2;
        }
        assert!(decode_algorithm(&other).is_err(), "{alg:?}");
    }
}
