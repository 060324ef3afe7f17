//! The running service: idempotence, approvals, stops, changes of authority, what it serves to everybody, its end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a surprise ends the test"
)]

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use stele_api::convert::{Issued, SignAnswer};
use stele_api::status::Reason;
use stele_api::v1;
use stele_core::record::Body;
use stele_core::tbs::parse_certificate;
use stele_core::types::Serial;
use stele_hsm_tests::scratch::binary_path;
use stele_hsm_tests::service::{ORIGIN, Service, both, succeed};
use stele_hsm_tests::service_client::{
    csr, intermediate, leaf, reason, records, request, runtime, sign, sign_persistently,
};
use tonic::Code;
use tonic::transport::Channel;

const CALLER: &str = "uri:spiffe://stele/caller/cluster-signer";
const OLGAS_CALLER: &str = "uri:spiffe://stele/operator/olga";

fn same(a: &Issued, b: &Issued) {
    assert_eq!(
        (&a.certificate, &a.chain, &a.record),
        (&b.certificate, &b.chain, &b.record)
    );
    assert_eq!((&a.position, a.attempt), (&b.position, b.attempt));
}

async fn refused(channel: &Channel, request: v1::SignRequest) -> (Code, Option<Reason>) {
    let status = sign(channel, request).await.expect_err("a refusal");
    (status.code(), reason(&status))
}

async fn pending(channel: &Channel, request: &v1::SignRequest) -> stele_api::convert::Pending {
    match sign(channel, request.clone()).await {
        Ok(SignAnswer::Pending(pending)) => pending,
        other => panic!("{}: {other:?}", request.request_id),
    }
}

#[test]
fn one_request_gives_one_certificate_for_ever() {
    let mut service = Service::started();
    let runtime = runtime();
    let asked = leaf("idem-1");
    let first = runtime.block_on(async {
        let channel = service.channel("caller");
        let first = sign_persistently(&channel, &asked).await;
        same(&first, &sign_persistently(&channel, &asked).await);
        let other = (Code::AlreadyExists, Some(Reason::RequestIdReused));
        assert_eq!(
            refused(&channel, leaf("idem-1")).await,
            other,
            "another key, so another digest"
        );
        let mut longer = asked.clone();
        longer.wanted = Some(v1::Wanted {
            validity_seconds: Some(7200),
            ..v1::Wanted::default()
        });
        assert_eq!(refused(&channel, longer).await, other, "another validity");
        first
    });
    service.stop();
    service.start();
    runtime.block_on(async {
        same(&first, &sign_persistently(&service.channel("caller"), &asked).await);
        let found = records(&service).await;
        let issued = found
            .iter()
            .filter(|r| matches!(&r.body, Body::Issued(i) if i.request.id.as_str() == "idem-1"));
        assert_eq!(issued.count(), 1);
    });
}

#[test]
fn the_same_request_many_times_at_once_is_issued_once() {
    let service = Service::started();
    runtime().block_on(async {
        let asked = leaf("at-once");
        let calls: Vec<_> = (0..12)
            .map(|_| {
                let (channel, asked) = (service.channel("caller"), asked.clone());
                tokio::spawn(async move { sign_persistently(&channel, &asked).await })
            })
            .collect();
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.unwrap());
        }
        for answer in &answers {
            same(&answers[0], answer);
        }
        let found = records(&service).await;
        let intents = found
            .iter()
            .filter(|r| matches!(&r.body, Body::Intent(i) if i.request.id.as_str() == "at-once"));
        assert_eq!(intents.count(), 1);
    });
}

#[test]
fn a_refusal_does_not_burn_the_id() {
    let service = Service::started();
    runtime().block_on(async {
        let channel = service.channel("caller");
        let bad = request("kube-apiserver-serving", "again", csr(None, &["bank.example.com"]));
        let before = refused(&channel, bad).await;
        assert_eq!(before, (Code::InvalidArgument, Some(Reason::PolicyRefused)));
        sign_persistently(&channel, &leaf("again")).await;
    });
}

/// `stele request approve` or `deny` by an operator.
fn decide(service: &Service, word: &str, id: &str, caller: &str, operator: &str) -> std::process::Output {
    service
        .stele_as("operator")
        .args([
            "request",
            word,
            id,
            "--caller",
            caller,
            "--operator",
            operator,
            "--yes",
            "--ssh-key",
        ])
        .arg(service.path(&format!("people/ssh-{operator}")))
        .output()
        .unwrap()
}

