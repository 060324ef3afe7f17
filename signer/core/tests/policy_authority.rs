//! Bundles: canonical bytes, every cross-reference, ceilings, quorums and the diff in words.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test fails by panicking

mod policy_support;

use policy_support::{Key, changed, faults, preset_files, presets, root, rules, sans, subject};
use stele_core::authority::{Bundle, Ceiling, CeilingKind, QuorumRule, VerifiedText, ceiling, diff, quorum};
use stele_core::names::{San, Subject, Usage};
use stele_core::profile::Seconds;
use stele_core::tbs::{CertificateSpec, parse_tbs};
use stele_core::types::CallerSan;

#[test]
fn a_bundle_reads_only_its_canonical_bytes() {
    let bundle = presets();
    let again = Bundle::parse(bundle.bytes()).unwrap();
    assert_eq!(
        (again.digest(), again.number(), again.predecessor()),
        (bundle.digest(), 0, None)
    );
    let text = String::from_utf8(bundle.bytes().to_vec()).unwrap();
    assert!(text.starts_with("{\"v\":1,\"number\":0,\"predecessor\":null,\"files\":[{\"name\":\"authority.toml\""));
    for other in [
        format!(" {text}"),
        format!("{text}\n"),
        text.replacen("\"v\":1", "\"v\":2", 1),
        text.replacen("\"number\":0", "\"number\":1", 1),
        text.replacen("{\"v\":1", "{\"x\":1,\"v\":1", 1),
        text.replacen("\"v\":1,\"number\":0", "\"number\":0,\"v\":1", 1),
    ] {
        assert!(Bundle::parse(other.as_bytes()).is_err(), "{}", &other[..60]);
    }
    assert!(Bundle::build(1, None, preset_files()).is_err());
    let next = Bundle::build(1, Some(bundle.digest()), preset_files()).unwrap();
    assert_eq!(
        Bundle::parse(next.bytes()).unwrap().predecessor(),
        Some(bundle.digest())
    );
}

