use prost::Message as _;
use stele_core::request::{Context, KeyProof, SignRequest, Wanted};
use stele_core::types::{Digest, Position, Time};
use stele_core::{Refusal, Violation};

use super::*;
use crate::v1;
use v1::key_proof::Proof;
use v1::subject_alternative_name::Name;

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn name(name: Name) -> v1::SubjectAlternativeName {
    v1::SubjectAlternativeName { name: Some(name) }
}

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

/// A request with every field stated.
fn full() -> v1::SignRequest {
    let attribute = |kind: v1::AttributeType, value: &str| v1::Attribute {
        r#type: kind.into(),
        value: value.to_owned(),
    };
    v1::SignRequest {
        request_id: "b3c8e1de-7a0f".to_owned(),
        profile: "kubelet-serving".to_owned(),
        issuer: text("issuing-ca"),
        key_proof: Some(v1::KeyProof {
            proof: Some(Proof::PodKey(v1::PodKeyProof {
                spki_der: vec![0x30, 1],
                proof_of_possession: vec![2],
                pod_uid: "uid-1".to_owned(),
            })),
        }),
        wanted: Some(v1::Wanted {
            subject: Some(v1::Subject {
                attributes: vec![
                    attribute(v1::AttributeType::Organization, "system:nodes"),
                    attribute(v1::AttributeType::CommonName, "system:node:n1"),
                ],
            }),
            sans: Some(v1::SubjectAlternativeNames {
                names: vec![
                    name(Name::Dns("n1.example".to_owned())),
                    name(Name::Ip("2001:db8::1".to_owned())),
                    name(Name::Uri("spiffe://td/ns/a/sa/b".to_owned())),
                    name(Name::Email("a@example".to_owned())),
                ],
            }),
            usages: Some(v1::Usages {
                usages: vec![v1::Usage::DigitalSignature.into(), v1::Usage::ServerAuth.into()],
            }),
            validity_seconds: None,
            not_before: at(1_795_310_546),
            not_after: at(1_795_314_146),
        }),
        context: Some(v1::Context {
            cluster: text("c1"),
            object_uid: text("o"),
            requester: text("system:node:n1"),
            groups: vec!["system:nodes".to_owned(), "system:authenticated".to_owned()],
            namespace: text("ns"),
            pod_name: text("pod"),
            pod_uid: text("uid-1"),
            service_account_name: text("sa"),
            service_account_uid: text("sau"),
            node_name: text("n1"),
            node_uid: text("nu"),
        }),
    }
}

fn with_csr(proof: Proof) -> v1::SignRequest {
    v1::SignRequest {
        request_id: "r".to_owned(),
        profile: "p".to_owned(),
        key_proof: Some(v1::KeyProof { proof: Some(proof) }),
        ..v1::SignRequest::default()
    }
}

fn broken<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Vec<(String, String)> {
    let Refusal { violations } = result.unwrap_err();
    let texts = violations
        .iter()
        .all(|v| !v.found.is_empty() && !v.permitted.is_empty());
    assert!(texts, "each says what was found and what is permitted: {violations:?}");
    violations
        .into_iter()
        .map(|Violation { field, rule, .. }| (field, rule))
        .collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>, field: &str, rule: &str) {
    assert_eq!(broken(result), [(field.to_owned(), rule.to_owned())]);
}

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

/// The digest's numbers for usages and attribute types are those of the contract.
#[test]
fn the_digest_tells_every_enum_value_apart() {
    let mut digests = std::collections::HashSet::new();
    let mut expect_new = |request: v1::SignRequest| {
        let core: SignRequest = sign_request(request.clone()).unwrap();
        assert_eq!(sign_request_to_wire(&core).wanted, request.wanted);
        assert!(digests.insert(core.digest()));
    };
    for usage in 1..=15 {
        let mut wire = with_csr(Proof::Pkcs10Der(vec![1]));
        wire.wanted.get_or_insert_default().usages = Some(v1::Usages { usages: vec![usage] });
        expect_new(wire);
    }
    for kind in 1..=9 {
        let mut wire = with_csr(Proof::Pkcs10Der(vec![1]));
        let attribute = v1::Attribute {
            r#type: kind,
            value: "x".to_owned(),
        };
        wire.wanted.get_or_insert_default().subject = Some(v1::Subject {
            attributes: vec![attribute],
        });
        expect_new(wire);
    }
    assert!(v1::Usage::try_from(16).is_err() && v1::AttributeType::try_from(10).is_err());
}