#[test]
fn operators_approve_deny_and_never_their_own() {
    let service = Service::started();
    let runtime = runtime();
    let (caller, olga) = runtime.block_on(async { (service.channel("caller"), service.channel("operator")) });
    let (good, bad, gone, own) = (
        intermediate("ca-1"),
        intermediate("ca-2"),
        intermediate("ca-3"),
        intermediate("ca-4"),
    );
    runtime.block_on(async {
        let first = pending(&caller, &good).await;
        assert_eq!(
            first.proposal,
            pending(&caller, &good).await.proposal,
            "asking again shows the same proposal"
        );
        pending(&caller, &bad).await;
        pending(&caller, &gone).await;
        pending(&olga, &own).await;
    });

    // Olga asked for it through the caller that acts for her: not hers to approve, but Otto's.
    let refused_own = decide(&service, "approve", "ca-4", OLGAS_CALLER, "olga");
    assert!(
        !refused_own.status.success() && both(&refused_own).contains("OPERATOR_NOT_PERMITTED"),
        "{}",
        both(&refused_own)
    );
    let approved = decide(&service, "approve", "ca-4", OLGAS_CALLER, "otto");
    assert!(approved.status.success(), "{}", both(&approved));
    let approved = decide(&service, "approve", "ca-1", CALLER, "olga");
    assert!(approved.status.success(), "{}", both(&approved));
    let denied = decide(&service, "deny", "ca-2", CALLER, "olga");
    assert!(denied.status.success(), "{}", both(&denied));
    succeed(
        service
            .stele_as("caller")
            .args(["request", "withdraw", "ca-3", "--reason", "no need"]),
    );

    runtime.block_on(async {
        let issued = sign_persistently(&caller, &good).await;
        same(&issued, &sign_persistently(&caller, &good).await);
        sign_persistently(&olga, &own).await;
        let closed = (Code::FailedPrecondition, Some(Reason::RequestClosed));
        assert_eq!(refused(&caller, bad).await, closed);
        assert_eq!(refused(&caller, gone).await, closed);
    });
    let late = decide(&service, "approve", "ca-2", CALLER, "otto");
    assert!(!late.status.success(), "a denied request stays denied");
    service.verify_ledger();
}

#[test]
fn an_approval_counts_for_one_request_only() {
    let service = Service::started();
    let runtime = runtime();
    runtime.block_on(async {
        let caller = service.channel("caller");
        pending(&caller, &intermediate("one")).await;
        pending(&caller, &intermediate("two")).await;
        let approved = decide(&service, "approve", "one", CALLER, "olga");
        assert!(approved.status.success(), "{}", both(&approved));
        let decision = records(&service).await.into_iter().find_map(|r| match r.body {
            Body::Decision(decision) => Some(decision.text),
            _ => None,
        });
        let text = decision.expect("the decision");
        let mut operator = v1::request_service_client::RequestServiceClient::new(service.channel("operator"));
        let mut approve = async |text: String, signature: String| {
            let approval = Some(v1::SignedText { text, signature });
            let answer = operator.approve_request(v1::ApproveRequestRequest { approval }).await;
            let status = answer.expect_err("no second use");
            (status.code(), reason(&status))
        };
        let again = approve(text.text.clone(), text.signature.clone()).await;
        assert_eq!(again, (Code::FailedPrecondition, Some(Reason::RequestClosed)));
        let other = text.text.replace("request: one", "request: two");
        assert_ne!(other, text.text);
        let moved = approve(other, text.signature.clone()).await;
        assert_eq!(moved, (Code::InvalidArgument, Some(Reason::SignedTextInvalid)));
    });
}

/// A stop's text, signed by an operator, as a file to apply.
fn signed_stop(service: &Service, action: &str, target: &str, operator: &str) -> PathBuf {
    let (text, signed) = (service.fresh("stop.txt"), service.fresh("stop.signed"));
    let stele = || Command::new(binary_path("stele"));
    succeed(
        stele()
            .args([
                "authority",
                "text",
                "stop",
                action,
                target,
                "--reason",
                "looked at",
                "--origin",
                ORIGIN,
                "--out",
            ])
            .arg(&text),
    );
    let signature = service.ssh_sign(operator, "stele-stop", &text);
    succeed(
        stele()
            .args(["authority", "sign"])
            .arg(&text)
            .arg("--signature")
            .arg(signature)
            .arg("--out")
            .arg(&signed),
    );
    signed
}

