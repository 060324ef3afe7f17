//! A hostile signer process against the real keeper and a real token: whatever it asks for, it gets no signature that
//! operators or the bundle did not allow, and the log says nothing untrue.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use stele_core::authority::Bundle;
use stele_core::authority::texts::{ApprovalText, Decision};
use stele_core::crl::{CrlSpec, Reason, Revocation as Listed};
use stele_core::keeping::{Keeper as _, KeeperFault, SignFault};
use stele_core::names::{San, Usage};
use stele_core::record::*;
use stele_core::request::{Context, KeyProof, SignRequest, Wanted};
use stele_core::tbs::{CaConstraints, CertificateSpec, NameConstraints, assemble, parse_certificate};
use stele_core::types::*;
use stele_hsm_tests::authority::{self, CALLER, OPERATORS_CALLER};
use stele_hsm_tests::hierarchy::{Root, common_name, now, serial};
use stele_hsm_tests::keeper::{KeeperFiles, Keys, Running};
use stele_hsm_tests::operator::Operator;
use stele_hsm_tests::scratch::Scratch;
use stele_keeper_client::frame;
use stele_keeper_client::protocol::{Answer, Ask, Empty, Hello, Intend, PROTOCOL, Reply, Request, Welcome};

const KEYS: Keys<'_> = &[
    ("cluster-ca", "ec-p384"),
    ("issuing-ca", "ec-p256"),
    ("access-ca", "ec-p256"),
];
const DEADLINE: Duration = Duration::from_secs(10);

/// A running keeper with everything that it may honestly have.
struct World {
    scratch: Scratch,
    files: KeeperFiles,
    keeper: Running,
    alice: Operator,
    bob: Operator,
    bundle: Bundle,
    cas: BTreeMap<String, CaCertificate>,
}

fn key(name: &str) -> KeyName {
    name.parse().unwrap()
}

impl World {
    fn new() -> Self {
        let scratch = Scratch::new();
        let files = KeeperFiles::init(&scratch, "signer", "stele.example/hostile", KEYS);
        let root = Root::new();
        let (alice, bob) = (Operator::new(&scratch, "alice"), Operator::new(&scratch, "bob"));
        let bundle = authority::bundle(0, None, authority::files(&[&alice, &bob], &files, &root));
        files.pin_first_bundle(bundle.digest());
        let keeper = files.start(&scratch);
        let ceremony: Origin = "stele.example/ceremony".parse().unwrap();
        keeper
            .client
            .append(&Body::BundleAdopted(authority::adopted(
                &bundle,
                &ceremony,
                &[&alice, &bob],
            )))
            .unwrap();
        let mut cas = BTreeMap::new();
        for requested in &files.request.keys {
            let ca = root.issue(requested, u8::from(requested.key.as_str() == "cluster-ca"));
            keeper.client.append(&Body::CaCertificate(ca.clone())).unwrap();
            cas.insert(requested.key.to_string(), ca);
        }
        Self {
            scratch,
            files,
            keeper,
            alice,
            bob,
            bundle,
            cas,
        }
    }

    fn profile(&self, name: &str) -> ProfileRef {
        let name: ProfileName = name.parse().unwrap();
        let sha256 = self.bundle.authority().profile(&name).unwrap().digest();
        ProfileRef { name, sha256 }
    }

    fn leaf(&self) -> CertificateSpec {
        let ca = self.cas.get("issuing-ca").unwrap();
        let (view, ..) = parse_certificate(&ca.certificate.0).unwrap();
        let subject = Root::new().public;
        CertificateSpec {
            serial: serial(),
            signature: SignatureAlgorithm::EcdsaSha256,
            issuer_der: view.subject_der,
            not_before: now().minus_secs(60),
            not_after: now().plus_secs(3600),
            subject: common_name(""),
            spki_der: subject.spki_der().to_vec(),
            subject_key_identifier: subject.subject_key_identifier(),
            authority_key_identifier: view.subject_key_identifier.unwrap(),
            sans: vec![San::Dns("web.default.svc.cluster.local".into())],
            usages: vec![Usage::DigitalSignature, Usage::ServerAuth],
            ca: None,
            crl_urls: vec![],
            ca_issuers_urls: vec![],
            ocsp_urls: vec![],
            policies: vec![],
            no_rev_avail: false,
        }
        .without_subject()
    }