#[test]
fn each_fault_is_found_and_says_where() {
    let a = "authority.toml";
    let pod = "profiles/pod.toml";
    for (file, from, to, wanted) in [
        (a, "name = \"example\"", "name = \"example\"\ncolour = 1", "colour"),
        (a, "bundle = { m = 1", "bundle = { m = 2", "quorum.bundle: found m = 2"),
        (a, "bundle = { m = 1", "bundle = { m = 0", "quorum.bundle: found m = 0"),
        (a, "key = { m = 1, role = \"approver\" }", "", "key"),
        (
            a,
            "key = { m = 1, role = \"approver\" }",
            "key = { m = 1, role = \"nobody\" }",
            "quorum.key",
        ),
        (
            a,
            "spiffe://stele/caller/auditor",
            "spiffe://stele/caller/cluster-signer",
            "caller[2].san",
        ),
        (a, "name = \"auditor\"", "name = \"cluster-signer\"", "caller[2].name"),
        (
            a,
            "roles = [\"audit\"]",
            "roles = [\"audit\", \"revoke\"]",
            "audit alone",
        ),
        (
            a,
            "acts_as = [\"uri:spiffe://stele/operator/alice\"]",
            "acts_as = [\"uri:spiffe://x/y\"]",
            "operator[0].acts_as",
        ),
        (a, "keys = [\"ssh-ed25519 ", "keys = [\"nothing ", "operator[0].keys"),
        (
            a,
            "[client_ca]\nkey = \"access-ca\"",
            "[client_ca]\nkey = \"cluster-ca\"",
            "client_ca.key",
        ),
        (
            a,
            "profiles = [\"caller\", ",
            "profiles = [\"pod\", ",
            "enrolment.profiles",
        ),
        (a, "0000000002\"", "0000000001\"", "key[1].spki_sha256"),
        (
            a,
            "max_validity = \"90d\"",
            "max_validity = \"10d\"",
            "profiles/server.toml:",
        ),
        (a, "path_length = 0", "", "profiles/cluster-intermediate.toml:"),
        (
            pod,
            "issuers = [\"kubernetes-ca\"]",
            "issuers = [\"access-ca\"]",
            "only for them",
        ),
        (
            pod,
            "issuers = [\"kubernetes-ca\"]",
            "issuers = [\"none\"]",
            "names of [[key]]s",
        ),
        (
            pod,
            "callers = [\"cluster-signer\"]",
            "callers = [\"stranger\"]",
            "`stranger`",
        ),
        (pod, "name = \"pod\"", "name = \"pods\"", "the file's name"),
        (pod, "{pod}.{namespace}", "{pod}.{nothing}", "profiles/pod.toml, line"),
        (pod, "\"pod\", \"pod_uid\"", "\"pod_uid\"", "{pod}"),
        (pod, "min = \"1h\"", "min = \"2d\"", "min <= default <= max"),
        (pod, "backdate = \"4m\"", "backdate = \"1h\"", "validity.backdate"),
        (
            pod,
            "fixed = [\"digital signature\"",
            "fixed = [\"cert sign\", \"digital signature\"",
            "cert sign",
        ),
        (
            pod,
            "no_rev_avail = true",
            "no_rev_avail = true\ncrl_urls = [\"http://a/\"]",
            "no_rev_avail",
        ),
        (pod, "approval = \"automatic\"", "approval = \"perhaps\"", "automatic"),
        (
            pod,
            "approval = \"automatic\"",
            "approval = { m = 0, role = \"approver\", expires = \"1h\" }",
            "m = 0",
        ),
        (
            pod,
            "approval = \"automatic\"",
            "approval = { m = 2, role = \"approver\", expires = \"1h\" }",
            "m = 2",
        ),
        (
            pod,
            "[usages]",
            "[[lint_waivers]]\nlint = \"dns-syntax\"\nreason = \"x\"\n[usages]",
            "lint_waivers[0]",
        ),
        (pod, "max = 10", "max = 10\ncolour = 1", "colour"),
        (
            "profiles/cluster-intermediate.toml",
            "approval = { m = 1, role = \"approver\", expires = \"72h\" }",
            "approval = \"automatic\"",
            "always needs a quorum",
        ),
        (
            "profiles/cluster-intermediate.toml",
            "[basic_constraints]\npath_length = 0",
            "",
            "basic_constraints",
        ),
        (
            "profiles/cluster-intermediate.toml",
            "path_length = 0",
            "path_length = 1",
            "path length Some(1)",
        ),
        (
            "profiles/caller.toml",
            "\"client auth\"]",
            "\"client auth\", \"server auth\"]",
            "no `server auth`",
        ),
        (
            "profiles/caller.toml",
            "issuers = [\"access-ca\"]",
            "issuers = [\"kubernetes-ca\"]",
            "the client CA `access-ca`",
        ),
        (
            "profiles/kubelet-client.toml",
            "CN = { request",
            "CN = { fixed = [\"a\"], request",
            "not exactly one source",
        ),
    ] {
        let said = faults(changed(file, from, to));
        assert!(said.contains(wanted), "{file}: {to}: {said}");
    }
    let mut files = preset_files();
    files.insert("profiles/../x.txt".to_owned(), String::new());
    assert!(faults(files).contains("x.txt"));
    assert!(faults(std::collections::BTreeMap::new()).contains("authority.toml"));
}

#[test]
fn all_faults_are_reported_at_once() {
    let mut files = changed(
        "profiles/pod.toml",
        "callers = [\"cluster-signer\"]",
        "callers = [\"a\", \"b\"]",
    );
    let text = files.get_mut("authority.toml").unwrap();
    *text = text.replace("bundle = { m = 1", "bundle = { m = 9");
    let said = faults(files);
    assert!(
        said.contains("`a`") && said.contains("`b`") && said.contains("m = 9"),
        "{said}"
    );
}