#[test]
fn an_empty_message_is_refused_by_every_required_field() {
    let required = |fields: &[&str]| -> Vec<(String, String)> {
        fields
            .iter()
            .map(|f| ((*f).to_owned(), "required".to_owned()))
            .collect()
    };
    let request = sign_request(v1::SignRequest::default());
    assert_eq!(broken(request), required(&["request_id", "profile", "key_proof"]));
    let mut no_form = full();
    no_form.key_proof = Some(v1::KeyProof { proof: None });
    refused(sign_request(no_form), "key_proof", "required");

    refused(request_key(v1::GetRequestRequest::default()), "request_id", "required");
    refused(approval(v1::ApproveRequestRequest::default()), "approval", "required");
    refused(denial(v1::DenyRequestRequest::default()), "denial", "required");
    refused(
        withdrawal(v1::WithdrawRequestRequest::default()),
        "request_id",
        "required",
    );
    assert_eq!(
        broken(revocation(v1::RevokeRequest::default())),
        required(&["serial", "reason"])
    );
    assert_eq!(
        broken(freeze(v1::FreezeRequest::default())),
        required(&["target", "reason"])
    );
    refused(signed_file(v1::ApplySignedFileRequest::default()), "file", "required");
    refused(issuer_name(v1::GetIssuerChainRequest::default()), "issuer", "required");
    refused(crl_issuer(v1::GetCrlRequest::default()), "issuer", "required");
    refused(sign_answer(v1::SignResponse::default()), "result", "required");
    let empty_text = v1::ApproveRequestRequest {
        approval: Some(v1::SignedText::default()),
    };
    assert_eq!(
        broken(approval(empty_text)),
        required(&["approval.text", "approval.signature"])
    );
}

/// One way to break the full request, and what the refusal names.
type Case = (&'static str, &'static str, fn(&mut v1::SignRequest));

fn proof(request: &mut v1::SignRequest, proof: Proof) {
    request.key_proof = Some(v1::KeyProof { proof: Some(proof) });
}

fn pod(request: &mut v1::SignRequest) -> &mut v1::PodKeyProof {
    match request.key_proof.as_mut().unwrap().proof.as_mut().unwrap() {
        Proof::PodKey(pod) => pod,
        other => panic!("{other:?}"),
    }
}

fn wanted(request: &mut v1::SignRequest) -> &mut v1::Wanted {
    request.wanted.as_mut().unwrap()
}

fn attributes(request: &mut v1::SignRequest) -> &mut Vec<v1::Attribute> {
    &mut wanted(request).subject.as_mut().unwrap().attributes
}

fn names(request: &mut v1::SignRequest) -> &mut Vec<v1::SubjectAlternativeName> {
    &mut wanted(request).sans.as_mut().unwrap().names
}

fn usages(request: &mut v1::SignRequest) -> &mut Vec<i32> {
    &mut wanted(request).usages.as_mut().unwrap().usages
}

fn context(request: &mut v1::SignRequest) -> &mut v1::Context {
    request.context.as_mut().unwrap()
}

