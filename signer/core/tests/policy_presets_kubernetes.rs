//! The presets for a cluster, rule by rule of what Kubernetes, kubeadm and the meshes fix: each rule has a case that
//! keeps it and one that breaks it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test fails by panicking

mod policy_support;

use policy_support::cases::{asked, fails, named, node_subject, passes, pod_context, with_rsa};
use policy_support::{NOW, presets, proposal, sans, subject};
use stele_core::names::{San, Subject, Usage};
use stele_core::profile::{Approval, Context, Kind, Proposal};
use stele_core::types::KeyAlgorithm;

const DAY: u64 = 86_400;
const CLIENT: [Usage; 2] = [Usage::DigitalSignature, Usage::ClientAuth];
const SERVER: [Usage; 2] = [Usage::DigitalSignature, Usage::ServerAuth];
/// What clients of kubeadm's age ask for with RSA keys.
const RSA_CLIENT: [Usage; 3] = [Usage::DigitalSignature, Usage::KeyEncipherment, Usage::ClientAuth];
const RSA_SERVER: [Usage; 3] = [Usage::DigitalSignature, Usage::KeyEncipherment, Usage::ServerAuth];

fn lasting(proposal: &Proposal, secs: u64) -> Proposal {
    Proposal {
        validity_secs: Some(secs),
        ..proposal.clone()
    }
}

#[test]
fn nobody_is_in_system_masters() {
    let masters = || named(&["O=system:masters", "CN=x"]);
    for (name, profile) in presets().authority().profiles() {
        let ask = Proposal {
            names_from_csr: false,
            context: pod_context(),
            ..asked(masters(), &["dns:a.example.org"], &[])
        };
        let refusal =
            policy_support::decide_for(&ask, profile, &policy_support::cases::issuer_of(profile)).unwrap_err();
        let named = refusal
            .violations
            .iter()
            .any(|v| v.field == "subject.O" && v.found == "`system:masters`");
        assert!(named, "{name}: {refusal}");
        assert!(
            !profile
                .subject
                .values()
                .any(|rule| format!("{rule:?}").contains("Fixed([\"system:masters\""))
        );
    }
}

#[test]
fn kube_apiserver_client() {
    let p = "kube-apiserver-client";
    let jane = || named(&["O=developers", "O=example:on-call", "CN=jane/admin"]);
    passes(p, &asked(jane(), &[], &CLIENT)); // any subject
    passes(p, &asked(subject("jane"), &[], &[Usage::ClientAuth])); // client auth alone
    passes(p, &with_rsa(asked(jane(), &[], &RSA_CLIENT)));
    fails(p, &asked(jane(), &[], &[Usage::DigitalSignature]), &["usage-missing"]);
    fails(
        p,
        &asked(jane(), &[], &[Usage::ClientAuth, Usage::ServerAuth]),
        &["usage-not-permitted"],
    );
    fails(p, &asked(jane(), &[], &RSA_CLIENT), &["key-usage-fits-key"]); // RFC 8813: no encipherment with EC
    for subject in [
        ["O=system:masters", "CN=x"],
        ["O=kubeadm:cluster-admins", "CN=x"],
        ["O=a", "CN=system:kube-scheduler"],
    ] {
        fails(p, &asked(named(&subject), &[], &CLIENT), &["attribute-not-permitted"]);
    }
    fails(
        p,
        &asked(jane(), &["uri:spiffe://cluster.local/ns/a/sa/b"], &CLIENT),
        &["san-not-permitted"],
    );
    fails(p, &asked(Subject::default(), &[], &CLIENT), &["attribute-missing"]);
    // expirationSeconds has a floor of 600 s; the certificate is a leaf.
    passes(p, &lasting(&asked(jane(), &[], &CLIENT), 600));
    fails(
        p,
        &lasting(&asked(jane(), &[], &CLIENT), 599),
        &["lifetime-not-permitted"],
    );
    let ca = Proposal {
        basic_constraints: Some((true, None)),
        ..asked(jane(), &[], &CLIENT)
    };
    fails(p, &ca, &["ca-not-permitted"]);
}