#[test]
fn what_is_frozen_signs_again_when_operators_say_so() {
    let service = Service::started();
    let runtime = runtime();
    let caller = runtime.block_on(async { service.channel("caller") });
    for (kind, name, target) in [
        ("issuer", "issuing-ca", "key:issuing-ca"),
        ("profile", "kube-apiserver-serving", "profile:kube-apiserver-serving"),
    ] {
        let id = format!("frozen-{kind}");
        succeed(
            service
                .stele_as("operator")
                .args(["freeze", kind, name, "--reason", "alarm"]),
        );
        let answer = runtime.block_on(refused(&caller, leaf(&id)));
        assert_eq!(answer, (Code::FailedPrecondition, Some(Reason::Frozen)), "{kind}");
        let other = signed_stop(&service, "unfreeze", "key:etcd-ca", "olga");
        assert!(
            !service
                .stele_as("operator")
                .arg("apply")
                .arg(other)
                .status()
                .unwrap()
                .success(),
            "another's text"
        );
        let unfreeze = signed_stop(&service, "unfreeze", target, "olga");
        succeed(service.stele_as("operator").arg("apply").arg(unfreeze));
        runtime.block_on(sign_persistently(&caller, &leaf(&id)));
    }
    // A frozen issuer still signs its CRL: revoke one while it is frozen.
    let issued = runtime.block_on(sign_persistently(&caller, &leaf("to-revoke")));
    succeed(
        service
            .stele_as("operator")
            .args(["freeze", "issuer", "issuing-ca", "--reason", "alarm"]),
    );
    let serial = revoke(&service, &issued);
    assert!(crl_lists(&service, &serial));
    service.verify_ledger();
}

fn revoke(service: &Service, issued: &Issued) -> Serial {
    let (view, ..) = parse_certificate(&issued.certificate).unwrap();
    let serial = Serial::from_unsigned(&view.serial).unwrap();
    succeed(
        service
            .stele_as("operator")
            .args(["revoke", "--reason", "superseded", "--serial", &serial.to_string()]),
    );
    serial
}

fn crl_lists(service: &Service, serial: &Serial) -> bool {
    let page = service.get("/crl/issuing-ca.crl").unwrap();
    let (crl, ..) = stele_core::crl::parse_crl(&page.body).unwrap();
    crl.revoked.contains_key(serial)
}

#[test]
fn a_changed_profile_voids_what_waits() {
    let service = Service::started();
    let runtime = runtime();
    let (caller, asked) = (
        runtime.block_on(async { service.channel("caller") }),
        intermediate("void-1"),
    );
    let before = runtime.block_on(pending(&caller, &asked));
    let profile = service.path("authority/profiles/cluster-intermediate.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    let changed = text.replace("default = \"365d\"", "default = \"200d\"");
    assert_ne!(text, changed);
    std::fs::write(&profile, changed).unwrap();
    service.adopt_next_bundle("otto");
    let late = decide(&service, "approve", "void-1", CALLER, "olga");
    let answer = runtime.block_on(pending(&caller, &asked));
    assert_eq!(answer.attempt, before.attempt + 1, "{}", both(&late));
    assert_ne!(answer.proposal, before.proposal);
    let approved = decide(&service, "approve", "void-1", CALLER, "olga");
    assert!(approved.status.success(), "{}", both(&approved));
    let issued = runtime.block_on(sign_persistently(&caller, &asked));
    let (view, ..) = parse_certificate(&issued.certificate).unwrap();
    let days = (view.not_after.secs() - view.not_before.secs()) / 86_400;
    assert_eq!(days, 200);
    service.verify_ledger();
}

#[test]
fn crls_and_tiles_are_served_to_everybody() {
    let service = Service::started();
    let runtime = runtime();
    let issued = runtime.block_on(async { sign_persistently(&service.channel("caller"), &leaf("public")).await });
    let serial = revoke(&service, &issued);
    assert!(crl_lists(&service, &serial));
    let page = service.get("/crl/issuing-ca.crl").unwrap();
    assert!(
        page.head.contains("content-type: application/pkix-crl"),
        "{}",
        page.head
    );
    assert!(page.head.contains("cache-control: public, max-age=60"), "{}", page.head);
    let pem = service.path("crl.pem");
    succeed(
        service
            .stele_as("guest")
            .args(["trust", "crl", "issuing-ca", "--out"])
            .arg(&pem),
    );
    let der = Command::new("openssl")
        .args(["crl", "-outform", "DER", "-in"])
        .arg(&pem)
        .output()
        .unwrap()
        .stdout;
    assert_eq!(der, page.body);
    assert_eq!(service.get("/crl/no-such-ca.crl").unwrap().status, 404);

    // The ledger is not for everybody: its tiles have a port of their own, see `auditor.rs`.
    assert_eq!(service.get("/checkpoint").unwrap().status, 404);
}

