//! The presets load as one bundle, and each has cases that pass and cases that fail.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test fails by panicking

mod policy_support;

use policy_support::cases::{asked, fails, issuer_of, node_subject, passes, pod_context};
use policy_support::{decide_as, decide_for, issuer, presets, profile, proposal, root_issuer, rules, sans, subject};
use stele_core::authority::ceiling;
use stele_core::lint::lint;
use stele_core::names::{Attribute, AttributeType, Subject, Usage};
use stele_core::profile::{Context, Proposal};
use stele_core::tbs::parse_tbs;

#[test]
fn the_presets_are_one_bundle() {
    let bundle = presets();
    assert_eq!(bundle.authority().profiles().len(), 31);
}

#[test]
fn kube_apiserver_serving() {
    let names = [
        "dns:kubernetes",
        "dns:kubernetes.default.svc.cluster.local",
        "dns:api.example.org",
        "ip:10.96.0.1",
    ];
    let decided = passes("kube-apiserver-serving", &asked(subject("kube-apiserver"), &names, &[]));
    assert_eq!(decided.spec().usages, [Usage::DigitalSignature, Usage::ServerAuth]);
    fails(
        "kube-apiserver-serving",
        &asked(subject("admin"), &["dns:kubernetes"], &[]),
        &["attribute-not-permitted"],
    );
    fails(
        "kube-apiserver-serving",
        &asked(Subject::default(), &[], &[]),
        &["number-of-names"],
    );
    fails(
        "kube-apiserver-serving",
        &asked(
            Subject::default(),
            &[
                "dns:kubernetes",
                "dns:evil.test",
                "ip:8.8.8.8",
                "dns:*.example.org",
                "email:a@b.c",
            ],
            &[],
        ),
        &["san-not-permitted"; 4],
    );
}

#[test]
fn kubelet_serving() {
    let context = Context {
        requester: Some("system:node:node-1".to_owned()),
        node: Some("node-1".to_owned()),
        ..Context::default()
    };
    let serving = [Usage::DigitalSignature, Usage::ServerAuth];
    let good = Proposal {
        context: context.clone(),
        ..asked(node_subject("node-1"), &["dns:node-1", "ip:192.168.1.7"], &serving)
    };
    let bundle = presets();
    let kubernetes = profile(bundle.authority(), "kubelet-serving");
    // The bare node name is outside the example's ceiling, which is for the administrator to widen.
    let decided = decide_for(&good, kubernetes, &issuer_of(kubernetes)).unwrap();
    lint(&decided.build().unwrap(), &kubernetes.waivers).unwrap();
    passes(
        "kubelet-serving",
        &Proposal {
            sans: sans(&["ip:192.168.1.7"]),
            ..good.clone()
        },
    );
    fails(
        "kubelet-serving",
        &Proposal {
            subject: node_subject("node-2"),
            ..good.clone()
        },
        &["attribute-not-permitted"],
    );
    fails(
        "kubelet-serving",
        &Proposal {
            sans: sans(&["dns:node-2"]),
            ..good.clone()
        },
        &["san-not-permitted"],
    );
    fails(
        "kubelet-serving",
        &Proposal {
            sans: sans(&["uri:spiffe://a/b"]),
            ..good.clone()
        },
        &["san-not-permitted"],
    );
    let client = vec![Usage::DigitalSignature, Usage::ServerAuth, Usage::ClientAuth];
    fails(
        "kubelet-serving",
        &Proposal {
            usages: Some(client),
            ..good.clone()
        },
        &["usage-not-permitted"],
    );
    let nobody = Proposal {
        context: Context::default(),
        sans: sans(&["ip:10.0.0.1"]),
        ..good.clone()
    };
    fails("kubelet-serving", &nobody, &["context-missing"]);
    let admin = Context {
        requester: Some("kubernetes-admin".to_owned()),
        ..context
    };
    fails(
        "kubelet-serving",
        &Proposal { context: admin, ..good },
        &["context-does-not-fit", "attribute-not-permitted"],
    );
}

