//! Every lint has a certificate that passes it and one that fails it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test fails by panicking

mod policy_support;

use std::collections::BTreeSet;

use policy_support::{Key, NOW, root, rules, sans, subject};
use stele_core::lint::{all, lint, lint_view};
use stele_core::names::{Attribute, AttributeType, San, Subject, Usage};
use stele_core::profile::Waiver;
use stele_core::tbs::{CertificateSpec, ExtensionView, NameConstraints, TbsView, oid, parse_tbs};
use stele_core::types::Time;

/// A server and client certificate with a DNS name.
fn leaf() -> CertificateSpec {
    let mut spec = root(&Key::p256(1), None);
    spec.issuer_der = subject("Issuing CA").to_der().unwrap();
    spec.authority_key_identifier = vec![1; 20];
    spec.ca = None;
    spec.subject = Subject::default();
    spec.sans = sans(&["dns:a.example.org"]);
    spec.usages = vec![Usage::DigitalSignature, Usage::ServerAuth, Usage::ClientAuth];
    spec
}

fn ca() -> CertificateSpec {
    let mut spec = leaf();
    spec.ca = Some(stele_core::tbs::CaConstraints {
        path_length: Some(0),
        ..Default::default()
    });
    spec.subject = subject("Below");
    spec.sans = vec![];
    spec.usages = vec![Usage::CertSign, Usage::CrlSign];
    spec
}

fn view(spec: &CertificateSpec) -> TbsView {
    parse_tbs(&spec.to_tbs_der().unwrap()).unwrap()
}

fn broken(spec: &CertificateSpec) -> Vec<String> {
    match lint(&spec.to_tbs_der().unwrap(), &[]) {
        Ok(()) => vec![],
        Err(refusal) => rules(&refusal).into_iter().map(str::to_owned).collect(),
    }
}

fn changed(base: fn() -> CertificateSpec, change: impl Fn(&mut CertificateSpec)) -> CertificateSpec {
    let mut spec = base();
    change(&mut spec);
    spec
}