#[test]
fn kube_apiserver_client_kubelet() {
    let p = "kubelet-client";
    let good = asked(node_subject("n1"), &[], &CLIENT);
    passes(p, &good);
    passes(
        p,
        &Proposal {
            usages: None,
            ..good.clone()
        },
    );
    passes(p, &with_rsa(asked(node_subject("n1"), &[], &RSA_CLIENT)));
    fails(
        p,
        &asked(named(&["O=system:nodes", "CN=n1"]), &[], &CLIENT),
        &["attribute-not-permitted"],
    );
    fails(
        p,
        &asked(named(&["O=system:nodes", "O=more", "CN=system:node:n"]), &[], &CLIENT),
        &["attribute-not-permitted"],
    );
    for san in ["dns:n1", "ip:10.0.0.1", "uri:a:b", "email:a@b.c"] {
        fails(p, &asked(node_subject("n1"), &[san], &CLIENT), &["san-not-permitted"]);
    }
    fails(
        p,
        &asked(node_subject("n1"), &[], &SERVER),
        &["usage-not-permitted", "usage-missing"],
    );
    fails(p, &lasting(&good, 599), &["lifetime-not-permitted"]);
}

#[test]
fn kubelet_serving() {
    let p = "kubelet-serving";
    let vouched = |names: &[&str], usages: &[Usage]| Proposal {
        context: Context {
            requester: Some("system:node:n1".to_owned()),
            node: Some("n1".to_owned()),
            ..Context::default()
        },
        ..asked(node_subject("n1"), names, usages)
    };
    passes(p, &vouched(&["ip:10.0.0.9"], &SERVER)); // at least one address
    passes(p, &vouched(&["dns:n1.example.org"], &SERVER)); // or name
    passes(p, &with_rsa(vouched(&["ip:10.0.0.9"], &RSA_SERVER)));
    fails(p, &vouched(&[], &SERVER), &["number-of-names"]);
    for san in ["email:a@example.org", "uri:spiffe://cluster.local/ns/a/sa/b"] {
        fails(p, &vouched(&["ip:10.0.0.9", san], &SERVER), &["san-not-permitted"]);
    }
    fails(
        p,
        &vouched(&["ip:10.0.0.9"], &CLIENT),
        &["usage-not-permitted", "usage-missing"],
    );
    let mut other = vouched(&["ip:10.0.0.9"], &SERVER);
    other.subject = named(&["O=system:nodes", "CN=system:node:n2"]);
    fails(p, &other, &["attribute-not-permitted"]);
}

#[test]
fn kube_apiserver_serving() {
    let p = "kube-apiserver-serving";
    let good = asked(Subject::default(), &["dns:kubernetes"], &SERVER);
    passes(p, &lasting(&good, 30 * DAY)); // 30 days at most are recommended
    fails(p, &lasting(&good, 30 * DAY + 1), &["lifetime-not-permitted"]);
    passes(p, &asked(Subject::default(), &["ip:10.96.0.1"], &SERVER));
    fails(p, &asked(Subject::default(), &[], &SERVER), &["number-of-names"]);
}

#[test]
fn legacy_unknown() {
    let p = "legacy-unknown";
    let decided = passes(
        p,
        &asked(
            named(&["O=old", "CN=tool"]),
            &["dns:tool.example.org"],
            &[Usage::DigitalSignature, Usage::ClientAuth],
        ),
    );
    assert!(
        matches!(decided.approval(), Approval::Quorum { .. }),
        "where nothing is checked, people check"
    );
    fails(
        p,
        &asked(named(&["O=system:nodes", "CN=system:node:n"]), &[], &CLIENT),
        &["attribute-not-permitted"; 2],
    );
    fails(
        p,
        &asked(subject("x"), &["dns:other.test"], &CLIENT),
        &["san-not-permitted"],
    );
}

