//! Approvals through the running service: who counts, what counts, and what happens when people act at the same moment.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a surprise ends the test"
)]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use stele_api::convert::{Pending, SignAnswer};
use stele_api::status::Reason;
use stele_api::v1;
use stele_api::v1::request_service_client::RequestServiceClient;
use stele_core::record::{Body, Record};
use stele_core::types::{Digest, Time};
use stele_hsm_tests::scratch::binary_path;
use stele_hsm_tests::service::{CEREMONY_ORIGIN, Service, succeed};
use stele_hsm_tests::service_client::{intermediate, reason, records, runtime, sign};
use tonic::transport::Channel;
use tonic::{Code, Status};

const CALLER: &str = "uri:spiffe://stele/caller/cluster-signer";
/// A third operator, and a second key of the first.
const MORE: &str = "\n[[operator]]\nname = \"omar\"\nkeys = [\"@omar\"]\nroles = [\"approver\"]\n";

async fn propose(channel: &Channel, request: &v1::SignRequest) -> Pending {
    match sign(channel, request.clone()).await {
        Ok(SignAnswer::Pending(pending)) => pending,
        other => panic!("{}: {other:?}", request.request_id),
    }
}

/// The text that an operator signs, as the command line computes it from the bytes.
fn text(service: &Service, word: &str, id: &str) -> String {
    let file = service.fresh("text");
    succeed(
        service
            .stele_as("operator")
            .args(["request", word, id, "--caller", CALLER, "--text-out"])
            .arg(&file),
    );
    std::fs::read_to_string(file).unwrap()
}

fn signed(service: &Service, operator: &str, namespace: &str, text: &str) -> v1::SignedText {
    let file = service.fresh("signed");
    std::fs::write(&file, text).unwrap();
    let signature = service.ssh_sign(operator, namespace, &file);
    v1::SignedText {
        text: text.to_owned(),
        signature: std::fs::read_to_string(signature).unwrap(),
    }
}

fn decision(service: &Service, word: &str, id: &str, operator: &str) -> v1::SignedText {
    signed(service, operator, "stele-approval", &text(service, word, id))
}

