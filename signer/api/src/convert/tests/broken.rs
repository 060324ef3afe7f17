use super::*;
use crate::convert::sign_request;

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
        proof(r, Proof::Pkcs10Der(vec![0; 10_241]))
    }),
    ("key_proof.pkcs10_pem", "required", |r| {
        proof(r, Proof::Pkcs10Pem(String::new()))
    }),
    ("key_proof.pkcs10_pem", "too-long", |r| {
        proof(r, Proof::Pkcs10Pem("x".repeat(16_385)))
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
        pod(r).proof_of_possession = vec![0; 513]
    }),
    ("key_proof.pod_key.pod_uid", "required", |r| pod(r).pod_uid.clear()),
    ("key_proof.pod_key.pod_uid", "too-long", |r| {
        pod(r).pod_uid = "u".repeat(65)
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