#[test]
fn kubeadm_clients() {
    for (p, cn, groups, issuer, people) in [
        (
            "kubeadm-apiserver-kubelet-client",
            "kube-apiserver-kubelet-client",
            &["kubeadm:cluster-admins"][..],
            "kubernetes-ca",
            true,
        ),
        (
            "kubeadm-admin",
            "kubernetes-admin",
            &["kubeadm:cluster-admins"],
            "kubernetes-ca",
            true,
        ),
        (
            "kubeadm-controller-manager",
            "system:kube-controller-manager",
            &[],
            "kubernetes-ca",
            false,
        ),
        (
            "kubeadm-scheduler",
            "system:kube-scheduler",
            &[],
            "kubernetes-ca",
            false,
        ),
        (
            "kubeadm-apiserver-etcd-client",
            "kube-apiserver-etcd-client",
            &[],
            "etcd-ca",
            false,
        ),
        (
            "kubeadm-etcd-healthcheck-client",
            "kube-etcd-healthcheck-client",
            &[],
            "etcd-ca",
            false,
        ),
        ("front-proxy-client", "front-proxy-client", &[], "front-proxy-ca", false),
    ] {
        // `kubeadm certs generate-csr` states no usages, and no group but for admin.conf: the profile supplies them.
        let decided = passes(p, &with_rsa(asked(subject(cn), &[], &[])));
        let spec = decided.spec();
        assert_eq!(spec.usages, CLIENT, "{p}");
        assert!(spec.sans.is_empty() && spec.ca.is_none());
        assert_eq!(
            spec.subject
                .values(stele_core::names::AttributeType::Organization)
                .collect::<Vec<_>>(),
            groups
        );
        assert_eq!(decided.issuer().as_str(), issuer);
        assert_eq!(matches!(decided.approval(), Approval::Quorum { .. }), people, "{p}");
        passes(p, &lasting(&asked(subject(cn), &[], &[]), 365 * DAY));
        fails(
            p,
            &lasting(&asked(subject(cn), &[], &[]), 366 * DAY),
            &["lifetime-not-permitted"],
        );
        fails(
            p,
            &asked(subject("kubernetes-super-admin"), &[], &[]),
            &["attribute-not-permitted"],
        );
        fails(p, &asked(subject(cn), &["dns:localhost"], &[]), &["san-not-permitted"]);
        fails(
            p,
            &asked(subject(cn), &[], &SERVER),
            if p == "front-proxy-client" {
                &["usage-not-permitted"]
            } else {
                &["usage-not-permitted", "usage-missing"]
            },
        );
    }
}

#[test]
fn kubeadm_apiserver() {
    let p = "kubeadm-apiserver";
    let good = || {
        asked(
            subject("kube-apiserver"),
            &["dns:cp-1.example.org", "ip:10.96.0.1", "ip:192.168.0.10"],
            &[],
        )
    };
    let decided = passes(p, &lasting(&good(), 365 * DAY));
    for name in [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ] {
        assert!(decided.spec().sans.contains(&San::Dns(name.to_owned())), "{name}");
    }
    assert_eq!(decided.spec().usages, SERVER);
    passes(
        p,
        &with_rsa(asked(subject("kube-apiserver"), &["ip:10.96.0.1"], &RSA_SERVER)),
    );
    fails(p, &asked(subject("kube-apiserver"), &[], &[]), &["number-of-names"; 2]);
    fails(
        p,
        &asked(subject("cp-1"), &["ip:10.96.0.1"], &[]),
        &["attribute-not-permitted"],
    );
    fails(
        p,
        &asked(Subject::default(), &["ip:8.8.8.8"], &[]),
        &["san-not-permitted"],
    );
    fails(
        p,
        &asked(Subject::default(), &["ip:10.96.0.1"], &CLIENT),
        &["usage-not-permitted", "usage-missing"],
    );
}

#[test]
fn kubeadm_etcd() {
    for p in ["etcd-server", "etcd-peer"] {
        let names = [
            "dns:m1.example.org",
            "dns:localhost",
            "ip:10.0.0.4",
            "ip:127.0.0.1",
            "ip:::1",
        ];
        let decided = passes(p, &with_rsa(asked(subject("m1.example.org"), &names, &[])));
        assert_eq!(
            decided.spec().usages,
            [Usage::DigitalSignature, Usage::ServerAuth, Usage::ClientAuth]
        );
        assert_eq!(decided.issuer().as_str(), "etcd-ca");
        fails(
            p,
            &asked(subject("m2.example.org"), &names, &[]),
            &["common-name-in-san"],
        );
        fails(p, &asked(Subject::default(), &names, &[]), &["attribute-missing"]);
        fails(
            p,
            &asked(subject("m1.example.org"), &["dns:m1.example.org", "uri:a:b"], &[]),
            &["san-not-permitted"],
        );
    }
}

