use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::names::{Attribute, AttributeType};
use crate::types::Digest;

fn minimal() -> SignRequest {
    SignRequest {
        id: "r-1".parse().unwrap(),
        profile: "p".parse().unwrap(),
        issuer: None,
        proof: KeyProof::Pkcs10(vec![0x30, 0x00]),
        wanted: Wanted::default(),
        context: Context::default(),
    }
}

fn attribute(kind: AttributeType, value: &str) -> Attribute {
    Attribute {
        kind,
        value: value.to_owned(),
    }
}

/// A request with every field stated.
fn full() -> SignRequest {
    let some = |text: &str| Some(text.to_owned());
    SignRequest {
        issuer: Some("issuing-ca".parse().unwrap()),
        proof: KeyProof::PodKey {
            spki: vec![0x30, 0x01],
            proof: vec![2, 3],
            pod_uid: "uid-1".to_owned(),
        },
        wanted: Wanted {
            subject: Some(Subject(vec![
                attribute(AttributeType::CommonName, "n1"),
                attribute(AttributeType::Organization, "system:nodes"),
            ])),
            sans: Some(
                [
                    "dns:a.example",
                    "ip:10.0.0.1",
                    "ip:::1",
                    "uri:spiffe://td/x",
                    "email:a@example",
                ]
                .map(|san| san.parse().unwrap())
                .to_vec(),
            ),
            usages: Some(vec![Usage::DigitalSignature, Usage::ServerAuth]),
            validity_secs: Some(3600),
            not_before: Some(Time::from_secs(1)),
            not_after: Some(Time::from_secs(2)),
        },
        context: Context {
            cluster: some("c"),
            object_uid: some("o"),
            requester: some("u"),
            groups: vec!["g1".to_owned(), "g2".to_owned()],
            namespace: some("ns"),
            pod: some("pod"),
            pod_uid: some("uid-1"),
            service_account: some("sa"),
            service_account_uid: some("sau"),
            node: some("node"),
            node_uid: some("nu"),
        },
        ..minimal()
    }
}

/// The two vectors were computed by a few lines of Python from the documentation alone.
#[test]
fn the_digest_is_what_the_documentation_says() {
    let expected = "0c150f6e9dffd90fae91f75877859a9ad4e7fdade992aeefef29fb41b29e0ec8";
    assert_eq!(minimal().digest().to_string(), expected);
    assert!(include_str!("../../../../proto/README.md").contains(expected));
    assert_eq!(
        full().digest().to_string(),
        "312aa1f5ba1743ea9dc034dfb3b0c66df7fcdabcc2a20919e1abd7f863f8a4d6"
    );
}

/// Every way in which one field of the full request can differ, next to each other.
fn variants() -> Vec<SignRequest> {
    let mut all = vec![full(), minimal()];
    let mut change = |f: &dyn Fn(&mut SignRequest)| {
        let mut request = full();
        f(&mut request);
        all.push(request);
    };
    change(&|r| r.id = "r-2".parse().unwrap());
    change(&|r| r.profile = "q".parse().unwrap());
    change(&|r| r.issuer = None);
    change(&|r| r.issuer = Some("other-ca".parse().unwrap()));
    change(&|r| r.proof = KeyProof::Pkcs10(vec![0x30, 0x01, 2, 3]));
    let pod = |spki: &[u8], proof: &[u8], uid: &str| KeyProof::PodKey {
        spki: spki.to_vec(),
        proof: proof.to_vec(),
        pod_uid: uid.to_owned(),
    };
    change(&|r| r.proof = pod(&[0x30, 0x02], &[2, 3], "uid-1"));
    change(&|r| r.proof = pod(&[0x30, 0x01, 2], &[3], "uid-1"));
    change(&|r| r.proof = pod(&[0x30, 0x01], &[2, 3], "uid-2"));
    for subject in [
        None,
        Some(vec![]),
        Some(vec![attribute(AttributeType::CommonName, "n1")]),
        Some(vec![
            attribute(AttributeType::Organization, "system:nodes"),
            attribute(AttributeType::CommonName, "n1"),
        ]),
        Some(vec![
            attribute(AttributeType::CommonName, "n1"),
            attribute(AttributeType::OrganizationalUnit, "system:nodes"),
        ]),
    ] {
        change(&|r| r.wanted.subject = subject.clone().map(Subject));
    }
    for sans in [
        None,
        Some(vec![]),
        Some(vec![San::Dns("x".to_owned())]),
        Some(vec![San::Uri("x".to_owned())]),
    ] {
        change(&|r| r.wanted.sans = sans.clone());
    }
    for usages in [
        None,
        Some(vec![]),
        Some(vec![Usage::ServerAuth, Usage::DigitalSignature]),
    ] {
        change(&|r| r.wanted.usages = usages.clone());
    }
    change(&|r| r.wanted.validity_secs = None);
    change(&|r| r.wanted.validity_secs = Some(3601));
    change(&|r| r.wanted.not_before = None);
    change(&|r| r.wanted.not_before = Some(Time::from_secs(2)));
    change(&|r| r.wanted.not_after = None);
    change(&|r| r.wanted.not_after = Some(Time::from_secs(1)));
    change(&|r| r.context.groups = vec!["g1g2".to_owned()]);
    change(&|r| r.context.groups = vec!["g2".to_owned(), "g1".to_owned()]);
    change(&|r| r.context.groups = vec![]);
    let fields: [fn(&mut Context) -> &mut Option<String>; 10] = [
        |c| &mut c.cluster,
        |c| &mut c.object_uid,
        |c| &mut c.requester,
        |c| &mut c.namespace,
        |c| &mut c.pod,
        |c| &mut c.pod_uid,
        |c| &mut c.service_account,
        |c| &mut c.service_account_uid,
        |c| &mut c.node,
        |c| &mut c.node_uid,
    ];
    for field in fields {
        change(&|r| *field(&mut r.context) = None);
        change(&|r| *field(&mut r.context) = Some(String::new()));
        change(&|r| *field(&mut r.context) = Some("other".to_owned()));
    }
    // The same text in another field, and nowhere else, must differ too.
    all.extend(fields.map(|field| {
        let mut request = minimal();
        *field(&mut request.context) = Some("same".to_owned());
        request
    }));
    all
}

