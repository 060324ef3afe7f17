//! Conversions, attacked field by field.

use stele_core::{Refusal, Violation};

use crate::v1;
use v1::key_proof::Proof;
use v1::subject_alternative_name::Name;

mod broken;
mod others;
mod signing;

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