#[test]
fn kubelet_client() {
    let usages = [Usage::DigitalSignature, Usage::ClientAuth];
    passes("kubelet-client", &asked(node_subject("node-1"), &[], &usages));
    fails(
        "kubelet-client",
        &asked(node_subject("node-1"), &["dns:node-1"], &usages),
        &["san-not-permitted"],
    );
    let masters = Subject(vec![
        Attribute::new(AttributeType::Organization, "system:masters"),
        Attribute::new(AttributeType::CommonName, "system:node:node-1"),
    ]);
    fails(
        "kubelet-client",
        &asked(masters, &[], &usages),
        &["attribute-not-permitted"],
    );
    fails(
        "kubelet-client",
        &asked(subject("kubernetes-admin"), &[], &usages),
        &["attribute-not-permitted"],
    );
    fails(
        "kubelet-client",
        &asked(Subject::default(), &[], &usages),
        &["attribute-missing"],
    );
    fails(
        "kubelet-client",
        &asked(node_subject("n"), &[], &[Usage::DigitalSignature]),
        &["usage-missing"],
    );
}

#[test]
fn etcd_members() {
    for name in ["etcd-server", "etcd-peer"] {
        let names = ["dns:etcd-0.example.org", "dns:localhost", "ip:127.0.0.1", "ip:10.0.0.4"];
        passes(name, &asked(subject("etcd-0.example.org"), &names, &[]));
        fails(
            name,
            &asked(subject("etcd-0.example.org"), &["ip:10.0.0.4"], &[]),
            &["number-of-names"],
        );
        fails(
            name,
            &asked(subject("x"), &["dns:localhost", "dns:etcd.other.test"], &[]),
            &["san-not-permitted"],
        );
        // The common name must be one of the names, which the lint sees.
        let bundle = presets();
        let etcd = profile(bundle.authority(), name);
        let other = decide_for(&asked(subject("other"), &names, &[]), etcd, &issuer_of(etcd)).unwrap();
        assert_eq!(
            rules(&lint(&other.build().unwrap(), &etcd.waivers).unwrap_err()),
            ["common-name-in-san"]
        );
    }
}

#[test]
fn front_proxy_client() {
    passes("front-proxy-client", &asked(subject("front-proxy-client"), &[], &[]));
    fails(
        "front-proxy-client",
        &asked(subject("admin"), &[], &[]),
        &["attribute-not-permitted"],
    );
    fails(
        "front-proxy-client",
        &asked(Subject::default(), &["dns:a.example.org"], &[]),
        &["san-not-permitted"],
    );
}

#[test]
fn spiffe_workload() {
    // What a mesh proxy's CSR really has: an organisation that the profile does not look at.
    let mesh = Proposal {
        subject: Subject(vec![Attribute::new(AttributeType::Organization, "")]),
        context: pod_context(),
        ..proposal()
    };
    let decided = passes("spiffe-workload", &mesh);
    assert_eq!(
        decided.spec().sans,
        sans(&["uri:spiffe://cluster.local/ns/prod/sa/web"])
    );
    assert!(decided.spec().subject.is_empty());
    let stated = Proposal {
        subject: Subject::default(),
        sans: sans(&["uri:spiffe://cluster.local/ns/kube-system/sa/x"]),
        names_from_csr: false,
        ..mesh.clone()
    };
    fails("spiffe-workload", &stated, &["san-not-permitted", "number-of-names"]);
    let slash = Context {
        namespace: Some("a/sa/admin".to_owned()),
        ..pod_context()
    };
    fails(
        "spiffe-workload",
        &Proposal {
            context: slash,
            ..mesh.clone()
        },
        &["context-missing", "number-of-names"],
    );
    fails(
        "spiffe-workload",
        &Proposal {
            validity_secs: Some(90_000),
            ..mesh
        },
        &["lifetime-not-permitted"],
    );
}

#[test]
fn pods() {
    let stub = Proposal {
        context: pod_context(),
        ..proposal()
    };
    let decided = passes(
        "pod",
        &Proposal {
            validity_secs: Some(3600),
            ..stub.clone()
        },
    );
    let (from, until) = (decided.spec().not_before, decided.spec().not_after);
    assert_eq!(
        until.secs() - from.secs(),
        3600,
        "the API server refuses less than an hour and more than was asked"
    );
    assert!(
        policy_support::NOW - from.secs() < 300,
        "the API server refuses notBefore five minutes ago"
    );
    assert_eq!(
        decided.spec().sans,
        sans(&[
            "dns:web-0.prod.pod.cluster.local",
            "uri:spiffe://cluster.local/ns/prod/sa/web"
        ])
    );
    let other = Proposal {
        sans: sans(&["dns:db.kube-system.svc.cluster.local"]),
        names_from_csr: false,
        ..stub.clone()
    };
    fails("pod", &other, &["san-not-permitted"]);
    fails(
        "pod",
        &Proposal {
            validity_secs: Some(3599),
            ..stub
        },
        &["lifetime-not-permitted"],
    );
}