    fn intermediate(&self) -> CertificateSpec {
        let ca = self.cas.get("cluster-ca").unwrap();
        let (view, ..) = parse_certificate(&ca.certificate.0).unwrap();
        CertificateSpec {
            signature: SignatureAlgorithm::EcdsaSha384,
            issuer_der: view.subject_der,
            authority_key_identifier: view.subject_key_identifier.unwrap(),
            subject: common_name("In-cluster CA"),
            not_after: now().plus_secs(30 * 86_400),
            sans: vec![],
            usages: vec![Usage::CertSign, Usage::CrlSign],
            ca: Some(CaConstraints {
                path_length: Some(0),
                name_constraints: NameConstraints::default(),
            }),
            ..self.leaf()
        }
    }

    fn intent(&self, spec: &CertificateSpec, authority: Authority) -> Intent {
        let tbs = spec.to_tbs_der().unwrap();
        let is_ca = spec.ca.is_some();
        let asked = SignRequest {
            id: "r-1".parse().unwrap(),
            profile: if is_ca { "in-cluster-ca" } else { "workload" }.parse().unwrap(),
            issuer: None,
            proof: KeyProof::Pkcs10(vec![]),
            wanted: Wanted::default(),
            context: Context::default(),
        };
        let name = if is_ca { "cluster-ca" } else { "issuing-ca" };
        Intent {
            purpose: if is_ca { Purpose::Intermediate } else { Purpose::Leaf },
            request: RequestRef {
                caller: CALLER.parse().unwrap(),
                id: "r-1".parse().unwrap(),
                attempt: 1,
                digest: asked.digest(),
            },
            profile: Some(self.profile(if is_ca { "in-cluster-ca" } else { "workload" })),
            bundle: Some(self.bundle.digest()),
            key: key(name),
            spki_sha256: self.cas.get(name).unwrap().spki_sha256,
            algorithm: spec.signature,
            tbs_sha256: Digest::of(&tbs),
            tbs: Payload::Inline(B64(tbs)),
            serial: Some(spec.serial.clone()),
            not_after: Some(Time::from_secs(spec.not_after.secs())),
            asked: Some(asked),
            proposal: None,
            previous: None,
            authority,
        }
    }

    fn honest_leaf(&self) -> Intent {
        self.intent(&self.leaf(), Authority::Policy)
    }

    fn append(&self, intent: Intent) -> Result<u64, KeeperFault> {
        self.keeper
            .client
            .append(&Body::Intent(Box::new(intent)))
            .map(|a| a.index)
    }

    fn sign(&self, index: u64) -> Result<Vec<u8>, SignFault> {
        self.keeper.client.sign(index, DEADLINE)
    }

    /// Appends and signs honestly, and returns the outcome to commit.
    fn signed(&self, intent: Intent) -> (u64, Issued) {
        let index = self.append(intent.clone()).unwrap();
        let signature = self.sign(index).unwrap();
        let Payload::Inline(tbs) = &intent.tbs else {
            unreachable!("small")
        };
        let whole = assemble(&tbs.0, intent.algorithm, &signature).unwrap();
        let issued = Issued {
            intent: index,
            request: intent.request,
            purpose: intent.purpose,
            key: intent.key,
            serial: intent.serial,
            sha256: Digest::of(&whole),
            signed: Payload::Inline(B64(whole)),
        };
        (index, issued)
    }

    fn issue(&self, intent: Intent) -> u64 {
        let (_, issued) = self.signed(intent);
        self.keeper
            .client
            .commit(&Body::Issued(Box::new(issued)))
            .unwrap()
            .index
    }

    fn approval(&self, intent: &Intent) -> ApprovalText {
        ApprovalText {
            origin: "stele.example/hostile".parse().unwrap(),
            request: intent.request.id.clone(),
            attempt: intent.request.attempt,
            requester: intent.request.caller.clone(),
            tbs_sha256: intent.tbs_sha256,
            profile_sha256: intent.profile.as_ref().unwrap().sha256,
            decision: Decision::Approve,
            expires: now().plus_secs(600),
        }
    }

