//! Chains and revocation lists that Stele builds, judged by the real `openssl`, strictly.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test fails by panicking

mod policy_support;

use std::collections::BTreeMap;
use std::path::Path;

use policy_support::{Key, NOW, changed, decide_for, issuer, openssl, pem, profile, proposal, root, serial, subject};
use stele_core::authority::Bundle;
use stele_core::crl::{CrlSpec, Reason, Revocation, parse_crl};
use stele_core::lint::lint;
use stele_core::names::{Attribute, AttributeType, Subject, Usage};
use stele_core::profile::{Context, Proposal};
use stele_core::tbs::{NameConstraints, Subtrees, assemble_csr, csr_info, parse_certificate, parse_tbs};
use stele_core::types::{KeyAlgorithm, Time};

const DAY: u64 = 86_400;

struct Chain {
    root_key: Key,
    root: Vec<u8>,
    ca_key: Key,
    ca: Vec<u8>,
    leaf: Vec<u8>,
}

/// Root (P-384) above an intermediate with name constraints (P-256) above a pod's certificate.
fn chain() -> Chain {
    let (root_key, ca_key) = (Key::p384(1), Key::p256(2));
    let root_tbs = root(&root_key, Some(1)).to_tbs_der().unwrap();
    lint(&root_tbs, &[]).unwrap();
    let root = root_key.certify(&root_tbs);
    let files = changed(
        "profiles/pod.toml",
        "issuers = [\"kubernetes-ca\"]",
        "issuers = [\"kubernetes-ca\"]\ncrl_urls = [\"http://stele.example.org/k.crl\"]",
    );
    let files = {
        let mut files = files;
        let pod = files.get_mut("profiles/pod.toml").unwrap();
        *pod = pod.replace("no_rev_avail = true\n", "");
        files
    };
    let bundle = Bundle::build(0, None, files).unwrap();
    let above = issuer("cluster-ca", KeyAlgorithm::EcP384, std::slice::from_ref(&root));
    let public = ca_key.public();
    let wanted = Proposal {
        subject: subject("Kubernetes CA"),
        spki_der: public.spki_der().to_vec(),
        ski: public.subject_key_identifier(),
        ..proposal()
    };
    let intermediate = profile(bundle.authority(), "cluster-intermediate");
    let decided = decide_for(&wanted, intermediate, &above).unwrap();
    let tbs = decided.build().unwrap();
    lint(&tbs, &intermediate.waivers).unwrap();
    let ca = root_key.certify(&tbs);
    let pod = profile(bundle.authority(), "pod");
    let asked = Proposal {
        context: Context {
            namespace: Some("prod".to_owned()),
            service_account: Some("web".to_owned()),
            pod: Some("web-0".to_owned()),
            ..Context::default()
        },
        ..proposal()
    };
    let below = issuer("kubernetes-ca", KeyAlgorithm::EcP256, &[ca.clone(), root.clone()]);
    assert_eq!((below.path_length, below.name_constraints.len()), (Some(0), 1));
    let tbs = decide_for(&asked, pod, &below).unwrap().build().unwrap();
    lint(&tbs, &pod.waivers).unwrap();
    let leaf = ca_key.certify(&tbs);
    Chain {
        root_key,
        root,
        ca_key,
        ca,
        leaf,
    }
}

/// A list by `key`, whose certificate is `ca`, revoking what is given.
fn crl(key: &Key, ca: &[u8], revoked: BTreeMap<stele_core::types::Serial, Revocation>) -> Vec<u8> {
    let (view, ..) = parse_certificate(ca).unwrap();
    let spec = CrlSpec {
        signature: key.algorithm(),
        issuer_der: view.subject_der,
        issuer_key_identifier: view.subject_key_identifier.unwrap(),
        number: 7,
        this_update: Time::from_secs(NOW - 60),
        next_update: Time::from_secs(NOW + 7 * DAY),
        revoked,
    };
    let der = key.certify(&spec.to_tbs_der().unwrap());
    assert_eq!(parse_crl(&der).unwrap().0.revoked, spec.revoked);
    der
}

fn verify(dir: &Path, chain: &Chain, crls: &[&[u8]]) -> (bool, String) {
    pem(dir, "root.pem", "CERTIFICATE", &[&chain.root]);
    pem(dir, "ca.pem", "CERTIFICATE", &[&chain.ca]);
    pem(dir, "leaf.pem", "CERTIFICATE", &[&chain.leaf]);
    pem(dir, "crls.pem", "X509 CRL", crls);
    openssl(
        dir,
        &format!(
            "verify -x509_strict -crl_check_all -attime {NOW} -CAfile root.pem -untrusted ca.pem -CRLfile crls.pem leaf.pem"
        ),
    )
}

#[test]
fn a_chain_verifies_strictly_with_crls_and_not_when_revoked() {
    let chain = chain();
    let dir = tempfile::tempdir().unwrap();
    let (by_root, by_ca) = (
        crl(&chain.root_key, &chain.root, BTreeMap::new()),
        crl(&chain.ca_key, &chain.ca, BTreeMap::new()),
    );
    let (ok, said) = verify(dir.path(), &chain, &[&by_root, &by_ca]);
    assert!(ok, "{said}");
    let revocation = Revocation {
        date: Time::from_secs(NOW - 120),
        reason: Reason::KeyCompromise,
    };
    let revoked = crl(&chain.ca_key, &chain.ca, BTreeMap::from([(serial(7), revocation)]));
    let (ok, said) = verify(dir.path(), &chain, &[&by_root, &revoked]);
    assert!(!ok && said.contains("certificate revoked"), "{said}");
    let (_, text) = openssl(dir.path(), "crl -in crls.pem -noout -text");
    assert!(
        text.contains("Version 2") && text.contains("X509v3 CRL Number"),
        "{text}"
    );
}