#[test]
fn cluster_intermediate() {
    let ca = Proposal {
        basic_constraints: Some((true, Some(0))),
        ..asked(subject("cert-manager CA"), &[], &[])
    };
    let decided = passes("cluster-intermediate", &ca);
    let made = decided.spec().ca.as_ref().unwrap();
    assert_eq!(made.path_length, Some(0));
    assert!(!made.name_constraints.is_empty());
    fails(
        "cluster-intermediate",
        &Proposal {
            basic_constraints: Some((true, Some(1))),
            ..ca.clone()
        },
        &["path-length-not-permitted"],
    );
    fails(
        "cluster-intermediate",
        &Proposal {
            basic_constraints: Some((false, None)),
            ..ca.clone()
        },
        &["ca-required"],
    );
    fails(
        "cluster-intermediate",
        &Proposal {
            sans: sans(&["dns:a.cluster.local"]),
            ..ca
        },
        &["san-not-permitted"],
    );
    fails(
        "kubelet-client",
        &Proposal {
            basic_constraints: Some((true, None)),
            ..asked(node_subject("n"), &[], &[])
        },
        &["ca-not-permitted"],
    );
}

#[test]
fn callers_and_operators_renew_only_themselves() {
    let bundle = presets();
    let authority = bundle.authority();
    let access = root_issuer("access-ca");
    for (name, caller, own, other) in [
        (
            "caller",
            "cluster-signer",
            "uri:spiffe://stele/caller/cluster-signer",
            "uri:spiffe://stele/caller/auditor",
        ),
        (
            "operator",
            "operator-alice",
            "uri:spiffe://stele/operator/alice",
            "uri:spiffe://stele/operator/bob",
        ),
    ] {
        let profile = profile(authority, name);
        let ask = |san: &str| Proposal {
            sans: sans(&[san]),
            names_from_csr: false,
            ..proposal()
        };
        let decided = decide_as(&ask(own), profile, &access, caller, own).unwrap();
        let tbs = decided.build().unwrap();
        lint(&tbs, &profile.waivers).unwrap();
        ceiling::check(&parse_tbs(&tbs).unwrap(), authority.ceiling(decided.issuer()).unwrap()).unwrap();
        let refusal = decide_as(&ask(other), profile, &access, caller, own).unwrap_err();
        assert_eq!(rules(&refusal), ["not-this-caller"]);
    }
}

#[test]
fn server() {
    let bundle = presets();
    let server = profile(bundle.authority(), "server");
    let enrolled = |names: &[&str], profiles: &[&str]| {
        let profiles = profiles.iter().map(|p| p.parse().unwrap()).collect();
        let inputs = stele_core::profile::Inputs {
            now: policy_support::now(),
            serial: &policy_support::serial(3),
            issuer: &root_issuer("access-ca"),
            requester: stele_core::profile::Requester::Enrolment { profiles: &profiles },
            known_callers: bundle.authority().known_callers(),
        };
        stele_core::profile::decide(&asked(Subject::default(), names, &[]), server, &inputs)
    };
    let tbs = enrolled(&["dns:stele.example.org", "ip:127.0.0.1"], &["server"])
        .unwrap()
        .build()
        .unwrap();
    lint(&tbs, &server.waivers).unwrap();
    assert_eq!(
        rules(&enrolled(&["dns:other.test"], &["server"]).unwrap_err()),
        ["san-not-permitted"]
    );
    assert_eq!(
        rules(&enrolled(&["dns:localhost"], &["caller"]).unwrap_err()),
        ["not-an-enrolment-profile"]
    );
    let wrong = issuer("cluster-ca", stele_core::types::KeyAlgorithm::EcP256, &[root_der()]);
    let refusal = decide_as(
        &asked(Subject::default(), &["dns:localhost"], &[]),
        server,
        &wrong,
        "auditor",
        "uri:spiffe://stele/caller/auditor",
    )
    .unwrap_err();
    assert_eq!(rules(&refusal), ["caller-not-permitted", "issuer-not-permitted"]);
}

fn root_der() -> Vec<u8> {
    let key = policy_support::Key::p256(1);
    key.certify(&policy_support::root(&key, Some(3)).to_tbs_der().unwrap())
}
