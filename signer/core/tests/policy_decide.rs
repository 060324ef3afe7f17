//! The decision as a function: whatever is asked, no certificate exceeds profile or issuer, and refusals are complete.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test fails by panicking

mod policy_support;

use std::collections::BTreeSet;

use policy_support::{
    Key, NOW, changed, decide_for, issuer, presets, profile, proposal, root, root_issuer, rules, sans, subject,
};
use proptest::prelude::*;
use stele_core::authority::Bundle;
use stele_core::lint::lint;
use stele_core::names::{Attribute, AttributeType, San, Subject, Usage};
use stele_core::profile::{Context, Inputs, Issuer, Profile, Proposal, Requester, decide};
use stele_core::tbs::{NameConstraints, Subtrees, parse_tbs};
use stele_core::types::{KeyAlgorithm, Time};

#[test]
fn every_violation_is_reported() {
    let bundle = presets();
    let p = profile(bundle.authority(), "front-proxy-client");
    let asked = Proposal {
        subject: Subject(vec![
            Attribute::new(AttributeType::Organization, "x"),
            Attribute::new(AttributeType::CommonName, "y"),
        ]),
        sans: sans(&["dns:a.b", "ip:1.2.3.4"]),
        usages: Some(vec![Usage::CodeSigning]),
        basic_constraints: Some((true, None)),
        other_extensions: vec![("1.2.3.4".to_owned(), true)],
        key_algorithm: KeyAlgorithm::Ed25519,
        validity_secs: Some(1),
        context: Context {
            pod: Some("p".to_owned()),
            ..Context::default()
        },
        ..proposal()
    };
    let refusal = decide_for(&asked, p, &root_issuer("cluster-ca")).unwrap_err();
    assert_eq!(
        rules(&refusal),
        [
            "issuer-not-permitted",
            "context-not-trusted",
            "key-algorithm-not-permitted",
            "extension-not-permitted",
            "lifetime-not-permitted",
            "attribute-not-permitted",
            "attribute-not-permitted",
            "san-not-permitted",
            "san-not-permitted",
            "usage-not-permitted",
            "ca-not-permitted",
        ],
        "{refusal}"
    );
    assert!(
        refusal
            .violations
            .iter()
            .all(|v| !v.field.is_empty() && !v.found.is_empty() && !v.permitted.is_empty())
    );
}

#[test]
fn lifetimes_are_clipped_by_default_and_refused_when_asked_for() {
    let bundle = presets();
    let p = profile(bundle.authority(), "front-proxy-client");
    let mut short = root_issuer("front-proxy-ca");
    short.not_after = Time::from_secs(NOW + 86_400);
    let decided = decide_for(&proposal(), p, &short).unwrap();
    assert_eq!(decided.spec().not_after, short.not_after);
    let asked = Proposal {
        validity_secs: Some(2 * 86_400),
        ..proposal()
    };
    assert_eq!(rules(&decide_for(&asked, p, &short).unwrap_err()), ["beyond-issuer"]);
    let asked = Proposal {
        validity_secs: Some(3600),
        ..proposal()
    };
    let decided = decide_for(&asked, p, &short).unwrap();
    assert_eq!(decided.spec().not_after.secs() - decided.spec().not_before.secs(), 3600);
    let end = Time::from_secs(NOW + 7200);
    let asked = Proposal {
        not_after: Some(end),
        ..proposal()
    };
    assert_eq!(
        decide_for(&asked, p, &short).unwrap().spec().not_after,
        end,
        "the end asked for is the end"
    );
    short.not_after = Time::from_secs(NOW + 60);
    assert_eq!(
        rules(&decide_for(&proposal(), p, &short).unwrap_err()),
        ["issuer-ends-too-soon"]
    );
    short.not_after = Time::from_secs(NOW - 1);
    assert!(rules(&decide_for(&proposal(), p, &short).unwrap_err()).contains(&"issuer-not-valid"));
    short.not_before = Time::from_secs(NOW - 10);
    short.not_after = Time::from_secs(NOW + 86_400);
    assert_eq!(
        decide_for(&proposal(), p, &short).unwrap().spec().not_before,
        short.not_before
    );
}

#[test]
fn no_ca_below_a_path_length_that_forbids_it() {
    let bundle = presets();
    let p = profile(bundle.authority(), "cluster-intermediate");
    let asked = Proposal {
        subject: subject("Some CA"),
        ..proposal()
    };
    let key = Key::p256(1);
    let with = |n| {
        let der = key.certify(&root(&key, n).to_tbs_der().unwrap());
        decide_for(&asked, p, &issuer("cluster-ca", KeyAlgorithm::EcP256, &[der]))
    };
    assert_eq!(rules(&with(Some(0)).unwrap_err()), ["beyond-issuer"]);
    assert!(with(Some(1)).is_ok() && with(None).is_ok());
}