const CASES: &[Case] = &[
    ("request_id", "malformed", |r| r.request_id = "a b".to_owned()),
    ("request_id", "malformed", |r| r.request_id = "a".repeat(129)),
    ("profile", "malformed", |r| r.profile = "Upper".to_owned()),
    ("issuer", "required", |r| r.issuer = text("")),
    ("issuer", "malformed", |r| r.issuer = text("../ca")),
    ("key_proof.pkcs10_der", "required", |r| {
        proof(r, Proof::Pkcs10Der(vec![]))
    }),
    ("key_proof.pkcs10_der", "too-long", |r| {
        proof(r, Proof::Pkcs10Der(vec![0; 16_385]))
    }),
    ("key_proof.pkcs10_pem", "required", |r| {
        proof(r, Proof::Pkcs10Pem(String::new()))
    }),
    ("key_proof.pkcs10_pem", "too-long", |r| {
        proof(r, Proof::Pkcs10Pem("x".repeat(32_769)))
    }),
    ("key_proof.pkcs10_pem", "malformed", |r| {
        proof(r, Proof::Pkcs10Pem("MAA=".to_owned()))
    }),
    ("key_proof.pod_key.spki_der", "required", |r| pod(r).spki_der.clear()),
    ("key_proof.pod_key.spki_der", "too-long", |r| {
        pod(r).spki_der = vec![0; 1025]
    }),
    ("key_proof.pod_key.proof_of_possession", "required", |r| {
        pod(r).proof_of_possession.clear()
    }),
    ("key_proof.pod_key.proof_of_possession", "too-long", |r| {
        pod(r).proof_of_possession = vec![0; 1025]
    }),
    ("key_proof.pod_key.pod_uid", "required", |r| pod(r).pod_uid.clear()),
    ("key_proof.pod_key.pod_uid", "too-long", |r| {
        pod(r).pod_uid = "u".repeat(129)
    }),
    ("key_proof.pod_key.pod_uid", "conflict", |r| {
        pod(r).pod_uid = "uid-2".to_owned()
    }),
    ("wanted.subject.attributes", "too-many", |r| {
        *attributes(r) = vec![v1::Attribute::default(); 33]
    }),
    ("wanted.subject.attributes[1].type", "required", |r| {
        attributes(r)[1].r#type = 0
    }),
    ("wanted.subject.attributes[1].type", "unknown-value", |r| {
        attributes(r)[1].r#type = 10
    }),
    ("wanted.subject.attributes[0].value", "required", |r| {
        attributes(r)[0].value.clear()
    }),
    ("wanted.subject.attributes[0].value", "too-long", |r| {
        attributes(r)[0].value = "x".repeat(257)
    }),
    ("wanted.subject.attributes[0].value", "malformed", |r| {
        attributes(r)[0].value = "a\0b".to_owned()
    }),
    ("wanted.sans.names", "too-many", |r| {
        *names(r) = vec![v1::SubjectAlternativeName::default(); 10_000]
    }),
    ("wanted.sans.names[0]", "required", |r| names(r)[0].name = None),
    ("wanted.sans.names[0].dns", "required", |r| {
        names(r)[0] = name(Name::Dns(String::new()))
    }),
    ("wanted.sans.names[0].dns", "too-long", |r| {
        names(r)[0] = name(Name::Dns("a".repeat(254)))
    }),
    ("wanted.sans.names[0].dns", "malformed", |r| {
        names(r)[0] = name(Name::Dns("a\nb".to_owned()))
    }),
    ("wanted.sans.names[1].ip", "malformed", |r| {
        names(r)[1] = name(Name::Ip("10.0.0.0/8".to_owned()))
    }),
    ("wanted.sans.names[1].ip", "malformed", |r| {
        names(r)[1] = name(Name::Ip("fe80::1%eth0".to_owned()))
    }),
    ("wanted.sans.names[2].uri", "too-long", |r| {
        names(r)[2] = name(Name::Uri("u".repeat(2049)))
    }),
    ("wanted.sans.names[3].email", "too-long", |r| {
        names(r)[3] = name(Name::Email("e".repeat(321)))
    }),
    ("wanted.sans.names[3]", "duplicate", |r| {
        names(r)[3] = name(Name::Ip("2001:db8:0::1".to_owned()))
    }),
    ("wanted.usages.usages", "required", |r| usages(r).clear()),
    ("wanted.usages.usages", "too-many", |r| *usages(r) = vec![1; 33]),
    ("wanted.usages.usages[1]", "required", |r| usages(r)[1] = 0),
    ("wanted.usages.usages[1]", "unknown-value", |r| usages(r)[1] = 16),
    ("wanted.usages.usages[1]", "unknown-value", |r| usages(r)[1] = -1),
    ("wanted.usages.usages[1]", "duplicate", |r| usages(r)[1] = 1),
    ("wanted.validity_seconds", "conflict", |r| {
        wanted(r).validity_seconds = Some(60)
    }),
    ("wanted.validity_seconds", "out-of-range", |r| {
        wanted(r).validity_seconds = Some(0);
        wanted(r).not_after = None;
    }),
    ("wanted.not_before", "malformed", |r| wanted(r).not_before = at(-1)),
    ("wanted.not_before", "malformed", |r| {
        wanted(r).not_before.as_mut().unwrap().nanos = 1_000_000
    }),
    ("wanted.not_before", "malformed", |r| {
        wanted(r).not_before.as_mut().unwrap().nanos = 1_000_000_000
    }),
    ("wanted.not_before", "malformed", |r| {
        wanted(r).not_before.as_mut().unwrap().nanos = -1_000_000_000
    }),
    ("wanted.not_after", "malformed", |r| {
        wanted(r).not_after = at(253_402_300_800)
    }),
    ("wanted.not_after", "malformed", |r| wanted(r).not_after = at(i64::MAX)),
    ("wanted.not_after", "conflict", |r| {
        wanted(r).not_after = at(1_795_310_545)
    }),
    ("context.cluster", "required", |r| context(r).cluster = text("")),
    ("context.object_uid", "too-long", |r| {
        context(r).object_uid = Some("x".repeat(1025))
    }),
    ("context.requester", "malformed", |r| {
        context(r).requester = text("a\u{7f}")
    }),
    ("context.groups", "too-many", |r| {
        context(r).groups = vec![String::new(); 257]
    }),
    ("context.groups[1]", "required", |r| context(r).groups[1].clear()),
    ("context.namespace", "required", |r| context(r).namespace = text("")),
    ("context.pod_name", "required", |r| context(r).pod_name = text("")),
    ("context.pod_uid", "required", |r| context(r).pod_uid = text("")),
    ("context.service_account_name", "required", |r| {
        context(r).service_account_name = text("")
    }),
    ("context.service_account_uid", "required", |r| {
        context(r).service_account_uid = text("")
    }),
    ("context.node_name", "required", |r| context(r).node_name = text("")),
    ("context.node_uid", "required", |r| context(r).node_uid = text("")),
];