    fn crl(&self, name: &str, number: u64, revoked: BTreeMap<Serial, Listed>) -> Intent {
        let (view, ..) = parse_certificate(&self.cas.get(name).unwrap().certificate.0).unwrap();
        let spec = CrlSpec {
            signature: SignatureAlgorithm::EcdsaSha256,
            issuer_der: view.subject_der,
            issuer_key_identifier: view.subject_key_identifier.unwrap(),
            number,
            this_update: now().minus_secs(1),
            next_update: now().plus_secs(3600),
            revoked,
        };
        let tbs = spec.to_tbs_der().unwrap();
        Intent {
            purpose: Purpose::Crl,
            profile: None,
            tbs_sha256: Digest::of(&tbs),
            tbs: Payload::Inline(B64(tbs)),
            serial: None,
            not_after: None,
            ..self.honest_leaf()
        }
    }

    fn records(&self) -> Vec<Record> {
        let size = self.keeper.client.status().unwrap().size;
        let mut records = Vec::new();
        while (records.len() as u64) < size {
            let page = self.keeper.client.entries(records.len() as u64, 256).unwrap();
            records.extend(page.iter().map(|e| Record::decode(e).unwrap()));
        }
        records
    }
}

trait WithoutSubject {
    fn without_subject(self) -> Self;
}