#[test]
fn names_outside_the_chains_constraints_are_refused() {
    let bundle = presets();
    let p = profile(bundle.authority(), "kube-apiserver-serving");
    let mut above = root_issuer("kubernetes-ca");
    let permitted = Subtrees {
        dns: vec!["example.org".to_owned()],
        ..Subtrees::default()
    };
    above.name_constraints = vec![
        NameConstraints::default(),
        NameConstraints {
            permitted,
            ..NameConstraints::default()
        },
    ];
    let ask = |name: &str| {
        decide_for(
            &Proposal {
                sans: sans(&[name]),
                ..proposal()
            },
            p,
            &above,
        )
    };
    assert!(ask("dns:api.example.org").is_ok());
    assert_eq!(rules(&ask("dns:kubernetes").unwrap_err()), ["outside-name-constraints"]);
    above.name_constraints[0].unjudged = vec!["directoryName".to_owned()];
    let refusal = decide_for(
        &Proposal {
            sans: sans(&["dns:api.example.org"]),
            ..proposal()
        },
        p,
        &above,
    )
    .unwrap_err();
    assert_eq!(rules(&refusal), ["constraint-not-judged"]);
}

#[test]
fn names_of_the_csr_count_or_are_ignored_as_the_profile_says() {
    let bundle = presets();
    let foreign = stele_core::Violation::new("san", "san-form", "an otherName", "other forms");
    let asked = Proposal {
        subject: subject("front-proxy-client"),
        unrepresentable: vec![foreign],
        ..proposal()
    };
    let used = profile(bundle.authority(), "front-proxy-client");
    let issuer = root_issuer("front-proxy-ca");
    assert_eq!(rules(&decide_for(&asked, used, &issuer).unwrap_err()), ["san-form"]);
    assert!(
        decide_for(
            &Proposal {
                names_from_csr: false,
                ..asked.clone()
            },
            used,
            &issuer
        )
        .is_ok()
    );
    let files = changed(
        "profiles/front-proxy-client.toml",
        "approval =",
        "csr_names = \"ignore\"\nignored_extensions = [\"1.2.3\"]\napproval =",
    );
    let ignoring = Bundle::build(0, None, files).unwrap();
    let p = profile(ignoring.authority(), "front-proxy-client");
    let other = Proposal {
        subject: subject("admin"),
        other_extensions: vec![("1.2.3".to_owned(), true)],
        ..asked
    };
    let decided = decide_for(&other, p, &issuer).unwrap();
    assert_eq!(decided.spec().subject, subject("front-proxy-client"));
}

#[test]
fn a_decision_says_under_what_it_was_made() {
    let bundle = presets();
    let p = profile(bundle.authority(), "front-proxy-client");
    let decided = decide_for(&proposal(), p, &root_issuer("front-proxy-ca")).unwrap();
    assert_eq!(
        (decided.profile(), decided.profile_digest(), decided.issuer().as_str()),
        (p.name(), p.digest(), "front-proxy-ca")
    );
    assert_eq!(decided.approval(), &p.approval);
    let text = &bundle.files()["profiles/front-proxy-client.toml"];
    assert_eq!(p.digest(), stele_core::types::Digest::of(text.as_bytes()));
}

fn any_san() -> impl Strategy<Value = San> {
    prop_oneof![
        "(\\*\\.)?([a-z_]{1,4}\\.){0,3}(example\\.org|cluster\\.local|localhost|kubernetes)".prop_map(San::Dns),
        any::<[u8; 4]>().prop_map(|a| San::Ip(a.into())),
        Just(San::Ip([10, 0, 0, 1].into())),
        "spiffe://(cluster\\.local|stele)/[a-z/.{}*]{0,12}".prop_map(San::Uri),
        "\\PC{0,20}".prop_map(San::Dns),
        "[a-z.@]{0,12}".prop_map(San::Email),
    ]
}

fn any_text() -> impl Strategy<Value = Option<String>> {
    rarely(prop_oneof![
        "[a-z0-9-]{1,10}",
        Just("system:node:n".to_owned()),
        "\\PC{0,12}",
        Just("a/b".to_owned())
    ])
}

/// What a good client vouches for, more often than nonsense.
fn any_value() -> impl Strategy<Value = Option<String>> {
    prop_oneof![4 => "[a-z][a-z0-9]{0,9}".prop_map(Some), 1 => any_text()]
}

/// Mostly nothing, so that enough requests get past all rules to say something about certificates.
fn rarely<T: std::fmt::Debug + Clone>(some: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.2, some)
}