#[test]
fn health_and_reflection_answer() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let service = Service::started();
    runtime().block_on(async {
        let mut health = tonic_health::pb::health_client::HealthClient::new(service.channel("caller"));
        for name in ["", "stele.v1.SigningService"] {
            let asked = tonic_health::pb::HealthCheckRequest {
                service: name.to_owned(),
            };
            let answer = health.check(asked).await.unwrap().into_inner();
            assert_eq!(answer.status, 1, "{name} is serving");
        }
        let mut reflection = ServerReflectionClient::new(service.channel("caller"));
        let asked = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let answer = reflection
            .server_reflection_info(tokio_stream::once(asked))
            .await
            .unwrap();
        let message = answer.into_inner().message().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(services)) = message.message_response else {
            panic!("{message:?}");
        };
        let names: Vec<String> = services.service.into_iter().map(|s| s.name).collect();
        assert!(names.iter().any(|n| n == "stele.v1.LedgerService"), "{names:?}");
    });
    assert_eq!(service.get("/healthz").unwrap().status, 200);
    assert!(
        String::from_utf8(service.get("/metrics").unwrap().body)
            .unwrap()
            .contains("stele")
    );
}

#[test]
fn the_end_waits_for_calls_under_way() {
    let mut service = Service::started();
    let runtime = runtime();
    let calls: Vec<_> = runtime.block_on(async {
        // Connected beforehand, so that the calls are under way when the signal comes.
        let channel = service.channel("caller");
        sign_persistently(&channel, &leaf("drain:first")).await;
        let mut calls = Vec::new();
        for n in 0..40 {
            let channel = channel.clone();
            calls.push(tokio::spawn(async move {
                sign(&channel, leaf(&format!("drain:{n}"))).await
            }));
        }
        let until = Instant::now() + Duration::from_secs(10);
        while !service.log().contains("drain:0") {
            assert!(Instant::now() < until);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        calls
    });
    service.stop();
    let mut issued = Vec::new();
    for call in calls {
        match runtime.block_on(call).unwrap() {
            Ok(SignAnswer::Issued(certificate)) => issued.push(*certificate),
            Ok(SignAnswer::Pending(_)) => panic!("nothing waits here"),
            // Not begun when the signal came; nothing else may fail.
            Err(status) => assert!(
                matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled),
                "{status:?}"
            ),
        }
    }
    assert!(!issued.is_empty());
    assert_eq!(service.keepers(), []);
    service.start();
    runtime.block_on(async {
        let findings = stele_hsm_tests::crash::examine(&service, &issued).await;
        assert!(findings.unknown.is_empty(), "a graceful end leaves no unknown fate");
    });
}

#[test]
fn the_certificate_is_loaded_again_and_a_bad_one_is_not() {
    let service = Service::started();
    let runtime = runtime();
    let (pem, log) = (service.path("signer/server.pem"), || service.log());
    let wait_for = |words: &str, times: usize| {
        let until = Instant::now() + Duration::from_secs(10);
        while log().matches(words).count() < times {
            assert!(Instant::now() < until, "{words}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let good = std::fs::read(&pem).unwrap();
    std::fs::write(&pem, "no certificate").unwrap();
    service.signal(Signal::HUP);
    wait_for("not loaded again; the old state stays", 1);
    let answer = runtime.block_on(async { sign(&service.channel("caller"), leaf("old-state")).await });
    assert!(answer.is_ok(), "{answer:?}");
    std::fs::write(&pem, good).unwrap();
    service.signal(Signal::HUP);
    wait_for("the server's certificate is loaded again", 1);
    let answer = runtime.block_on(async { sign(&service.channel("caller"), leaf("new-state")).await });
    assert!(answer.is_ok(), "{answer:?}");
}

#[test]
fn a_flood_of_refusals_is_recorded_in_aggregate() {
    let mut service = Service::started();
    let runtime = runtime();
    let refused = request(
        "kube-apiserver-serving",
        "flood",
        csr(Some("kube-apiserver"), &["other.example.org"]),
    );
    runtime.block_on(async {
        let channel = service.channel("caller");
        for n in 0..50 {
            let call = sign(
                &channel,
                v1::SignRequest {
                    request_id: format!("flood:{n}"),
                    ..refused.clone()
                },
            );
            let status = call.await.expect_err("a refusal");
            assert_eq!(reason(&status), Some(Reason::PolicyRefused), "{status:?}");
        }
    });
    // What was counted is recorded at the latest when the service ends.
    service.stop();
    service.start();
    let records = runtime.block_on(records(&service));
    let singles = records.iter().filter(|r| matches!(r.body, Body::Refusal(_))).count();
    let counted: Vec<_> = records
        .iter()
        .filter_map(|r| match &r.body {
            Body::RefusalsCounted(counted) => Some(counted.reasons.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(singles, 20);
    assert_eq!(counted, [[("POLICY_REFUSED".to_owned(), 30)].into()]);
    service.verify_ledger();
    service.stop();
}