#[test]
fn the_diff_says_what_changes() {
    let old = presets();
    assert_eq!(diff(&old, &presets()), Vec::<String>::new());
    let mut files = changed("profiles/pod.toml", "max = \"91d\"", "max = \"30d\"");
    let text = files.get_mut("authority.toml").unwrap();
    *text = text.replace("roles = [\"audit\"]", "roles = [\"request\"]").replace(
        "\"server auth\"]\n\n[[key]]\nname = \"cluster-ca\"",
        "\"server auth\", \"code signing\"]\n\n[[key]]\nname = \"cluster-ca\"",
    );
    files.remove("profiles/etcd-peer.toml");
    let new = Bundle::build(1, Some(old.digest()), files).unwrap();
    let said = diff(&old, &new).join("\n");
    for wanted in [
        "profiles/pod.toml: validity.max changes from (\"91d\") to (\"30d\")",
        "caller auditor changes",
        "key access-ca changes",
        "code signing",
        "profile file profiles/etcd-peer.toml is removed",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}

fn leaf(names: &[&str]) -> CertificateSpec {
    let mut spec = root(&Key::p256(1), None);
    spec.issuer_der = subject("CA").to_der().unwrap();
    (spec.ca, spec.subject, spec.sans) = (None, Subject::default(), sans(names));
    spec.usages = vec![Usage::DigitalSignature, Usage::ServerAuth];
    spec.not_after = spec.not_before.plus_secs(3600);
    spec
}

fn limit() -> Ceiling {
    Ceiling {
        kinds: [CeilingKind::Leaf, CeilingKind::Intermediate].into(),
        max_validity: Seconds(3600),
        path_length: Some(0),
        dns: vec!["example.org".to_owned()],
        ip: vec!["10.0.0.0/8".parse().unwrap()],
        uri: vec!["spiffe://example.org/".to_owned()],
        email: vec![],
        eku: [Usage::ServerAuth].into(),
    }
}

#[test]
fn ceilings_hold_whatever_was_decided() {
    let check = |spec: &CertificateSpec, limit: &Ceiling| {
        ceiling::check(&parse_tbs(&spec.to_tbs_der().unwrap()).unwrap(), limit)
    };
    let names = [
        "dns:a.example.org",
        "dns:*.example.org",
        "ip:10.1.1.1",
        "uri:spiffe://example.org/a",
    ];
    check(&leaf(&names), &limit()).unwrap();
    for bad in [
        "dns:example.com",
        "dns:badexample.org",
        "ip:11.0.0.1",
        "uri:spiffe://example.org.evil/a",
        "uri:spiffe://example.org/../x",
        "email:a@example.org",
    ] {
        assert_eq!(
            rules(&check(&leaf(&[bad]), &limit()).unwrap_err()),
            ["beyond-ceiling"],
            "{bad}"
        );
    }
    let mut long = leaf(&["dns:example.org"]);
    long.not_after = long.not_after.plus_secs(1);
    check(&long, &limit()).unwrap_err();
    let mut client = leaf(&["dns:example.org"]);
    client.usages.push(Usage::ClientAuth);
    check(&client, &limit()).unwrap_err();
    client.usages = vec![Usage::DigitalSignature];
    check(&client, &limit()).unwrap_err();
    client.usages = vec![Usage::CertSign, Usage::ServerAuth];
    check(&client, &limit()).unwrap_err();
    let mut ca = leaf(&[]);
    ca.subject = subject("Below");
    ca.usages = vec![Usage::CertSign];
    for (path_length, permitted) in [(Some(0), true), (Some(1), false), (None, false)] {
        ca.ca = Some(stele_core::tbs::CaConstraints {
            path_length,
            ..Default::default()
        });
        assert_eq!(check(&ca, &limit()).is_ok(), permitted, "{path_length:?}");
        assert!(
            check(
                &ca,
                &Ceiling {
                    path_length: None,
                    ..limit()
                }
            )
            .is_err()
        );
    }
    ca.subject = subject("CA");
    ca.ca = Some(stele_core::tbs::CaConstraints::default());
    check(&ca, &limit()).unwrap_err();
    check(
        &ca,
        &Ceiling {
            kinds: [CeilingKind::Root].into(),
            ..limit()
        },
    )
    .unwrap();
    assert!(!limit().covers(&San::Email("a@b".to_owned())));
}

/// Two more operators beside Alice; Bob has two keys.
fn three_people() -> Bundle {
    let more = "[[operator]]\nname = \"bob\"\nkeys = [\"ssh-ed25519 Qk9C bob\", \"sk-ssh-ed25519@openssh.com Qk9CMg==\"]\nroles = [\"approver\"]\n\n\
        [[operator]]\nname = \"carol\"\nkeys = [\"ssh-ed25519 Q0FST0w=\"]\nroles = [\"watcher\"]\n\n[client_ca]";
    Bundle::build(0, None, changed("authority.toml", "[client_ca]", more)).unwrap()
}

#[test]
fn a_quorum_counts_persons() {
    let bundle = three_people();
    let alice = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9XS5HH8XbaXuqFJ2zgpcqmpZQkOmTgCXyfNXeVpjZ2";
    let count = |m: u32, keys: &[&str], requester: Option<&str>| {
        let signers: Vec<_> = keys
            .iter()
            .map(|k| VerifiedText {
                key: (*k).to_owned(),
                text: "t\n".to_owned(),
            })
            .collect();
        let rule = QuorumRule {
            m,
            role: "approver".parse().unwrap(),
        };
        let requester: Option<CallerSan> = requester.map(|r| r.parse().unwrap());
        quorum(bundle.authority(), &rule, "t\n", &signers, requester.as_ref()).map(|people| people.len())
    };
    assert_eq!(count(2, &[alice, "ssh-ed25519 Qk9C other comment"], None).unwrap(), 2);
    assert!(count(1, &[], None).is_err(), "zero approvals");
    assert!(count(0, &[], None).is_err(), "a rule of zero still needs somebody");
    assert!(count(2, &[alice, alice], None).is_err(), "one person twice");
    assert!(
        count(2, &["ssh-ed25519 Qk9C", "sk-ssh-ed25519@openssh.com Qk9CMg=="], None).is_err(),
        "two keys of one person"
    );
    assert!(count(1, &["ssh-ed25519 Q0FST0w="], None).is_err(), "without the role");
    assert!(count(1, &["ssh-ed25519 AAAA"], None).is_err(), "a stranger");
    assert!(
        count(1, &[alice], Some("uri:spiffe://stele/operator/alice")).is_err(),
        "the requester"
    );
    assert!(count(1, &[alice], Some("uri:spiffe://stele/caller/cluster-signer")).is_ok());
    let signer = VerifiedText {
        key: alice.to_owned(),
        text: "other\n".to_owned(),
    };
    let rule = QuorumRule {
        m: 1,
        role: "approver".parse().unwrap(),
    };
    assert!(
        quorum(bundle.authority(), &rule, "t\n", &[signer], None).is_err(),
        "another text"
    );
}

#[test]
fn one_key_stands_for_one_person() {
    let twice = "[[operator]]\nname = \"mallory\"\nkeys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9XS5HH8XbaXuqFJ2zgpcqmpZQkOmTgCXyfNXeVpjZ2 m\"]\nroles = [\"approver\"]\n\n[client_ca]";
    let said = faults(changed("authority.toml", "[client_ca]", twice));
    assert!(said.contains("operator[1].keys"), "{said}");
}

#[test]
fn who_is_who() {
    let bundle = presets();
    let a = bundle.authority();
    let alice: CallerSan = "uri:spiffe://stele/operator/alice".parse().unwrap();
    assert_eq!(a.caller_by_san(&alice).unwrap().name.as_str(), "operator-alice");
    assert_eq!(a.operator_acting_as(&alice).unwrap().name.as_str(), "alice");
    assert!(a.caller_by_san(&"dns:x".parse().unwrap()).is_none());
    assert_eq!(a.operators_with(&"approver".parse().unwrap()).count(), 1);
    assert_eq!(a.client_ca().as_str(), "access-ca");
    assert_eq!(a.server_names(), ["stele.example.org"]);
}