/// Changes of what the encoder can write, and the one lint that each breaks.
fn by_spec() -> Vec<(&'static str, CertificateSpec)> {
    let name = |kind, value: &str| Subject(vec![Attribute::new(kind, value)]);
    let san = |text: &'static str| changed(leaf, |s| s.sans = sans(&[text]));
    let dns = |text: &str| changed(leaf, |s| s.sans = vec![San::Dns(text.to_owned())]);
    let usages = |set: &'static [Usage]| changed(leaf, |s| s.usages = set.to_vec());
    use Usage::*;
    let mut cases = vec![
        (
            "serial-range",
            changed(leaf, |s| {
                s.serial = stele_core::types::Serial::from_unsigned(&[1]).unwrap()
            }),
        ),
        ("validity-order", changed(leaf, |s| s.not_after = s.not_before)),
        (
            "issuer-not-empty",
            changed(leaf, |s| {
                (s.issuer_der, s.subject) = (vec![0x30, 0], name(AttributeType::Organization, "x"))
            }),
        ),
        (
            "authority-key-identifier",
            changed(leaf, |s| s.authority_key_identifier = vec![]),
        ),
        (
            "crl-pointers",
            changed(leaf, |s| s.crl_urls = vec!["https://a.example/".to_owned()]),
        ),
        (
            "crl-pointers",
            changed(leaf, |s| s.crl_urls = vec!["http:/a.example/".to_owned()]),
        ),
        (
            "crl-pointers",
            changed(leaf, |s| s.crl_urls = vec!["http://me@a.example/".to_owned()]),
        ),
        (
            "access-pointers",
            changed(leaf, |s| s.ca_issuers_urls = vec!["http://a_b/ca".to_owned()]),
        ),
        (
            "access-pointers",
            changed(leaf, |s| s.ocsp_urls = vec!["ldap://a.example/".to_owned()]),
        ),
        (
            "name-constraint-form",
            changed(ca, |s| {
                s.ca.as_mut().unwrap().name_constraints.permitted.dns = vec!["c}uster.local".to_owned()]
            }),
        ),
        (
            "name-constraint-form",
            changed(ca, |s| {
                s.ca.as_mut().unwrap().name_constraints.excluded.email = vec!["a b".to_owned()]
            }),
        ),
        ("spiffe-id", san("uri:spiffe:/td/a")),
        ("ca-key-usage", changed(ca, |s| s.usages = vec![CrlSign])),
        (
            "ca-key-usage",
            changed(ca, |s| s.usages = vec![CertSign, ContentCommitment]),
        ),
        (
            "leaf-key-usage",
            usages(&[DigitalSignature, CertSign, ServerAuth, ClientAuth]),
        ),
        ("no-rev-avail", changed(ca, |s| s.no_rev_avail = true)),
        (
            "no-rev-avail",
            changed(leaf, |s| {
                (s.no_rev_avail, s.crl_urls) = (true, vec!["http://a/".to_owned()])
            }),
        ),
        (
            "no-rev-avail",
            changed(leaf, |s| {
                (s.no_rev_avail, s.ocsp_urls) = (true, vec!["http://a/".to_owned()])
            }),
        ),
        (
            "subject-values",
            changed(leaf, |s| s.subject = name(AttributeType::Organization, &"o".repeat(65))),
        ),
        (
            "subject-values",
            changed(leaf, |s| s.subject = name(AttributeType::Organization, "a\u{7}")),
        ),
        (
            "subject-values",
            changed(leaf, |s| s.subject = name(AttributeType::Organization, "")),
        ),
        (
            "country-code",
            changed(leaf, |s| s.subject = name(AttributeType::Country, "gb")),
        ),
        ("san-once", changed(leaf, |s| s.sans = sans(&["dns:a.b", "dns:a.b"]))),
        ("uri-syntax", san("uri:nothing")),
        ("uri-syntax", san("uri:http://a b/")),
        ("uri-syntax", san("uri:http://a/%zz")),
        ("spiffe-id", san("uri:spiffe://td")),
        ("spiffe-id", san("uri:spiffe://td/")),
        ("spiffe-id", san("uri:spiffe://TD/a")),
        ("spiffe-id", san("uri:spiffe://td/a/../b")),
        (
            "spiffe-id",
            changed(leaf, |s| s.sans = sans(&["uri:spiffe://td/a", "uri:http://x/"])),
        ),
        ("spiffe-id", changed(ca, |s| s.sans = sans(&["uri:spiffe://td/a"]))),
        (
            "spiffe-usages",
            changed(leaf, |s| {
                (s.sans, s.usages) = (sans(&["uri:spiffe://td/a"]), vec![DigitalSignature, ClientAuth])
            }),
        ),
        (
            "server-has-san",
            changed(leaf, |s| {
                (s.subject, s.sans) = (name(AttributeType::Organization, "x"), vec![])
            }),
        ),
        (
            "email-syntax",
            changed(leaf, |s| s.sans = sans(&["dns:a.b", "email:a@b@c..d"])),
        ),
        (
            "common-name-in-san",
            changed(leaf, |s| s.subject = subject("other.example.org")),
        ),
        ("key-usage-present", changed(ca, |s| s.usages = vec![])),
        ("leaf-extended-usage", usages(&[DigitalSignature])),
        ("usage-pairs", usages(&[ContentCommitment, ClientAuth])),
        (
            "key-usage-fits-key",
            usages(&[DigitalSignature, KeyEncipherment, ServerAuth]),
        ),
        (
            "encipher-decipher-only",
            usages(&[DigitalSignature, EncipherOnly, ServerAuth]),
        ),
        (
            "name-constraint-clients",
            changed(ca, |s| {
                s.ca.as_mut().unwrap().name_constraints.permitted.uri = vec!["a.example".to_owned()]
            }),
        ),
    ];
    for bad in [
        "a_b.example",
        "-a.example",
        "a-.example",
        "a..b",
        "",
        "10.0.0.1",
        "a.*.b",
        "*a.b",
        "*",
        "a.1",
        "a b",
        "*.10.0.0.1",
    ] {
        cases.push(("dns-syntax", dns(bad)));
    }
    for bad in [
        "xn--a.example",
        "xn--abc-.example",
        "ab--cd.example",
        "xn--Bcher-kva.example",
    ] {
        cases.push(("a-label", dns(bad)));
    }
    cases.push(("dns-syntax", dns(&format!("{}.example", "a".repeat(64)))));
    cases.push(("dns-syntax", dns(&["a".repeat(60).as_str(); 5].join("."))));
    cases
}

