use prost::Message as _;
use stele_core::crl::Reason;
use stele_core::record::FreezeTarget;
use stele_core::types::{Digest, Position, Time};

use super::*;
use crate::convert::*;

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
        caller: text("uri:spiffe://td/signer"),
        request_id: "r".to_owned(),
        attempt: Some(2),
    })
    .unwrap();
    assert_eq!(
        (key.caller.unwrap().to_string().as_str(), key.id.as_str(), key.attempt),
        ("uri:spiffe://td/signer", "r", Some(2))
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
        ("4a", Reason::KeyCompromise)
    );
    let reasons: Vec<Reason> = (1..=7).map(|n| revoke("4a", n).unwrap().reason).collect();
    assert_eq!(
        reasons.last(),
        Some(&Reason::Unspecified),
        "the CRL then names no reason"
    );
    assert!(
        reasons.iter().enumerate().all(|(i, r)| !reasons[..i].contains(r)),
        "{reasons:?}"
    );
    refused(revoke("004a", 1), "serial", "malformed");
    refused(revoke("4A", 1), "serial", "malformed");
    refused(revoke(&"7f".repeat(21), 1), "serial", "malformed");
    refused(revoke("4a", 8), "reason", "unknown-value");

    use v1::freeze_request::Target;
    let stop = |target| {
        freeze(v1::FreezeRequest {
            target: Some(target),
            reason: "stolen laptop".to_owned(),
        })
    };
    let issuer = stop(Target::Issuer("etcd-ca".to_owned())).unwrap();
    assert_eq!(issuer.target, FreezeTarget::Issuer("etcd-ca".parse().unwrap()));
    let caller = stop(Target::Caller("uri:spiffe://td/signer".to_owned())).unwrap();
    assert_eq!(
        caller.target,
        FreezeTarget::Caller("uri:spiffe://td/signer".parse().unwrap())
    );
    refused(stop(Target::Caller("signer".to_owned())), "caller", "malformed");
    refused(stop(Target::Profile("a b".to_owned())), "profile", "malformed");
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