#[test]
fn every_broken_field_of_a_request_is_refused_by_name() {
    for (field, rule, break_it) in CASES {
        let mut request = full();
        break_it(&mut request);
        refused(sign_request(request), field, rule);
    }
}

#[test]
fn all_broken_fields_are_named_together() {
    let mut request = full();
    request.profile = "Upper".to_owned();
    usages(&mut request)[0] = 99;
    names(&mut request)[1] = name(Name::Ip("x".to_owned()));
    context(&mut request).node_uid = text("");
    let fields: Vec<String> = broken(sign_request(request))
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(
        fields,
        [
            "profile",
            "wanted.sans.names[1].ip",
            "wanted.usages.usages[0]",
            "context.node_uid"
        ]
    );
}

#[test]
fn foreign_text_in_a_refusal_is_short_and_printable() {
    let mut request = full();
    request.request_id = "\u{1b}[2J".repeat(10_000);
    let Refusal { violations } = sign_request(request).unwrap_err();
    assert!(violations[0].found.len() < 1000 && !violations[0].found.contains('\u{1b}'));
}

fn position() -> Position {
    Position {
        origin: "example.org/log".parse().unwrap(),
        index: u64::MAX,
    }
}

#[test]
fn answers_survive_the_wire() {
    let issued = Issued {
        certificate: vec![1],
        chain: vec![vec![2], vec![3]],
        record: b"{}".to_vec(),
        position: position(),
        tlog_proof: "c2sp.org/tlog-proof@v1\n".to_owned(),
        checkpoint: "example.org/log\n".to_owned(),
        attempt: 1,
    };
    let pending = Pending {
        proposal: position(),
        request_id: "r".parse().unwrap(),
        attempt: 2,
        quorum: Quorum {
            required: 2,
            eligible: 3,
            roles: vec!["approver".to_owned()],
        },
        expires: Time::from_millis(1_795_310_546_123),
    };
    for answer in [
        SignAnswer::Issued(Box::new(issued.clone())),
        SignAnswer::Pending(pending),
    ] {
        let bytes = v1::SignResponse::from(answer.clone()).encode_to_vec();
        assert_eq!(
            sign_answer(v1::SignResponse::decode(bytes.as_slice()).unwrap()).unwrap(),
            answer
        );
    }
    let wire = v1::Issued {
        position: None,
        checkpoint: String::new(),
        attempt: 0,
        ..v1::Issued::from(issued)
    };
    let missing: Vec<_> = broken(Issued::try_from(wire))
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(missing, ["issued.position", "issued.checkpoint", "issued.attempt"]);
}

#[test]
fn requests_are_looked_up_and_listed_as_asked() {
    let key = request_key(v1::GetRequestRequest {
        caller: text("cluster-signer"),
        request_id: "r".to_owned(),
        attempt: Some(2),
    })
    .unwrap();
    assert_eq!(
        (key.caller.unwrap().as_str(), key.id.as_str(), key.attempt),
        ("cluster-signer", "r", Some(2))
    );

    let list = |states: Vec<i32>, page_size: u32, page_token: &str| {
        request_filter(v1::ListRequestsRequest {
            states,
            page_size,
            page_token: page_token.to_owned(),
            ..v1::ListRequestsRequest::default()
        })
    };
    let all = list((1..=10).collect(), 0, "").unwrap();
    let back: Vec<i32> = all.states.iter().map(|s| state_to_wire(*s).into()).collect();
    assert_eq!(back, (1..=10).collect::<Vec<_>>());
    assert_eq!((all.page.size, all.page.token), (100, None));
    assert_eq!(list(vec![], 1000, "t").unwrap().page.token.as_deref(), Some("t"));
    refused(list(vec![1, 11], 0, ""), "states[1]", "unknown-value");
    refused(list(vec![0], 0, ""), "states[0]", "required");
    refused(list(vec![1; 65], 0, ""), "states", "too-many");
    refused(list(vec![], 1001, ""), "page_size", "too-many");
    refused(list(vec![], 0, &"t".repeat(1025)), "page_token", "too-long");
    let zeroth = v1::GetRequestRequest {
        request_id: "r".to_owned(),
        attempt: Some(0),
        ..v1::GetRequestRequest::default()
    };
    refused(request_key(zeroth), "attempt", "out-of-range");
}