#[test]
fn openssl_reads_what_was_decided() {
    let chain = chain();
    let dir = tempfile::tempdir().unwrap();
    pem(dir.path(), "leaf.pem", "CERTIFICATE", &[&chain.leaf]);
    let (_, text) = openssl(dir.path(), "x509 -in leaf.pem -noout -text");
    for wanted in [
        "Version: 3",
        "X509v3 Subject Alternative Name: critical",
        "DNS:web-0.prod.pod.cluster.local, URI:spiffe://cluster.local/ns/prod/sa/web",
        "X509v3 Basic Constraints: critical",
        "CA:FALSE",
        "X509v3 Key Usage: critical",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "URI:http://stele.example.org/k.crl",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    pem(dir.path(), "ca.pem", "CERTIFICATE", &[&chain.ca]);
    let (_, text) = openssl(dir.path(), "x509 -in ca.pem -noout -text");
    for wanted in [
        "CA:TRUE, pathlen:0",
        "X509v3 Name Constraints: critical",
        "DNS:cluster.local",
        "IP:10.0.0.0/255.0.0.0",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
}

#[test]
fn openssl_rejects_the_name_that_decide_rejects() {
    let (key, leaf_key) = (Key::p256(3), Key::p256(4));
    let mut ca = root(&key, Some(0));
    let constraints = NameConstraints {
        permitted: Subtrees {
            dns: vec!["example.org".to_owned()],
            ..Subtrees::default()
        },
        ..NameConstraints::default()
    };
    ca.ca.as_mut().unwrap().name_constraints = constraints.clone();
    let mut leaf = root(&leaf_key, None);
    leaf.issuer_der = subject("Test Root").to_der().unwrap();
    leaf.authority_key_identifier = key.public().subject_key_identifier().to_vec();
    (leaf.ca, leaf.usages, leaf.subject) = (
        None,
        vec![Usage::DigitalSignature, Usage::ServerAuth],
        Subject::default(),
    );
    let dir = tempfile::tempdir().unwrap();
    pem(
        dir.path(),
        "root.pem",
        "CERTIFICATE",
        &[&key.certify(&ca.to_tbs_der().unwrap())],
    );
    for (name, permitted) in [
        ("dns:a.example.org", true),
        ("dns:example.org", true),
        ("dns:badexample.org", false),
    ] {
        leaf.sans = vec![name.parse().unwrap()];
        pem(
            dir.path(),
            "leaf.pem",
            "CERTIFICATE",
            &[&key.certify(&leaf.to_tbs_der().unwrap())],
        );
        let (ok, said) = openssl(
            dir.path(),
            &format!("verify -x509_strict -attime {NOW} -CAfile root.pem leaf.pem"),
        );
        assert_eq!(ok, permitted, "{name}: {said}");
        assert_eq!(constraints.permits(&leaf.sans[0]), permitted, "{name}");
    }
}

#[test]
fn the_csr_of_a_ca_key_verifies() {
    let key = Key::p384(5);
    let name = Subject(vec![
        Attribute::new(AttributeType::Country, "GB"),
        Attribute::new(AttributeType::CommonName, "Issuing CA"),
    ]);
    let info = csr_info(&name, key.public().spki_der()).unwrap();
    let csr = assemble_csr(&info, key.algorithm(), &key.sign(&info)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    pem(dir.path(), "ca.csr", "CERTIFICATE REQUEST", &[&csr]);
    let (ok, said) = openssl(dir.path(), "req -in ca.csr -noout -verify -subject");
    assert!(
        ok && said.contains("verify OK") && said.contains("Issuing CA"),
        "{said}"
    );
}

#[test]
fn dates_change_their_form_in_2050() {
    let key = Key::p256(6);
    let mut spec = root(&key, None);
    // 2049-12-31T23:59:59Z and the second after.
    for (until, generalized) in [(2_524_607_999, false), (2_524_608_000, true)] {
        spec.not_after = Time::from_secs(until);
        let tbs = spec.to_tbs_der().unwrap();
        assert_eq!(parse_tbs(&tbs).unwrap().generalized, [false, generalized]);
        lint(&tbs, &[]).unwrap();
    }
}

#[test]
fn a_chain_is_checked_when_it_becomes_an_issuer() {
    let chain = chain();
    let build =
        |ders: &[Vec<u8>]| stele_core::profile::Issuer::from_chain("x".parse().unwrap(), KeyAlgorithm::EcP256, ders);
    assert!(build(&[]).is_err());
    assert!(build(&[chain.leaf.clone(), chain.ca.clone()]).is_err());
    assert!(build(&[chain.root.clone(), chain.ca.clone()]).is_err());
    assert!(build(&[chain.ca.clone(), chain.root.clone()]).is_ok());
}