/// Changes that only foreign bytes can have, made in what was read.
fn by_view() -> Vec<(&'static str, TbsView)> {
    let change = |base: fn() -> CertificateSpec, f: &dyn Fn(&mut TbsView)| {
        let mut view = view(&base());
        f(&mut view);
        view
    };
    let foreign = || parse_tbs(&[]).unwrap_err();
    let extra = |id, critical| ExtensionView {
        id,
        critical,
        value: vec![5, 0],
    };
    vec![
        ("version-3", change(leaf, &|v| v.version = 0)),
        ("serial-range", change(leaf, &|v| v.serial = vec![0x80; 16])),
        ("serial-range", change(leaf, &|v| v.serial = vec![0x40; 21])),
        ("signature-algorithm", change(leaf, &|v| v.signature = Err(foreign()))),
        ("validity-encoding", change(leaf, &|v| v.generalized = [false, true])),
        (
            "validity-encoding",
            change(leaf, &|v| v.not_after = Time::from_secs(NOW * 2)),
        ),
        (
            "subject-key-identifier",
            change(leaf, &|v| v.subject_key_identifier = None),
        ),
        (
            "extension-criticality",
            change(leaf, &|v| v.extensions.push(extra(oid::FRESHEST_CRL, false))),
        ),
        (
            "extension-criticality",
            change(leaf, &|v| v.extensions.push(extra(oid::CERTIFICATE_POLICIES, true))),
        ),
        (
            "extension-criticality",
            change(leaf, &|v| v.extensions[0].critical = false),
        ),
        (
            "basic-constraints",
            change(leaf, &|v| {
                v.extensions.remove(0);
            }),
        ),
        ("basic-constraints", change(leaf, &|v| v.path_length = Some(0))),
        (
            "ca-subject",
            change(ca, &|v| {
                v.subject_der = vec![0x30, 0];
                v.sans = sans(&["uri:a:b"]);
                v.subject = Ok(Subject::default());
            }),
        ),
        (
            "name-constraints-in-ca",
            change(leaf, &|v| {
                v.name_constraints = Some(NameConstraints {
                    unjudged: vec![],
                    ..Default::default()
                })
            }),
        ),
        (
            "name-constraint-clients",
            change(ca, &|v| {
                v.name_constraints = Some(NameConstraints {
                    unjudged: vec!["directoryName".to_owned()],
                    ..Default::default()
                })
            }),
        ),
        ("subject-form", change(leaf, &|v| v.subject = Err(foreign()))),
        (
            "issuer-form",
            change(leaf, &|v| {
                v.issuer_der = b"\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x13\x02ab".to_vec()
            }),
        ),
        ("issuer-form", change(leaf, &|v| v.issuer_der = vec![0x30, 2, 0x31, 0])),
        (
            "name-constraint-form",
            change(ca, &|v| {
                let mut constraints = NameConstraints::default();
                constraints.permitted.ip = vec!["10.0.0.1/8".parse().unwrap()];
                v.name_constraints = Some(constraints);
            }),
        ),
        (
            "crl-pointers",
            change(|| changed(leaf, |s| s.crl_urls = vec!["http://a/".to_owned()]), &|v| {
                v.extensions
                    .iter_mut()
                    .find(|e| e.id == oid::CRL_DISTRIBUTION_POINTS)
                    .unwrap()
                    .value = vec![0x30, 0];
            }),
        ),
        (
            "access-pointers",
            change(|| changed(leaf, |s| s.ocsp_urls = vec!["http://a/".to_owned()]), &|v| {
                v.extensions
                    .iter_mut()
                    .find(|e| e.id == oid::AUTHORITY_INFO_ACCESS)
                    .unwrap()
                    .value
                    .pop();
            }),
        ),
        (
            "subject-or-san",
            change(leaf, &|v| {
                v.sans = vec![];
                v.extensions.retain(|e| e.id != oid::SUBJECT_ALT_NAME);
                v.extended_key_usages = Some(vec![Usage::ClientAuth.extended_oid().unwrap()]);
            }),
        ),
        ("san-form", change(leaf, &|v| v.foreign_sans = vec![foreign()])),
        (
            "extended-usages-known",
            change(leaf, &|v| {
                v.extended_key_usages.as_mut().unwrap().push(oid::FRESHEST_CRL)
            }),
        ),
        (
            "extended-usages-known",
            change(leaf, &|v| {
                let u = v.extended_key_usages.as_mut().unwrap();
                u.push(u[0]);
            }),
        ),
    ]
}