/// Waits where another call works on the same request, as RetryInfo says; whether to ask again.
async fn busy(status: &Status) -> bool {
    let busy = reason(status) == Some(Reason::RequestInProgress);
    if busy {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    busy
}

async fn sign_when_free(channel: &Channel, request: &v1::SignRequest) -> Result<SignAnswer, Status> {
    loop {
        match sign(channel, request.clone()).await {
            Err(status) if busy(&status).await => {}
            done => return done,
        }
    }
}

async fn approve(channel: Channel, approval: v1::SignedText) -> Result<(), Status> {
    let wire = v1::ApproveRequestRequest {
        approval: Some(approval),
    };
    let mut client = RequestServiceClient::new(channel);
    loop {
        match client.approve_request(wire.clone()).await.map(drop) {
            Err(status) if busy(&status).await => {}
            done => return done,
        }
    }
}

async fn deny(channel: Channel, denial: v1::SignedText) -> Result<(), Status> {
    let wire = v1::DenyRequestRequest {
        denial: Some(denial),
        reason: "raced".to_owned(),
    };
    let mut client = RequestServiceClient::new(channel);
    loop {
        match client.deny_request(wire.clone()).await.map(drop) {
            Err(status) if busy(&status).await => {}
            done => return done,
        }
    }
}

async fn withdraw(channel: Channel, id: &str) -> Result<(), Status> {
    let wire = v1::WithdrawRequestRequest {
        request_id: id.to_owned(),
        reason: "raced".to_owned(),
    };
    let mut client = RequestServiceClient::new(channel);
    loop {
        match client.withdraw_request(wire.clone()).await.map(drop) {
            Err(status) if busy(&status).await => {}
            done => return done,
        }
    }
}

/// Makes an SSH key for somebody; its public line.
fn ssh_key(service: &Service, name: &str) -> String {
    let key = service.path(&format!("people/ssh-{name}"));
    succeed(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(&key),
    );
    let public = std::fs::read_to_string(service.path(&format!("people/ssh-{name}.pub"))).unwrap();
    public.trim().to_owned()
}

/// Changes a file of the authority by replacing text that must be there.
fn edit(service: &Service, file: &str, from: &str, to: &str) {
    let path = service.path("authority").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Builds bundle `number` from the authority's files, has olga sign it, and applies it.
fn adopt(service: &Service, number: u64) {
    let file = |number: u64, suffix: &str| -> PathBuf { service.path(&format!("bundle-{number}.{suffix}")) };
    let before = match number {
        1 => service.first_bundle(),
        n => Digest::of(&std::fs::read(file(n - 1, "json")).unwrap()),
    };
    let (number_text, before) = (number.to_string(), before.to_string());
    let stele = || Command::new(binary_path("stele"));
    succeed(
        stele()
            .args(["authority", "build"])
            .arg(service.path("authority"))
            .args([
                "--number",
                &number_text,
                "--predecessor",
                &before,
                "--origin",
                CEREMONY_ORIGIN,
            ])
            .arg("--out")
            .arg(file(number, "json"))
            .arg("--text-out")
            .arg(file(number, "txt")),
    );
    succeed(
        stele()
            .args(["authority", "sign"])
            .arg(file(number, "json"))
            .arg("--text")
            .arg(file(number, "txt"))
            .arg("--ssh-key")
            .arg(service.path("people/ssh-olga"))
            .arg("--out")
            .arg(file(number, "signed")),
    );
    succeed(service.stele_as("operator").arg("apply").arg(file(number, "signed")));
}

const QUORUM: &str = "approval = { m = 1, role = \"approver\", expires = \"72h\" }";

/// How many intents a request has.
fn intents(found: &[Record], id: &str) -> usize {
    let of = |r: &&Record| matches!(&r.body, Body::Intent(i) if i.request.id.as_str() == id);
    found.iter().filter(of).count()
}

#[test]
fn each_person_counts_once_and_only_while_they_are_operators() {
    let service = Service::started();
    let (omar, spare) = (ssh_key(&service, "omar"), ssh_key(&service, "spare"));
    let authority = service.path("authority/authority.toml");
    let text_of = std::fs::read_to_string(&authority).unwrap();
    std::fs::write(&authority, text_of + &MORE.replace("@omar", &omar)).unwrap();
    edit(
        &service,
        "authority.toml",
        "name = \"olga\"\nkeys = [",
        &format!("name = \"olga\"\nkeys = [\"{spare}\", "),
    );
    edit(
        &service,
        "profiles/cluster-intermediate.toml",
        QUORUM,
        &QUORUM.replace("m = 1", "m = 2"),
    );
    adopt(&service, 1);
    let runtime = runtime();
    let (caller, people) = runtime.block_on(async { (service.channel("caller"), service.channel("operator")) });
    let (first, second) = (intermediate("count-1"), intermediate("count-2"));
    runtime.block_on(async {
        propose(&caller, &first).await;
        propose(&caller, &second).await;
    });
    let refused = |signed: v1::SignedText| {
        let status = runtime
            .block_on(approve(people.clone(), signed))
            .expect_err("a refusal");
        (status.code(), reason(&status))
    };
    let invalid = (Code::InvalidArgument, Some(Reason::SignedTextInvalid));

    let words = text(&service, "approve", "count-1");
    assert_eq!(
        refused(signed(&service, "otto", "stele-plan", &words)),
        invalid,
        "another namespace"
    );
    let digest = words.lines().find(|l| l.starts_with("tbs-sha256: ")).unwrap();
    let altered = words.replace(digest, &format!("tbs-sha256: {}", "0".repeat(64)));
    assert_ne!(
        refused(signed(&service, "otto", "stele-approval", &altered)).0,
        Code::Ok,
        "another TBS"
    );
    let mut wrong_key = signed(&service, "otto", "stele-approval", &words);
    wrong_key.signature = signed(&service, "otto", "stele-approval", &altered).signature;
    assert_eq!(refused(wrong_key), invalid, "another text's signature");
    let stranger = ssh_key(&service, "stranger");
    assert!(!stranger.is_empty());
    assert_ne!(
        refused(signed(&service, "stranger", "stele-approval", &words)).0,
        Code::Ok,
        "nobody's key"
    );

    runtime.block_on(async {
        approve(people.clone(), decision(&service, "approve", "count-1", "olga"))
            .await
            .unwrap();
        // The same person again, with the same key and with another of hers: still one person.
        for key in ["olga", "spare"] {
            let _ = approve(people.clone(), decision(&service, "approve", "count-1", key)).await;
            propose(&caller, &first).await;
        }
        approve(people.clone(), decision(&service, "approve", "count-2", "otto"))
            .await
            .unwrap();
        assert_eq!(intents(&records(&service).await, "count-1"), 0);
    });

    // Otto leaves: his approval no longer counts, Olga's does.
    let text_of = std::fs::read_to_string(&authority).unwrap();
    let at = text_of.find("[[operator]]\nname = \"otto\"").unwrap();
    let end = at + 1 + text_of[at + 1..].find("\n[[").unwrap();
    std::fs::write(&authority, format!("{}{}", &text_of[..at], &text_of[end..])).unwrap();
    adopt(&service, 2);
    runtime.block_on(async {
        assert!(
            approve(people.clone(), signed(&service, "otto", "stele-approval", &words))
                .await
                .is_err()
        );
        approve(people.clone(), decision(&service, "approve", "count-2", "olga"))
            .await
            .unwrap();
        propose(&caller, &second).await;
        for (id, request) in [("count-1", &first), ("count-2", &second)] {
            approve(people.clone(), decision(&service, "approve", id, "omar"))
                .await
                .unwrap();
            assert!(
                matches!(sign(&caller, request.clone()).await, Ok(SignAnswer::Issued(_))),
                "{id}"
            );
        }
        let found = records(&service).await;
        assert_eq!((intents(&found, "count-1"), intents(&found, "count-2")), (1, 1));
    });
    service.verify_ledger();
}

/// What ended a request before it was signed.
fn ended_before(found: &[Record], proposal: u64, index: u64) -> bool {
    found.iter().filter(|r| r.index < index).any(|r| match &r.body {
        Body::Decision(d) => d.proposal == proposal && !d.approve,
        Body::Withdrawal(w) => w.proposal == proposal,
        _ => false,
    })
}

#[test]
fn approving_denying_and_withdrawing_at_the_same_moment_has_one_outcome() {
    let service = Service::started();
    let runtime = runtime();
    let (caller, people) = runtime.block_on(async { (service.channel("caller"), service.channel("operator")) });
    let (mut issued, mut ended) = (0, 0);
    for round in 0..8_u64 {
        let request = intermediate(&format!("race-{round}"));
        let id = request.request_id.clone();
        let proposal = runtime.block_on(propose(&caller, &request)).proposal.index;
        let (yes, no) = (
            decision(&service, "approve", &id, "olga"),
            decision(&service, "deny", &id, "otto"),
        );
        let again = decision(&service, "approve", &id, "otto");
        let (answer, found) = runtime.block_on(async {
            let after = |n: u64| Duration::from_millis((round * n) % 7);
            let act = async |n: u64| tokio::time::sleep(after(n)).await;
            let approving = async {
                act(1).await;
                approve(people.clone(), yes).await
            };
            let approving_too = async {
                act(2).await;
                approve(people.clone(), again).await
            };
            let denying = async {
                act(3).await;
                deny(people.clone(), no).await
            };
            let withdrawing = async {
                act(5).await;
                withdraw(caller.clone(), &id).await
            };
            let asking = async {
                act(4).await;
                sign(&caller, request.clone()).await.map(drop)
            };
            let _ = tokio::join!(approving, approving_too, denying, withdrawing, asking);
            (sign_when_free(&caller, &request).await, records(&service).await)
        });
        let intent = found
            .iter()
            .find(|r| matches!(&r.body, Body::Intent(i) if i.request.id.as_str() == id));
        match (&answer, intent) {
            (Ok(SignAnswer::Issued(_)), Some(intent)) => {
                issued += 1;
                assert_eq!(intents(&found, &id), 1);
                assert!(
                    !ended_before(&found, proposal, intent.index),
                    "{id}: signed after it had ended"
                );
            }
            (Err(status), None) => {
                ended += 1;
                assert_eq!(reason(status), Some(Reason::RequestClosed), "{id}: {status:?}");
                assert!(ended_before(&found, proposal, u64::MAX), "{id}: nobody ended it");
            }
            other => panic!("{id}: {other:?}"),
        }
    }
    println!("{issued} issued, {ended} ended");
    service.verify_ledger();
}

#[test]
fn two_operators_at_the_same_moment_make_one_certificate() {
    let service = Service::started();
    edit(
        &service,
        "profiles/cluster-intermediate.toml",
        QUORUM,
        &QUORUM.replace("m = 1", "m = 2"),
    );
    adopt(&service, 1);
    let runtime = runtime();
    let (caller, people) = runtime.block_on(async { (service.channel("caller"), service.channel("operator")) });
    for round in 0..3 {
        let request = intermediate(&format!("both-{round}"));
        let id = request.request_id.clone();
        runtime.block_on(propose(&caller, &request));
        let (a, b) = (
            decision(&service, "approve", &id, "olga"),
            decision(&service, "approve", &id, "otto"),
        );
        runtime.block_on(async {
            let (one, other) = tokio::join!(approve(people.clone(), a), approve(people.clone(), b));
            one.unwrap();
            other.unwrap();
            assert!(matches!(
                sign(&caller, request.clone()).await,
                Ok(SignAnswer::Issued(_))
            ));
            assert_eq!(intents(&records(&service).await, &id), 1);
        });
    }
    service.verify_ledger();
}

#[test]
fn what_has_lapsed_is_never_signed() {
    const LIFE: Duration = Duration::from_secs(12);
    let service = Service::started();
    let short = QUORUM.replace("72h", &format!("{}s", LIFE.as_secs()));
    edit(&service, "profiles/cluster-intermediate.toml", QUORUM, &short);
    adopt(&service, 1);
    let runtime = runtime();
    let (caller, people) = runtime.block_on(async { (service.channel("caller"), service.channel("operator")) });
    // Around the moment at which they lapse, and one well after it.
    let requests: Vec<_> = (0..4).map(|n| intermediate(&format!("late-{n}"))).collect();
    let proposed: Vec<_> = requests.iter().map(|r| runtime.block_on(propose(&caller, r))).collect();
    let texts: Vec<_> = requests
        .iter()
        .map(|r| decision(&service, "approve", &r.request_id, "olga"))
        .collect();
    let now = || Time::from_millis(u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap());
    runtime.block_on(async {
        let late = [-40_i64, 0, 40, 2000];
        let each = proposed.iter().zip(texts).zip(late).map(|((pending, text), late)| {
            let (expires, people) = (pending.expires, people.clone());
            tokio::spawn(async move {
                let at = expires.millis().saturating_add_signed(late);
                tokio::time::sleep(Duration::from_millis(at.saturating_sub(now().millis()))).await;
                approve(people, text).await
            })
        });
        let mut outcomes = Vec::new();
        for one in each.collect::<Vec<_>>() {
            outcomes.push(one.await.unwrap());
        }
        assert!(outcomes[3].is_err(), "two seconds late");
        let found = records(&service).await;
        for (request, pending) in requests.iter().zip(&proposed) {
            let id = request.request_id.as_str();
            let intent = found
                .iter()
                .find(|r| matches!(&r.body, Body::Intent(i) if i.request.id.as_str() == id));
            match (sign(&caller, request.clone()).await.unwrap(), intent) {
                (SignAnswer::Issued(_), Some(intent)) => assert!(intent.time < pending.expires, "{id}"),
                // A new attempt: the old one is void, and needs new approvals.
                (SignAnswer::Pending(again), None) => assert_eq!(again.attempt, pending.attempt + 1, "{id}"),
                other => panic!("{id}: {other:?}"),
            }
        }
    });
    service.verify_ledger();
}