#[test]
fn whatever_differs_has_another_digest() {
    let mut seen: HashMap<Digest, SignRequest> = HashMap::new();
    for request in variants() {
        if let Some(other) = seen.insert(request.digest(), request.clone()) {
            panic!("the same digest for\n{request:?}\nand\n{other:?}");
        }
    }
}

#[test]
fn json_keeps_every_field() {
    for request in variants() {
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<SignRequest>(&json).unwrap(), request, "{json}");
    }
}

prop_compose! {
    /// Few and short letters, so that pieces which could be confused at a border come up often.
    fn short()(text in "[ab]{0,3}") -> String { text }
}

prop_compose! {
    fn contexts()(
        texts in prop::array::uniform4(prop::option::of(short())),
        groups in prop::collection::vec(short(), 0..3),
    ) -> Context {
        let [cluster, requester, node, pod] = texts;
        Context { cluster, requester, groups, node, pod, ..Context::default() }
    }
}

prop_compose! {
    fn requests()(
        context in contexts(),
        csr in prop::collection::vec(0u8..3, 0..3),
        names in prop::option::of(prop::collection::vec((any::<bool>(), short()), 0..3)),
        attributes in prop::option::of(prop::collection::vec((any::<bool>(), short()), 0..3)),
        validity_secs in prop::option::of(0u64..2),
    ) -> SignRequest {
        let sans = names.map(|names| {
            names.into_iter().map(|(dns, n)| if dns { San::Dns(n) } else { San::Uri(n) }).collect()
        });
        let subject = attributes.map(|attributes| {
            let kind = |cn| if cn { AttributeType::CommonName } else { AttributeType::Organization };
            Subject(attributes.into_iter().map(|(cn, value)| Attribute { kind: kind(cn), value }).collect())
        });
        let wanted = Wanted { subject, sans, validity_secs, ..Wanted::default() };
        SignRequest { proof: KeyProof::Pkcs10(csr), wanted, context, ..minimal() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn digests_are_equal_exactly_when_requests_are(a in requests(), b in requests()) {
        prop_assert_eq!(a == b, a.digest() == b.digest());
        prop_assert_eq!(a.digest(), a.clone().digest());
    }
}

const PEM: &str = "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n";

#[test]
fn pem_is_one_block_and_nothing_else() {
    assert_eq!(pkcs10_from_pem(PEM).unwrap(), [0x30, 0x00]);
    assert_eq!(pkcs10_from_pem(&PEM.replace('\n', "\r\n")).unwrap(), [0x30, 0x00]);
    assert_eq!(pkcs10_from_pem(&format!("\n{PEM}\n")).unwrap(), [0x30, 0x00]);
    for bad in [
        String::new(),
        "MAA=".to_owned(),
        format!("subject=CN x\n{PEM}"),
        format!("{PEM}trailing"),
        format!("{PEM}{PEM}"),
        PEM.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
        PEM.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
        PEM.replace("END CERTIFICATE REQUEST", "END CERTIFICATE"),
        PEM.replace("MAA=", "MA*="),
        PEM.replace("MAA=", "Proc-Type: 4,ENCRYPTED\n\nMAA="),
        PEM.replace("MAA=\n", ""),
    ] {
        let error = pkcs10_from_pem(&bad);
        assert!(error.is_err(), "{bad:?} gave {error:?}");
    }
}

proptest! {
    #[test]
    fn foreign_text_never_panics(text in "\\PC{0,200}", cut in 0usize..PEM.len()) {
        let _ = pkcs10_from_pem(&text);
        let _ = pkcs10_from_pem(&PEM[..cut]);
        let _ = pkcs10_from_pem(&format!("-----BEGIN {text}-----END CERTIFICATE REQUEST-----"));
    }
}