/// For each lint certificates that it looks at and lets pass, as close to a fault as the rule goes.
fn passing() -> Vec<(&'static str, CertificateSpec)> {
    use Usage::*;
    let name = |kind, value: &str| Subject(vec![Attribute::new(kind, value)]);
    let with = |names: &'static [&'static str]| changed(leaf, |s| s.sans = sans(names));
    let usages = |set: &'static [Usage]| changed(leaf, |s| s.usages = set.to_vec());
    let constrained = || {
        changed(ca, |s| {
            let constraints = &mut s.ca.as_mut().unwrap().name_constraints;
            constraints.permitted.dns = vec!["a.example".to_owned()];
            constraints.excluded.ip = vec!["0.0.0.0/0".parse().unwrap()];
        })
    };
    let year_2050 = 2_524_608_000;
    vec![
        ("version-3", leaf()),
        (
            "serial-range",
            changed(leaf, |s| {
                s.serial = stele_core::types::Serial::from_unsigned(&[1; 8]).unwrap()
            }),
        ),
        (
            "serial-range",
            changed(leaf, |s| s.serial = stele_core::types::Serial::from_entropy([0xff; 20])),
        ),
        ("signature-algorithm", root(&Key::p384(1), None)),
        (
            "validity-encoding",
            changed(leaf, |s| s.not_after = Time::from_secs(year_2050 - 1)),
        ),
        (
            "validity-encoding",
            changed(leaf, |s| s.not_after = Time::from_secs(year_2050)),
        ),
        (
            "validity-order",
            changed(leaf, |s| s.not_after = s.not_before.plus_secs(1)),
        ),
        ("issuer-not-empty", leaf()),
        ("issuer-form", leaf()),
        (
            "crl-pointers",
            changed(leaf, |s| {
                s.crl_urls = vec!["http://a.example:8080/x".to_owned(), "http://10.0.0.1".to_owned()]
            }),
        ),
        (
            "access-pointers",
            changed(leaf, |s| {
                s.ca_issuers_urls = vec!["http://[::1]:80/ca".to_owned()];
                s.ocsp_urls = vec!["https://ocsp.example/?a".to_owned()];
            }),
        ),
        ("name-constraint-form", constrained()),
        ("authority-key-identifier", root(&Key::p256(1), None)),
        ("subject-key-identifier", leaf()),
        ("extension-criticality", constrained()),
        (
            "extension-criticality",
            changed(leaf, |s| s.subject = name(AttributeType::Organization, "x")),
        ),
        ("basic-constraints", ca()),
        (
            "ca-key-usage",
            changed(ca, |s| s.usages = vec![DigitalSignature, CertSign, CrlSign]),
        ),
        ("ca-subject", ca()),
        ("leaf-key-usage", leaf()),
        ("name-constraints-in-ca", constrained()),
        ("name-constraint-clients", constrained()),
        ("no-rev-avail", changed(leaf, |s| s.no_rev_avail = true)),
        (
            "no-rev-avail",
            changed(leaf, |s| {
                (s.no_rev_avail, s.ca_issuers_urls) = (true, vec!["http://a/".to_owned()])
            }),
        ),
        ("subject-form", ca()),
        (
            "subject-values",
            changed(leaf, |s| s.subject = name(AttributeType::Organization, &"o".repeat(64))),
        ),
        (
            "country-code",
            changed(leaf, |s| s.subject = name(AttributeType::Country, "GB")),
        ),
        ("subject-or-san", with(&["dns:a.example.org"])),
        (
            "san-form",
            with(&["dns:a.example.org", "ip:10.0.0.1", "ip:::1", "uri:a:b"]),
        ),
        ("san-once", with(&["dns:a.b", "dns:a.b.c", "uri:a:b"])),
        (
            "dns-syntax",
            with(&["dns:*.example.org", "dns:localhost", "dns:1a.2-b.c3", "dns:10.0.0.a"]),
        ),
        (
            "dns-syntax",
            changed(leaf, |s| s.sans = vec![San::Dns(["a"; 127].join("."))]),
        ),
        (
            "a-label",
            with(&["dns:xn--bcher-kva.example", "dns:*.xn--tda.example", "dns:a--b.example"]),
        ),
        (
            "uri-syntax",
            with(&[
                "uri:http://a/%2f?b#c",
                "uri:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            ]),
        ),
        (
            "email-syntax",
            changed(leaf, |s| {
                (s.sans, s.usages) = (sans(&["email:a.b+c@example.org"]), vec![DigitalSignature, ClientAuth]);
            }),
        ),
        ("spiffe-id", with(&["uri:spiffe://example.org/ns/a/sa/b"])),
        (
            "spiffe-id",
            changed(ca, |s| s.sans = sans(&["uri:spiffe://example.org"])),
        ),
        ("spiffe-usages", with(&["uri:spiffe://example.org/a"])),
        ("server-has-san", with(&["ip:10.0.0.1"])),
        (
            "common-name-in-san",
            changed(leaf, |s| s.subject = subject("A.example.ORG")),
        ),
        ("key-usage-present", leaf()),
        (
            "extended-usages-known",
            usages(&[DigitalSignature, ServerAuth, ClientAuth, CodeSigning, TimeStamping]),
        ),
        ("leaf-extended-usage", usages(&[DigitalSignature, ClientAuth])),
        ("usage-pairs", usages(&[KeyAgreement, ServerAuth])),
        (
            "key-usage-fits-key",
            usages(&[DigitalSignature, KeyAgreement, ServerAuth]),
        ),
        (
            "encipher-decipher-only",
            usages(&[KeyAgreement, EncipherOnly, ServerAuth]),
        ),
    ]
}

#[test]
fn what_keeps_a_rule_passes_all() {
    for (id, good) in passing() {
        assert_eq!(broken(&good), Vec::<String>::new(), "{id}: {good:?}");
    }
}

#[test]
fn each_fault_breaks_its_lint_and_no_other() {
    let mut wrong = Vec::new();
    for (id, spec) in by_spec() {
        let found = broken(&spec);
        if found != [id] {
            wrong.push(format!("{id}: {found:?} for {:?} {:?}", spec.subject, spec.sans));
        }
    }
    for (id, view) in by_view() {
        let refusal = lint_view(&view, &[]).unwrap_err();
        if rules(&refusal) != [id] {
            wrong.push(format!("{id}: {refusal}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_lint_has_a_passing_and_a_failing_case_and_a_unique_id() {
    let failing: BTreeSet<&str> = by_spec()
        .iter()
        .map(|(id, _)| *id)
        .chain(by_view().iter().map(|(id, _)| *id))
        .collect();
    let passing: BTreeSet<&str> = passing().iter().map(|(id, _)| *id).collect();
    let ids: Vec<&str> = all().map(|l| l.id).collect();
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len());
    assert_eq!(unique, failing, "each has a certificate that fails it");
    assert_eq!(unique, passing, "each has a certificate that passes it");
    assert!(all().all(|l| !l.citation.is_empty() && !l.permitted.is_empty()));
}

#[test]
fn editors_know_the_lints_that_may_be_waived() {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/profile.schema.json");
    let schema: serde_json::Value = serde_json::from_slice(&std::fs::read(schema).unwrap()).unwrap();
    let known = &schema["properties"]["lint_waivers"]["items"]["properties"]["lint"]["enum"];
    let known: BTreeSet<&str> = known.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert_eq!(known, stele_core::lint::waivable_ids().into_iter().collect());
}

#[test]
fn only_waivable_lints_are_waived() {
    let waiver = |id: &str| Waiver {
        lint: id.to_owned(),
        reason: "because".to_owned(),
    };
    let other_cn = changed(leaf, |s| s.subject = subject("other")).to_tbs_der().unwrap();
    lint(&other_cn, &[waiver("common-name-in-san")]).unwrap();
    lint(&other_cn, &[waiver("usage-pairs")]).unwrap_err();
    let bad_name = changed(leaf, |s| s.sans = sans(&["dns:a_b"])).to_tbs_der().unwrap();
    lint(&bad_name, &[waiver("dns-syntax")]).unwrap_err();
}

#[test]
fn what_is_not_canonical_der_is_refused_whole() {
    let good = leaf().to_tbs_der().unwrap();
    for at in 0..good.len() {
        // Every cut, and every octet changed: refused or read, never a panic; a cut is never read.
        assert!(lint(&good[..at], &[]).is_err());
        let mut other = good.clone();
        other[at] ^= 0x01;
        let _ = lint(&other, &[]);
    }
    assert!(lint(&[good.as_slice(), &[0]].concat(), &[]).is_err());
}