#[test]
fn pod_certificates() {
    let p = "pod";
    let stub = Proposal {
        context: pod_context(),
        ..proposal()
    };
    for secs in [3600, DAY, 91 * DAY] {
        let spec = passes(p, &lasting(&stub, secs)).spec().clone();
        assert_eq!(
            spec.not_after.secs() - spec.not_before.secs(),
            secs,
            "never more than maxExpirationSeconds"
        );
        assert!(
            NOW - spec.not_before.secs() < 300,
            "notBefore is within five minutes of the server's time"
        );
        assert!(spec.subject.is_empty() && spec.ca.is_none());
    }
    assert_eq!(
        passes(p, &stub).spec().not_after.secs() - passes(p, &stub).spec().not_before.secs(),
        DAY
    );
    for secs in [3599, 91 * DAY + 1] {
        fails(p, &lasting(&stub, secs), &["lifetime-not-permitted"]);
    }
    fails(p, &with_rsa(stub.clone()), &["key-algorithm-not-permitted"]); // RSA from 3072 on
    for key_algorithm in [KeyAlgorithm::Rsa3072, KeyAlgorithm::EcP521, KeyAlgorithm::Ed25519] {
        passes(
            p,
            &Proposal {
                key_algorithm,
                ..stub.clone()
            },
        );
    }
    // The pod's identity is what the API server vouches for, not what the stub says.
    let lying = Proposal {
        sans: sans(&["uri:spiffe://cluster.local/ns/kube-system/sa/admin"]),
        ..stub.clone()
    };
    assert!(!passes(p, &lying).spec().sans.contains(&lying.sans[0]));
    let nobody = Proposal {
        context: Context::default(),
        ..proposal()
    };
    fails(p, &nobody, &["context-missing", "context-missing", "number-of-names"]);
}

#[test]
fn mesh_and_spiffe_workloads() {
    for p in ["istio-workload", "spiffe-workload"] {
        // Istio's agent: O with an empty value, the URI SAN in a critical extension, no usages.
        let mesh = Proposal {
            subject: named(&["O="]),
            sans: sans(&["uri:spiffe://cluster.local/ns/prod/sa/web"]),
            context: pod_context(),
            ..proposal()
        };
        let spec = passes(p, &mesh).spec().clone();
        assert_eq!(spec.sans, mesh.sans, "ztunnel wants its identity first");
        assert!(spec.subject.is_empty());
        assert_eq!(
            spec.usages,
            [Usage::DigitalSignature, Usage::ServerAuth, Usage::ClientAuth]
        );
        let other = Proposal {
            sans: sans(&["uri:spiffe://cluster.local/ns/prod/sa/other"]),
            ..mesh.clone()
        };
        assert_eq!(
            passes(p, &other).spec().sans,
            mesh.sans,
            "never an identity that nobody vouches for"
        );
        let stated = Proposal {
            names_from_csr: false,
            subject: Subject::default(),
            ..other
        };
        fails(p, &stated, &["san-not-permitted", "number-of-names"]);
        fails(p, &lasting(&mesh, DAY + 1), &["lifetime-not-permitted"]);
        fails(
            p,
            &Proposal {
                context: Context::default(),
                ..mesh
            },
            &["context-missing", "number-of-names"],
        );
    }
}