#[test]
fn signed_texts_and_files_have_limits() {
    let signed = |text: String, signature: String| v1::SignedText { text, signature };
    let approve = |s: v1::SignedText| approval(v1::ApproveRequestRequest { approval: Some(s) });
    let ok = approve(signed("stele-approval-v1\n".to_owned(), "s".to_owned())).unwrap();
    assert_eq!(
        v1::SignedText::from(ok),
        signed("stele-approval-v1\n".to_owned(), "s".to_owned())
    );
    refused(
        approve(signed("t".repeat(65_537), "s".to_owned())),
        "approval.text",
        "too-long",
    );
    refused(
        approve(signed("t".to_owned(), "s".repeat(16_385))),
        "approval.signature",
        "too-long",
    );
    let denied = denial(v1::DenyRequestRequest {
        denial: Some(signed("t".to_owned(), "s".to_owned())),
        reason: "r".repeat(1025),
    });
    refused(denied, "reason", "too-long");
    let file = v1::ApplySignedFileRequest {
        file: vec![0; 1024 * 1024 + 1],
    };
    refused(signed_file(file), "file", "too-long");
}

#[test]
fn stops_name_what_they_stop() {
    let revoke = |serial: &str, reason: i32| {
        revocation(v1::RevokeRequest {
            serial: serial.to_owned(),
            reason,
            ..v1::RevokeRequest::default()
        })
    };
    let revoked = revoke("4a", 1).unwrap();
    assert_eq!(
        (revoked.serial.to_string().as_str(), revoked.reason),
        ("4a", RevocationReason::KeyCompromise)
    );
    refused(revoke("004a", 1), "serial", "malformed");
    refused(revoke("4A", 1), "serial", "malformed");
    refused(revoke(&"7f".repeat(21), 1), "serial", "malformed");
    refused(revoke("4a", 8), "reason", "unknown-value");

    let frozen = freeze(v1::FreezeRequest {
        target: Some(v1::freeze_request::Target::Issuer("etcd-ca".to_owned())),
        reason: "key ceremony".to_owned(),
    });
    assert_eq!(frozen.unwrap().target, FreezeTarget::Issuer("etcd-ca".parse().unwrap()));
}

#[test]
fn ledger_queries_refuse_what_cannot_be() {
    let inclusion = |index, tree_size| {
        inclusion_query(v1::GetInclusionProofRequest {
            origin: None,
            index,
            tree_size,
        })
    };
    assert_eq!(inclusion(7, Some(8)).unwrap().tree_size, Some(8));
    refused(inclusion(7, Some(7)), "tree_size", "conflict");
    let consistency = |old_size, new_size| {
        consistency_query(v1::GetConsistencyProofRequest {
            origin: None,
            old_size,
            new_size,
        })
    };
    assert!(consistency(0, Some(0)).is_ok());
    refused(consistency(8, Some(7)), "new_size", "conflict");
    refused(
        log_origin(v1::GetCheckpointRequest { origin: text("a+b") }),
        "origin",
        "malformed",
    );
    let find = |change: fn(&mut v1::FindEntriesRequest)| {
        let mut wire = v1::FindEntriesRequest::default();
        change(&mut wire);
        find_query(wire)
    };
    let found = find(|q| {
        q.serial = text("4a");
        q.certificate_sha256 = Some(vec![7; 32]);
        q.from = Some(time_to_wire(Time::from_millis(1001)));
        q.kinds = vec!["issued".to_owned()];
    })
    .unwrap();
    assert_eq!(found.certificate, Some(Digest([7; 32])));
    assert_eq!(found.from, Some(Time::from_millis(1001)));
    refused(
        find(|q| q.certificate_sha256 = Some(vec![7; 31])),
        "certificate_sha256",
        "malformed",
    );
    refused(find(|q| q.kinds = vec!["Issued".to_owned()]), "kinds[0]", "malformed");
    refused(find(|q| q.operator = text("A B")), "operator", "malformed");
    refused(find(|q| (q.from, q.until) = (at(2), at(2))), "until", "conflict");
}