impl WithoutSubject for CertificateSpec {
    fn without_subject(mut self) -> Self {
        self.subject = Default::default();
        self
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, KeeperFault>, because: &str) {
    match result {
        Err(KeeperFault::Refused(why) | KeeperFault::QuorumNotMet(why)) => {
            assert!(why.contains(because), "refused, but not because of `{because}`: {why}")
        }
        other => panic!("not refused (`{because}`): {other:?}"),
    }
}

fn not_signed(result: Result<Vec<u8>, SignFault>, because: &str) {
    match result {
        Err(SignFault::NotSigned(KeeperFault::Refused(why))) => {
            assert!(why.contains(because), "refused, but not because of `{because}`: {why}")
        }
        other => panic!("not refused (`{because}`): {other:?}"),
    }
}

#[test]
fn honest_work_passes_and_each_intent_signs_once() {
    let w = World::new();
    let (index, issued) = w.signed(w.honest_leaf());
    not_signed(w.sign(index), "already used");
    let mut altered = issued.clone();
    let Payload::Inline(B64(bytes)) = &mut altered.signed else {
        unreachable!("small")
    };
    *bytes.last_mut().unwrap() ^= 1;
    altered.sha256 = Digest::of(bytes);
    refused(
        w.keeper.client.commit(&Body::Issued(Box::new(altered))),
        "signature that the key gave",
    );
    refused(
        w.keeper.client.commit(&Body::Failed(Failed {
            intent: index,
            reason: "no".into(),
        })),
        "the key was called",
    );
    let mut other_request = issued.clone();
    other_request.request.id = "r-2".parse().unwrap();
    refused(
        w.keeper.client.commit(&Body::Issued(Box::new(other_request))),
        "must be those of the intent",
    );
    w.keeper.client.commit(&Body::Issued(Box::new(issued.clone()))).unwrap();
    refused(
        w.keeper.client.commit(&Body::Issued(Box::new(issued))),
        "no open intent",
    );
    not_signed(w.sign(index), "no open intent");
}

#[test]
fn nothing_unrecorded_is_signed() {
    let w = World::new();
    not_signed(w.sign(0), "no open intent");
    not_signed(w.sign(10_000), "no open intent");
    let abandoned = w.append(w.honest_leaf()).unwrap();
    w.keeper.client.give_up(abandoned, "lost").unwrap();
    not_signed(w.sign(abandoned), "no open intent");
    let mut wrong = w.honest_leaf();
    wrong.tbs_sha256 = Digest::of(b"other");
    refused(w.append(wrong), "tbs_sha256");
    let mut wrong = w.honest_leaf();
    wrong.serial = Some(serial());
    refused(w.append(wrong), "serial");
    let mut wrong = w.honest_leaf();
    wrong.not_after = Some(now());
    refused(w.append(wrong), "not_after");
    let leaf = w.leaf();
    w.append(w.intent(&leaf, Authority::Policy)).unwrap();
    refused(w.append(w.intent(&leaf, Authority::Policy)), "used before");
}

#[test]
fn the_ceiling_holds_whatever_the_signer_asks() {
    let w = World::new();
    let mut long = w.leaf();
    long.not_after = now().plus_secs(3 * 86_400);
    refused(w.append(w.intent(&long, Authority::Policy)), "validity");
    let mut elsewhere = w.leaf();
    elsewhere.sans = vec![San::Dns("bank.example.com".into())];
    refused(w.append(w.intent(&elsewhere, Authority::Policy)), "bank.example.com");
    let mut uri = w.leaf();
    uri.sans = vec![San::Uri("spiffe://cluster.local/ns/a/sa/b".into())];
    refused(w.append(w.intent(&uri, Authority::Policy)), "spiffe://");
    let mut usage = w.leaf();
    usage.usages.push(Usage::CodeSigning);
    refused(w.append(w.intent(&usage, Authority::Policy)), "extKeyUsage");
    let mut ca = w.leaf();
    ca.ca = Some(CaConstraints {
        path_length: None,
        name_constraints: NameConstraints::default(),
    });
    ca.usages = vec![Usage::CertSign];
    ca.subject = common_name("A CA");
    let mut intent = w.intent(&ca, Authority::Policy);
    (intent.key, intent.spki_sha256, intent.profile) = (
        key("issuing-ca"),
        w.cas.get("issuing-ca").unwrap().spki_sha256,
        Some(w.profile("workload")),
    );
    refused(w.append(intent.clone()), "");
    intent.purpose = Purpose::Leaf;
    refused(w.append(intent), "CA bit");
    let mut stranger = w.honest_leaf();
    stranger.request.caller = "uri:spiffe://stele/caller/stranger".parse().unwrap();
    refused(w.append(stranger), "no caller of the bundle");
    let mut local = w.honest_leaf();
    local.request.caller = "unix:mallory".parse().unwrap();
    refused(w.append(local), "enrolment");
    let mut old = w.honest_leaf();
    old.profile.as_mut().unwrap().sha256 = Digest::of(b"a laxer profile");
    refused(w.append(old), "profile.sha256");
    let mut other = w.honest_leaf();
    other.bundle = Some(Digest::of(b"another bundle"));
    refused(w.append(other), "newest authority bundle");
    let mut wrong_issuer = w.leaf();
    wrong_issuer.issuer_der = common_name("Another CA").to_der().unwrap();
    refused(w.append(w.intent(&wrong_issuer, Authority::Policy)), "issuer");
}

#[test]
fn a_ca_certificate_needs_the_operators_at_the_key() {
    let w = World::new();
    let intent = w.intent(&w.intermediate(), Authority::Policy);
    let with = |texts: Vec<SignedText>| Intent {
        authority: Authority::Approvals(texts),
        ..intent.clone()
    };
    let text = w.approval(&intent);
    refused(w.append(intent.clone()), "demands 2 operators");
    refused(w.append(with(vec![])), "no signed text");
    refused(w.append(with(vec![w.alice.sign(&text)])), "1 of 2");
    refused(w.append(with(vec![w.alice.sign(&text), w.alice.sign(&text)])), "1 of 2");
    let mallory = Operator::new(&w.scratch, "mallory");
    refused(w.append(with(vec![w.alice.sign(&text), mallory.sign(&text)])), "1 of 2");
    let both = |text: &ApprovalText| vec![w.alice.sign(text), w.bob.sign(text)];
    let wrong_namespace = w.alice.sign_in("stele-plan", &text.to_string());
    refused(w.append(with(vec![wrong_namespace, w.bob.sign(&text)])), "namespace");
    let mut forged = w.alice.sign(&text);
    forged.signature = w.bob.sign(&text).signature.replace('A', "B");
    refused(w.append(with(vec![forged, w.bob.sign(&text)])), "");
    let expired = ApprovalText {
        expires: now().minus_secs(1),
        ..text.clone()
    };
    refused(w.append(with(both(&expired))), "expires");
    let denied = ApprovalText {
        decision: Decision::Deny,
        ..text.clone()
    };
    refused(w.append(with(vec![w.alice.sign(&text), w.bob.sign(&denied)])), "denies");
    for borrowed in [
        ApprovalText {
            request: "r-2".parse().unwrap(),
            ..text.clone()
        },
        ApprovalText {
            attempt: 2,
            ..text.clone()
        },
        ApprovalText {
            requester: OPERATORS_CALLER.parse().unwrap(),
            ..text.clone()
        },
        ApprovalText {
            tbs_sha256: Digest::of(b"another"),
            ..text.clone()
        },
        ApprovalText {
            profile_sha256: Digest::of(b"another"),
            ..text.clone()
        },
    ] {
        refused(w.append(with(both(&borrowed))), "another request");
    }
    let elsewhere = ApprovalText {
        origin: "stele.example/other".parse().unwrap(),
        ..text.clone()
    };
    refused(w.append(with(both(&elsewhere))), "origin");
    let mut own = with(vec![]);
    own.request.caller = OPERATORS_CALLER.parse().unwrap();
    own.authority = Authority::Approvals(both(&w.approval(&own)));
    refused(w.append(own), "1 of 2");
    let texts = both(&text);
    w.issue(with(texts.clone()));
    let again = Intent {
        authority: Authority::Approvals(texts),
        ..w.intent(&w.intermediate(), Authority::Policy)
    };
    refused(w.append(again), "another request");
    refused(w.append(with(both(&text))), "used before");
}

#[test]
fn plans_and_bootstrap_have_no_power_here() {
    let w = World::new();
    let mut csr = w.honest_leaf();
    csr.authority = Authority::Bootstrap;
    refused(w.append(csr), "bootstrap");
    let mut step = w.honest_leaf();
    step.authority = Authority::Plan { plan: 0, step: 1 };
    refused(w.append(step), "ceremony's log");
    let plan = Plan {
        sha256: Digest::of(b"x"),
        plan: Payload::Inline(B64(b"x".to_vec())),
        texts: vec![],
    };
    refused(w.keeper.client.append(&Body::Plan(plan)), "ceremony's log");
}

#[test]
fn bundles_need_the_quorum_of_the_one_before() {
    let w = World::new();
    let ceremony: Origin = "stele.example/ceremony".parse().unwrap();
    let mallory = Operator::new(&w.scratch, "mallory");
    let next = |predecessor, number| authority::bundle(number, Some(predecessor), w.bundle.files().clone());
    let offer = |bundle: &Bundle, signers: &[&Operator]| {
        w.keeper
            .client
            .append(&Body::BundleAdopted(authority::adopted(bundle, &ceremony, signers)))
    };
    let good = next(w.bundle.digest(), 1);
    refused(offer(&good, &[]), "no signed text");
    refused(offer(&good, &[&w.alice]), "1 of 2");
    refused(offer(&good, &[&w.alice, &mallory]), "1 of 2");
    refused(
        offer(&next(Digest::of(b"another"), 1), &[&w.alice, &w.bob]),
        "predecessor",
    );
    refused(offer(&next(w.bundle.digest(), 2), &[&w.alice, &w.bob]), "number");
    refused(
        offer(
            &authority::bundle(0, None, w.bundle.files().clone()),
            &[&w.alice, &w.bob],
        ),
        "",
    );
    let before = w.append(w.honest_leaf()).unwrap();
    offer(&good, &[&w.alice, &w.bob]).unwrap();
    not_signed(w.sign(before), "newest authority bundle");
}

#[test]
fn a_first_bundle_of_the_signers_own_making_is_refused() {
    let scratch = Scratch::new();
    let files = KeeperFiles::init(&scratch, "signer", "stele.example/first", KEYS);
    let (root, mallory, eve) = (
        Root::new(),
        Operator::new(&scratch, "mallory"),
        Operator::new(&scratch, "eve"),
    );
    let bundle = authority::bundle(0, None, authority::files(&[&mallory, &eve], &files, &root));
    let origin: Origin = "stele.example/ceremony".parse().unwrap();
    let body = Body::BundleAdopted(authority::adopted(&bundle, &origin, &[&mallory, &eve]));
    let keeper = files.start(&scratch);
    refused(keeper.client.append(&body), "first_bundle");
    keeper.kill();
    files.pin_first_bundle(Digest::of(b"the ceremony's"));
    refused(files.start(&scratch).client.append(&body), "first_bundle");
}

#[test]
fn crls_leave_nothing_out() {
    let w = World::new();
    let leaf = w.honest_leaf();
    let (revoked, not_after) = (leaf.serial.clone().unwrap(), leaf.not_after.unwrap());
    w.issue(leaf);
    let lost = w.honest_leaf();
    let unknown = lost.serial.clone().unwrap();
    let index = w.append(lost).unwrap();
    w.keeper.client.give_up(index, "lost").unwrap();
    let revocation = Revocation {
        key: key("issuing-ca"),
        serial: revoked.clone(),
        not_after,
        reason: Reason::KeyCompromise,
        by: CALLER.parse().unwrap(),
        texts: vec![],
        comment: None,
    };
    w.keeper.client.append(&Body::Revocation(revocation.clone())).unwrap();
    refused(w.keeper.client.append(&Body::Revocation(revocation.clone())), "already");
    let never = Revocation {
        serial: serial(),
        ..revocation
    };
    refused(w.keeper.client.append(&Body::Revocation(never)), "issued no");

    let state = w.keeper.client.crl_state(&key("issuing-ca")).unwrap();
    let listed = |leave_out: Option<&Serial>| -> BTreeMap<Serial, Listed> {
        let reason = |code| {
            if code == 1 {
                Reason::KeyCompromise
            } else {
                Reason::Unspecified
            }
        };
        let all = state.entries.iter().filter(|e| Some(&e.serial) != leave_out);
        all.map(|e| {
            (
                e.serial.clone(),
                Listed {
                    date: e.time,
                    reason: reason(e.reason),
                },
            )
        })
        .collect()
    };
    assert_eq!(listed(None).len(), 2);
    refused(w.append(w.crl("issuing-ca", 1, listed(Some(&revoked)))), "leaves out");
    refused(w.append(w.crl("issuing-ca", 1, listed(Some(&unknown)))), "leaves out");
    refused(w.append(w.crl("issuing-ca", 1, BTreeMap::new())), "leaves out");
    refused(w.append(w.crl("issuing-ca", 2, listed(None))), "next one is 1");
    let mut milder = listed(None);
    milder.get_mut(&revoked).unwrap().reason = Reason::Unspecified;
    refused(w.append(w.crl("issuing-ca", 1, milder)), "reason");
    w.issue(w.crl("issuing-ca", 1, listed(None)));
    refused(w.append(w.crl("issuing-ca", 1, listed(None))), "next one is 2");

    let late = w.append(w.crl("issuing-ca", 2, listed(None))).unwrap();
    let another = w.append(w.honest_leaf()).unwrap();
    w.keeper.client.give_up(another, "lost").unwrap();
    not_signed(w.sign(late), "leaves out");
}

#[test]
fn what_is_frozen_signs_crls_only() {
    let w = World::new();
    let before = w.append(w.honest_leaf()).unwrap();
    for target in [
        FreezeTarget::Caller(CALLER.parse().unwrap()),
        FreezeTarget::Profile("workload".parse().unwrap()),
        FreezeTarget::Issuer(key("issuing-ca")),
    ] {
        let freeze = Freeze {
            target: target.clone(),
            reason: "test".into(),
            by: CALLER.parse().unwrap(),
        };
        w.keeper.client.append(&Body::Freeze(freeze)).unwrap();
        refused(w.append(w.honest_leaf()), "frozen");
        let unfreeze = Unfreeze {
            target: target.clone(),
            texts: vec![],
        };
        refused(w.keeper.client.append(&Body::Unfreeze(unfreeze)), "no signed text");
    }
    not_signed(w.sign(before), "frozen");
    w.issue(w.crl("issuing-ca", 1, BTreeMap::new()));
}

#[test]
fn the_keepers_own_records_are_its_own() {
    let w = World::new();
    let records = w.records();
    for body in records.iter().map(|r| &r.body).filter(|b| b.keeper_only()) {
        refused(w.keeper.client.append(body), "keeper alone");
    }
    assert!(records.iter().any(|r| r.body.keeper_only()));
    let note = Body::AccessRefused(AccessRefused {
        caller: CALLER.parse().unwrap(),
        method: "m".into(),
        reason: "r".into(),
    });
    let at = w.keeper.client.append(&note).unwrap();
    assert!(
        at.time.millis().abs_diff(now().millis()) < 5_000,
        "the keeper stamps its own time"
    );
    let times: Vec<Time> = w.records().iter().map(|r| r.time).collect();
    assert!(times.is_sorted());
}

#[test]
fn garbage_gets_an_error_or_a_closed_connection_and_harms_nobody() {
    let w = World::new();
    let mut frames: Vec<Vec<u8>> = vec![
        vec![0xff; 64],
        vec![0, 0, 0, 3, 1, 2, 3],
        vec![0, 0, 0, 0],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    for length in [1usize, 7, 100, 5000] {
        let mut junk = vec![0u8; length];
        aws_lc_rs::rand::fill(&mut junk).unwrap();
        frames.push([&u32::try_from(length).unwrap().to_be_bytes()[..], &junk].concat());
    }
    for frame in frames {
        let mut stream = UnixStream::connect(w.keeper.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(&frame).unwrap();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    w.issue(w.honest_leaf());
}

/// A connection that says no more than it is told to.
fn raw(w: &World) -> (UnixStream, Welcome) {
    let mut stream = UnixStream::connect(w.keeper.socket()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    match ask(&mut stream, Ask::Hello(Hello { protocol: PROTOCOL })) {
        Answer::Welcome(name) => (stream, name),
        other => panic!("{other:?}"),
    }
}

fn ask(stream: &mut UnixStream, ask: Ask) -> Answer {
    frame::write(stream, &Request { ask: Some(ask) }).unwrap();
    let reply: Reply = frame::read(stream).unwrap().unwrap();
    reply.answer.unwrap()
}

/// Whoever lost an answer ends the connection from another one: then what was asked there stands in the log, settled,
/// and nothing more comes of it.
#[test]
fn an_ended_connection_leaves_nothing_under_way() {
    let w = World::new();
    let (mut other, other_name) = raw(&w);
    for _ in 0..20 {
        let (mut lost, name) = raw(&w);
        let body = Body::Intent(Box::new(w.honest_leaf())).encode().unwrap();
        let deadline_millis = 10_000;
        let intend = Ask::Intend(Intend { body, deadline_millis });
        frame::write(&mut lost, &Request { ask: Some(intend) }).unwrap();
        assert_eq!(ask(&mut other, Ask::End(name)), Answer::Done(Empty {}));
        let records = w.records();
        let [.., intent, fate] = records.as_slice() else {
            panic!("two records")
        };
        assert!(matches!(intent.body, Body::Intent(_)), "{intent:?}");
        assert!(
            matches!(&fate.body, Body::Unknown(u) if u.intent == intent.index),
            "{fate:?}"
        );
        not_signed(w.sign(intent.index), "no open intent");
    }
    let refused = ask(&mut other, Ask::End(other_name.clone()));
    assert!(matches!(refused, Answer::Refused(_)), "itself: {refused:?}");
    let earlier = Welcome {
        instance: "0123456789abcdef".to_owned(),
        ..other_name
    };
    assert_eq!(ask(&mut other, Ask::End(earlier)), Answer::Done(Empty {}));
    w.issue(w.honest_leaf());
}

/// In one exchange as in two: nothing is signed whose intent was refused, and what was signed is signed once.
#[test]
fn intent_and_signature_in_one_exchange_obey_the_same_rules() {
    let w = World::new();
    let intend = |intent: &Intent| {
        let body = Body::Intent(Box::new(intent.clone()));
        w.keeper.client.append_and_sign(&body, DEADLINE)
    };
    let honest = w.honest_leaf();
    let done = intend(&honest).unwrap();
    let signature = done.signature.unwrap();
    assert_eq!(w.keeper.client.entries(done.at.index, 1).unwrap(), [done.record]);
    let Payload::Inline(tbs) = &honest.tbs else {
        unreachable!("small")
    };
    let (ca, ..) = parse_certificate(&w.cas["issuing-ca"].certificate.0).unwrap();
    let ca_key = stele_core::keycheck::PublicKey::from_spki_der(&ca.spki_der).unwrap();
    ca_key.verify(honest.algorithm, &tbs.0, &signature).unwrap();
    not_signed(w.sign(done.at.index), "already used");
    let size = w.keeper.client.status().unwrap().size;
    refused(intend(&honest), "was used before");
    refused(intend(&w.intent(&w.intermediate(), Authority::Policy)), "");
    let started = Body::Started(Process {
        process: "keeper".into(),
        instance: String::new(),
        version: String::new(),
        detail: String::new(),
    });
    refused(w.keeper.client.append_and_sign(&started, DEADLINE), "is no intent");
    assert_eq!(w.keeper.client.status().unwrap().size, size);
}

#[test]
fn a_restart_settles_what_was_open_and_signs_none_of_it() {
    let w = World::new();
    let fresh = w.append(w.honest_leaf()).unwrap();
    let (signed, issued) = w.signed(w.honest_leaf());
    let World {
        scratch, files, keeper, ..
    } = w;
    keeper.kill();
    let keeper = files.start(&scratch);
    for index in [fresh, signed] {
        not_signed(keeper.client.sign(index, DEADLINE), "no open intent");
    }
    refused(keeper.client.commit(&Body::Issued(Box::new(issued))), "no open intent");
    let state = keeper.client.crl_state(&key("issuing-ca")).unwrap();
    assert_eq!(state.entries.len(), 2, "both serials count as issued");
}