#[test]
fn tls_servers_and_clients() {
    let names = ["dns:*.shop.example.org", "ip:10.0.0.1"];
    passes("tls-server", &asked(Subject::default(), &names, &SERVER));
    passes(
        "tls-server",
        &asked(subject("a.example.org"), &["dns:a.example.org"], &[]),
    );
    fails(
        "tls-server",
        &asked(subject("b.example.org"), &["dns:a.example.org"], &[]),
        &["common-name-in-san"],
    );
    fails("tls-server", &asked(Subject::default(), &[], &[]), &["number-of-names"]);
    fails(
        "tls-server",
        &asked(Subject::default(), &names, &CLIENT),
        &["usage-not-permitted", "usage-missing"],
    );
    passes(
        "tls-client",
        &asked(Subject::default(), &["dns:tool.example.org"], &CLIENT),
    );
    // The API server would take a common name for a user.
    fails(
        "tls-client",
        &asked(subject("admin"), &["dns:tool.example.org"], &[]),
        &["attribute-not-permitted"],
    );
    fails(
        "tls-client",
        &asked(Subject::default(), &["dns:tool.example.org"], &SERVER),
        &["usage-not-permitted"],
    );
}

#[test]
fn intermediates_need_people_and_stay_within_bounds() {
    let with_ca = |subject: Subject| Proposal {
        basic_constraints: Some((true, Some(0))),
        ..asked(subject, &[], &[])
    };
    for (p, own, other) in [
        (
            "cert-manager-intermediate",
            named(&["CN=prod issuer"]),
            named(&["CN=system:ca"]),
        ),
        (
            "spire-intermediate",
            named(&["C=US", "O=SPIFFE"]),
            named(&["C=US", "O=Other"]),
        ),
        (
            "istio-intermediate",
            named(&["O=Istio", "CN=Intermediate CA"]),
            named(&["O=Istio", "CN=web"]),
        ),
        (
            "linkerd-intermediate",
            subject("identity.linkerd.cluster.local"),
            subject("identity.linkerd.other"),
        ),
        ("kubernetes-intermediate", subject("kubernetes"), subject("etcd-ca")),
        ("etcd-intermediate", subject("etcd-ca"), subject("kubernetes")),
        (
            "front-proxy-intermediate",
            subject("front-proxy-ca"),
            subject("kubernetes"),
        ),
        ("cluster-intermediate", subject("some CA"), subject("web")),
    ] {
        let decided = passes(p, &with_ca(own.clone()));
        let made = decided.spec().ca.as_ref().unwrap();
        assert_eq!(made.path_length, Some(0));
        assert!(!made.name_constraints.is_empty() && made.name_constraints.permitted.uri.is_empty());
        assert!(matches!(decided.approval(), Approval::Quorum { m: 1.., .. }), "{p}");
        // SPIRE refuses a CA with any usage beyond these.
        let usages = [Usage::DigitalSignature, Usage::CertSign, Usage::CrlSign];
        assert_eq!(decided.spec().usages, usages);
        fails(p, &with_ca(other), &["attribute-not-permitted"]);
        let deeper = Proposal {
            basic_constraints: Some((true, Some(1))),
            ..with_ca(own.clone())
        };
        fails(p, &deeper, &["path-length-not-permitted"]);
        let leaf = Proposal {
            basic_constraints: Some((false, None)),
            ..with_ca(own.clone())
        };
        fails(p, &leaf, &["ca-required"]);
        fails(
            p,
            &Proposal {
                usages: Some(SERVER.to_vec()),
                ..with_ca(own)
            },
            &["usage-not-permitted"],
        );
    }
    let spire = passes("spire-intermediate", &with_ca(named(&["O=SPIFFE"])));
    assert_eq!(
        spire.spec().sans,
        sans(&["uri:spiffe://cluster.local"]),
        "the trust domain, without a path"
    );
    let workload = Proposal {
        sans: sans(&["uri:spiffe://cluster.local/ns/a/sa/b"]),
        ..with_ca(named(&["O=SPIFFE"]))
    };
    fails(
        "spire-intermediate",
        &workload,
        &["san-not-permitted", "number-of-names"],
    );
    fails(
        "linkerd-intermediate",
        &with_rsa(with_ca(subject("identity.linkerd.cluster.local"))),
        &["key-algorithm-not-permitted"],
    );
    let intermediates = presets()
        .authority()
        .profiles()
        .values()
        .filter(|p| matches!(p.kind, Kind::Intermediate(_)))
        .count();
    assert_eq!(intermediates, 8, "each is in the table above");
}