prop_compose! {
    fn any_proposal()(
        names in rarely(proptest::collection::vec(any_san(), 0..4)),
        cn in any_text(), o in any_text(),
        (namespace, service_account, pod, node, requester) in (any_value(), any_value(), any_value(), any_value(), any_value()),
        usages in rarely(proptest::collection::vec(proptest::sample::select(Usage::ALL.to_vec()), 0..5)),
        basic_constraints in rarely((any::<bool>(), proptest::option::of(any::<u8>()))),
        validity_secs in rarely(prop_oneof![0u64..200_000, any::<u64>()]),
        end in rarely(prop_oneof![(NOW - 1000)..(NOW + 400_000), any::<u64>()]),
        names_from_csr in any::<bool>(),
    ) -> Proposal {
        let attribute = |kind, value: Option<String>| value.map(|v| Attribute::new(kind, v));
        Proposal {
            subject: Subject(attribute(AttributeType::Organization, o).into_iter().chain(attribute(AttributeType::CommonName, cn)).collect()),
            sans: names.unwrap_or_default(),
            usages,
            basic_constraints,
            validity_secs,
            not_after: end.map(Time::from_secs),
            names_from_csr,
            context: Context { namespace, service_account, pod, node, requester, ..Context::default() },
            ..proposal()
        }
    }
}

/// What must hold of every certificate, whatever was asked.
fn within(tbs: &[u8], profile: &Profile, issuer: &Issuer) {
    let view = parse_tbs(tbs).unwrap();
    assert!(view.not_before >= issuer.not_before && view.not_after <= issuer.not_after);
    assert!(view.not_after.secs() - view.not_before.secs() <= profile.validity.max.0);
    let permitted: BTreeSet<Usage> = profile.usages.permitted().clone();
    assert!(view.key_usages.iter().flatten().all(|u| permitted.contains(u)));
    let known = |id| Usage::from_extended_oid(id).is_some_and(|u| permitted.contains(&u));
    assert!(view.extended_key_usages.iter().flatten().all(|id| known(*id)));
    assert_eq!(
        view.ca,
        matches!(profile.kind, stele_core::profile::Kind::Intermediate(_))
    );
    assert!(!view.ca || view.path_length < issuer.path_length);
    for san in &view.sans {
        assert!(issuer.name_constraints.iter().all(|c| c.permits(san)), "{san}");
        let rules = &profile.sans;
        assert!(match san {
            San::Dns(_) => rules.dns.is_some(),
            San::Ip(ip) => rules
                .ip
                .as_ref()
                .is_some_and(|r| r.cidrs.iter().any(|c| c.contains(ip))),
            San::Uri(_) => rules.uri.is_some(),
            San::Email(_) => rules.email.is_some(),
        });
    }
    assert!(view.sans.len() >= profile.sans.count.min && view.sans.len() <= profile.sans.count.max);
    for attribute in view.subject.unwrap().0 {
        assert!(profile.subject.contains_key(&attribute.kind));
    }
}

/// Leaves only context that the profile lists: a well-behaved caller, for half of the cases.
fn drop_untrusted(context: &mut Context, profile: &Profile) {
    let Context {
        namespace,
        service_account,
        pod,
        node,
        requester,
        ..
    } = context;
    for (name, value) in [
        ("namespace", namespace),
        ("service_account", service_account),
        ("pod", pod),
        ("node", node),
        ("requester", requester),
    ] {
        if !profile.context.iter().any(|f| f.name() == name) {
            *value = None;
        }
    }
}

/// One random case: whether a certificate came of it.
fn try_one(bundle: &Bundle, asked: &Proposal, pick: prop::sample::Index, ends: u64) -> bool {
    let profiles: Vec<&Profile> = bundle.authority().profiles().values().collect();
    let p = profiles[pick.index(profiles.len())];
    let mut issuer = root_issuer(p.issuers.first().unwrap().as_str());
    issuer.not_after = Time::from_secs(ends);
    let permitted = Subtrees {
        dns: vec!["example.org".to_owned(), "cluster.local".to_owned()],
        ..Subtrees::default()
    };
    issuer.name_constraints = vec![NameConstraints {
        permitted,
        ..NameConstraints::default()
    }];
    let mut asked = asked.clone();
    if asked.names_from_csr {
        drop_untrusted(&mut asked.context, p);
    }
    let enrolled = bundle.authority().profiles().keys().cloned().collect();
    let inputs = Inputs {
        now: policy_support::now(),
        serial: &policy_support::serial(5),
        issuer: &issuer,
        requester: Requester::Enrolment { profiles: &enrolled },
        known_callers: bundle.authority().known_callers(),
    };
    match decide(&asked, p, &inputs) {
        Ok(decided) => {
            let Ok(tbs) = decided.build() else { return false };
            within(&tbs, p, &issuer);
            lint(&tbs, &p.waivers).is_ok()
        }
        Err(refusal) => {
            assert!(!refusal.violations.is_empty());
            false
        }
    }
}

#[test]
fn no_certificate_exceeds_profile_and_issuer() {
    let bundle = presets();
    let issued = std::cell::Cell::new(0);
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(6000)
    };
    let input = (any_proposal(), any::<prop::sample::Index>(), NOW..NOW + 500_000_000);
    proptest::test_runner::TestRunner::new(config)
        .run(&input, |(asked, pick, ends)| {
            issued.set(issued.get() + u32::from(try_one(&bundle, &asked, pick, ends)));
            Ok(())
        })
        .unwrap();
    assert!(
        issued.get() > 100,
        "only {} certificates: the property says little",
        issued.get()
    );
}
