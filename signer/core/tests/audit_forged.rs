//! A forger with the log's own key: every record well formed, every hash and checkpoint right, and still found by rule.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod audit_support;

use audit_support::keys::{Key, certificate, serial, ssh_sign, ssh_sign_in, subject};
use audit_support::signer::{self, ALICE, MALLORY, Signer, approval, approved, issuing, leaf, leaf_of, proposal};
use audit_support::{DAY, NOW, assert_clean, assert_found, errors};
use stele_core::audit::Severity;
use stele_core::crl::{Reason, Revocation as Listed};
use stele_core::record::*;
use stele_core::types::{B64, Digest, Time};

/// Builds the log, changes it, and requires an error with these words at the place that the change names.
#[track_caller]
fn forged(words: &str, change: impl FnOnce(&mut Signer) -> u64) {
    let mut signer = signer::build();
    let at = change(&mut signer);
    assert_found(&signer.log.verify(), at, words);
}

/// Signs one more intent at the end of the log.
fn more(signer: &mut Signer, intent: Intent) -> u64 {
    signer.log.sign(intent, &issuing())
}

#[test]
fn time_does_not_go_back() {
    forged("time", |s| {
        s.log.records[9].time = Time::from_secs(NOW - 1);
        9
    });
}

#[test]
fn genesis_stands_first_and_alone() {
    forged("genesis", |s| {
        let again = s.log.records[0].body.clone();
        s.log.push(again)
    });
    forged("genesis", |s| {
        s.log.records[0].body = s.log.records[1].body.clone();
        0
    });
}

#[test]
fn a_key_has_one_name_and_its_own_digest() {
    forged("a second time", |s| {
        s.log.key("another", &issuing());
        s.log.records.len() as u64 - 1
    });
    forged("spki_sha256", |s| {
        s.log.key("new", &Key::p256(30));
        let at = s.log.records.len() - 1;
        let Body::KeyGenerated(key) = &mut s.log.records[at].body else {
            panic!()
        };
        key.spki_sha256 = Digest::of(b"other");
        at as u64
    });
    forged("authority", |s| {
        s.log.key("late", &Key::p256(30));
        s.log.records.len() as u64 - 1
    });
}

#[test]
fn an_intent_is_what_its_tbs_is() {
    forged("tbs_sha256", |s| {
        s.log.intent(s.leaves[0], |i| i.tbs_sha256 = Digest::of(b"other"));
        s.leaves[0]
    });
    forged("serial and not_after", |s| {
        s.log.intent(s.leaves[2], |i| i.not_after = Some(Time::from_secs(NOW)));
        s.leaves[2]
    });
    forged("spki_sha256", |s| {
        s.log.intent(s.leaves[0], |i| i.spki_sha256 = Digest::of(b"other"));
        s.leaves[0]
    });
    forged("algorithm", |s| {
        s.log.intent(s.leaves[0], |i| {
            i.algorithm = stele_core::types::SignatureAlgorithm::EcdsaSha384
        });
        s.leaves[0]
    });
    // A CA's TBS passed off as a leaf's: what P9 forbids.
    forged("purpose", |s| {
        let spec = certificate(31, "sub", &Key::p256(31), ("Issuing", &issuing()), Some(None));
        let intent = leaf_of(&s.bundle, &spec);
        more(s, intent)
    });
    // A certificate's TBS as a CSR's.
    forged("CertificationRequestInfo", |s| {
        s.log.intent(s.leaves[0], |i| i.purpose = Purpose::Csr);
        s.leaves[0]
    });
    forged("another key than the TBS", |s| {
        let mut intent = leaf(&s.bundle, 31);
        let asked = signer::asked("another", "workload", &issuing());
        intent.request.digest = asked.digest();
        intent.asked = Some(asked);
        more(s, intent)
    });
    forged("its digest is", |s| {
        let mut intent = leaf(&s.bundle, 31);
        intent.asked = Some(signer::asked("another", "workload", &Key::p256(31)));
        more(s, intent)
    });
}

#[test]
fn the_issuer_is_the_one_that_the_log_records() {
    forged("issuer", |s| {
        let spec = certificate(31, "node", &Key::p256(31), ("Issuing Two", &issuing()), None);
        let intent = leaf_of(&s.bundle, &spec);
        more(s, intent)
    });
    forged("issuer", |s| {
        let mut spec = certificate(31, "node", &Key::p256(31), ("Issuing", &issuing()), None);
        spec.authority_key_identifier = vec![1; 20];
        let intent = leaf_of(&s.bundle, &spec);
        more(s, intent)
    });
    forged("issuer's limits", |s| {
        let mut spec = certificate(31, "node", &Key::p256(31), ("Issuing", &issuing()), None);
        spec.not_after = Time::from_secs(NOW + 2000 * DAY);
        let intent = leaf_of(&s.bundle, &spec);
        more(s, intent)
    });
}

#[test]
fn a_serial_serves_once() {
    forged("a second time", |s| {
        let mut intent = leaf(&s.bundle, 13);
        intent.request = signer::request("another");
        more(s, intent)
    });
}

#[test]
fn an_attempt_is_signed_once() {
    forged("attempt 1", |s| {
        let mut intent = leaf(&s.bundle, 31);
        intent.request = signer::request(&format!("leaf-{}", serial(13)));
        more(s, intent)
    });
    forged("previous", |s| {
        let mut intent = leaf(&s.bundle, 31);
        intent.previous = Some(s.leaves[0]);
        more(s, intent)
    });
    // The attempt after an unknown one is linked to it, and clean.
    let mut signer = signer::build();
    let mut retry = leaf(&signer.bundle, 31);
    retry.request = RequestRef {
        attempt: 2,
        ..signer::request(&format!("leaf-{}", serial(12)))
    };
    retry.previous = Some(signer.leaves[1]);
    more(&mut signer, retry);
    assert_clean(&signer.log.verify());
}

#[test]
fn the_bundle_in_force_judges() {
    forged("bundle in force", |s| {
        s.log.intent(s.leaves[0], |i| i.bundle = Some(Digest::of(b"old")));
        s.leaves[0]
    });
    forged("profile", |s| {
        s.log.intent(s.leaves[0], |i| {
            i.profile.as_mut().unwrap().sha256 = Digest::of(b"laxer")
        });
        s.leaves[0]
    });
    forged("requester", |s| {
        let mut intent = leaf(&s.bundle, 31);
        intent.request.caller = "uri:spiffe://stele/caller/nobody".parse().unwrap();
        more(s, intent)
    });
    forged("ceiling", |s| {
        let mut spec = certificate(31, "node", &Key::p256(31), ("Issuing", &issuing()), None);
        spec.sans = vec!["dns:www.example.com".parse().unwrap()];
        let intent = leaf_of(&s.bundle, &spec);
        more(s, intent)
    });
    forged("bootstrap", |s| {
        s.log.intent(s.leaves[0], |i| i.authority = Authority::Bootstrap);
        s.leaves[0]
    });
}

#[test]
fn the_next_bundle_takes_the_quorum_of_the_last() {
    let next = |s: &Signer| signer::bundle(1, Some(s.bundle.digest()));
    let mut clean = signer::build();
    let bundle = next(&clean);
    clean.log.push(signer::adopted(&bundle, &[ALICE]));
    assert_clean(&clean.log.verify());
    forged("bundle quorum", |s| {
        let bundle = next(s);
        s.log.push(signer::adopted(&bundle, &[MALLORY]))
    });
    forged("bundle text", |s| {
        let bundle = next(s);
        s.log.push(signer::adopted(&bundle, &[]))
    });
    forged("bundle number", |s| {
        let bundle = signer::bundle(2, Some(s.bundle.digest()));
        s.log.push(signer::adopted(&bundle, &[ALICE]))
    });
    forged("bundle predecessor", |s| {
        let bundle = signer::bundle(1, Some(Digest::of(b"another")));
        s.log.push(signer::adopted(&bundle, &[ALICE]))
    });
    forged("bundle digest", |s| {
        let Body::BundleAdopted(adopted) = &mut s.log.records[s.bundle_at as usize].body else {
            panic!()
        };
        adopted.sha256 = Digest::of(b"another");
        s.bundle_at
    });
}

#[test]
fn an_intermediate_takes_operators() {
    // By a profile alone.
    forged("policy for Intermediate", |s| {
        s.log.intent(s.intermediate, |i| i.authority = Authority::Policy);
        s.intermediate
    });
    // Without a proposal.
    forged("no proposal", |s| {
        s.log.intent(s.intermediate, |i| i.proposal = None);
        s.intermediate
    });
    // With nobody's text.
    forged("approvals", |s| {
        s.log
            .intent(s.intermediate, |i| i.authority = Authority::Approvals(Vec::new()));
        s.intermediate
    });
}

/// One more intermediate, its text signed by `seed` and changed before that.
fn approve_more(s: &mut Signer, seed: u8, change: impl FnOnce(&mut stele_core::authority::texts::ApprovalText)) -> u64 {
    let wanted = proposal(&s.bundle, 22);
    let mut text = approval(&wanted);
    change(&mut text);
    let text = ssh_sign(seed, &text);
    let at = s.log.push(Body::Proposal(Box::new(wanted.clone())));
    s.log.push(Body::Decision(Decision {
        proposal: at,
        operator: "alice".parse().unwrap(),
        approve: true,
        text: text.clone(),
        comment: None,
    }));
    s.log.sign(approved(&wanted, at, vec![text]), &signer::cluster())
}

#[test]
fn approvals_bind_what_they_approve() {
    let mut clean = signer::build();
    approve_more(&mut clean, ALICE, |_| {});
    assert_clean(&clean.log.verify());
    forged("quorum", |s| approve_more(s, MALLORY, |_| {}));
    forged("operator", |s| approve_more(s, MALLORY, |_| {}) - 1);
    forged("tbs-sha256", |s| {
        approve_more(s, ALICE, |t| t.tbs_sha256 = Digest::of(b"other"))
    });
    forged("profile-sha256", |s| {
        approve_more(s, ALICE, |t| t.profile_sha256 = Digest::of(b"other"))
    });
    forged("attempt", |s| approve_more(s, ALICE, |t| t.attempt = 2));
    forged("request", |s| {
        approve_more(s, ALICE, |t| t.request = "other".parse().unwrap())
    });
    forged("requester", |s| {
        approve_more(s, ALICE, |t| t.requester = "unix:eve".parse().unwrap())
    });
    forged("origin", |s| {
        approve_more(s, ALICE, |t| t.origin = "other.example/1".parse().unwrap())
    });
    forged("expires", |s| {
        approve_more(s, ALICE, |t| t.expires = Time::from_secs(NOW))
    });
    forged("decision", |s| {
        approve_more(s, ALICE, |t| t.decision = stele_core::authority::texts::Decision::Deny)
    });
}

#[test]
fn an_approval_serves_once_and_only_with_its_signature() {
    forged("used before", |s| {
        let Body::Intent(intent) = s.log.records[s.intermediate as usize].body.clone() else {
            panic!()
        };
        s.log.sign(*intent, &signer::cluster())
    });
    forged("approval", |s| {
        s.log.intent(s.intermediate, |i| {
            let Authority::Approvals(texts) = &mut i.authority else {
                panic!()
            };
            texts[0].text = texts[0].text.replace("attempt: 1", "attempt: 2");
        });
        s.intermediate
    });
    // Signed for another namespace.
    forged("approval", |s| {
        let text = approval(&proposal(&s.bundle, 21)).to_string();
        s.log.intent(s.intermediate, |i| {
            i.authority = Authority::Approvals(vec![ssh_sign_in(ALICE, &text, "stele-plan")]);
        });
        s.intermediate
    });
}

#[test]
fn proposals_decisions_and_intents_are_linked() {
    forged("differs from proposal", |s| {
        let Body::Proposal(p) = &mut s.log.records[s.proposal as usize].body else {
            panic!()
        };
        p.request.digest = Digest::of(b"other");
        s.intermediate
    });
    forged("no decision", |s| {
        s.log.records[s.decision as usize].body = Body::Withdrawal(Withdrawal {
            proposal: 0,
            caller: "unix:eve".parse().unwrap(),
            reason: None,
        });
        s.intermediate
    });
    forged("decision", |s| {
        let Body::Decision(d) = &mut s.log.records[s.decision as usize].body else {
            panic!()
        };
        d.proposal = 3;
        s.decision
    });
    forged("withdrawal", |s| {
        let wanted = proposal(&s.bundle, 22);
        let at = s.log.push(Body::Proposal(Box::new(wanted)));
        s.log.push(Body::Withdrawal(Withdrawal {
            proposal: at,
            caller: "unix:eve".parse().unwrap(),
            reason: None,
        }))
    });
}

#[test]
fn outcomes_fit_their_intents() {
    forged("one outcome", |s| {
        let again = s.log.records[s.leaves[0] as usize + 1].body.clone();
        s.log.push(again)
    });
    forged("one outcome", |s| {
        s.log.issued(s.leaves[0] + 1, |i| i.intent = 1_000_000);
        s.leaves[0] + 1
    });
    forged("request", |s| {
        s.log.issued(s.leaves[0] + 1, |i| i.request.attempt = 7);
        s.leaves[0] + 1
    });
    forged("sha256", |s| {
        s.log.issued(s.leaves[0] + 1, |i| i.sha256 = Digest::of(b"other"));
        s.leaves[0] + 1
    });
    // Another certificate than the intended, well signed.
    forged("signed TBS", |s| {
        let other = signer::issued(s.leaves[0], &leaf(&s.bundle, 31), &issuing());
        s.log
            .issued(s.leaves[0] + 1, |i| (i.signed, i.sha256) = (other.signed, other.sha256));
        s.leaves[0] + 1
    });
    // The intended bytes, signed by a stranger.
    forged("issuer's signature", |s| {
        let other = signer::issued(s.leaves[0], &leaf(&s.bundle, 11), &Key::p256(77));
        s.log
            .issued(s.leaves[0] + 1, |i| (i.signed, i.sha256) = (other.signed, other.sha256));
        s.leaves[0] + 1
    });
    forged("outcome", |s| {
        let Body::Unknown(u) = &mut s.log.records[s.leaves[1] as usize + 1].body else {
            panic!()
        };
        u.serial = None;
        s.leaves[1] + 1
    });
}

#[test]
fn a_bad_intent_that_was_refused_is_a_note() {
    let mut signer = signer::build();
    let mut intent = leaf(&signer.bundle, 31);
    intent.bundle = Some(Digest::of(b"old"));
    let at = signer.log.push(Body::Intent(Box::new(intent)));
    signer.log.push(Body::Failed(Failed {
        intent: at,
        reason: "not the newest bundle".to_owned(),
    }));
    let report = signer.log.verify();
    assert_clean(&report);
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.index == Some(at) && f.severity == Severity::Note)
    );
}

fn entry(signer: &Signer, at: u64, reason: Reason) -> Listed {
    Listed {
        date: signer.log.records[at as usize].time,
        reason,
    }
}

/// One more CRL with both serials, or what `change` makes of it.
fn one_more_crl(
    s: &mut Signer,
    number: u64,
    change: impl FnOnce(&mut Vec<(stele_core::types::Serial, Listed)>),
) -> u64 {
    let mut entries = vec![
        (serial(11), entry(s, s.revocation, Reason::KeyCompromise)),
        (serial(12), entry(s, s.leaves[1] + 1, Reason::Unspecified)),
    ];
    change(&mut entries);
    let intent = signer::crl(&s.bundle, number, s.log.now(), &entries);
    s.log.sign(intent, &issuing())
}

#[test]
fn crls_are_numbered_and_whole() {
    let mut clean = signer::build();
    one_more_crl(&mut clean, 3, |_| {});
    assert_clean(&clean.log.verify());
    forged("CRL number", |s| one_more_crl(s, 4, |_| {}));
    forged("CRL number", |s| one_more_crl(s, 2, |_| {}));
    // A revoked serial left out, an unknown one left out, one too many, another date.
    for left_out in [0, 1] {
        forged("CRL entries", |s| {
            one_more_crl(s, 3, |entries| {
                entries.remove(left_out);
            })
        });
    }
    forged("CRL entries", |s| one_more_crl(s, 3, |e| e.push((serial(13), e[0].1))));
    forged("CRL entries", |s| {
        one_more_crl(s, 3, |e| e[0].1.date = Time::from_secs(NOW))
    });
    forged("CRL entries", |s| {
        one_more_crl(s, 3, |e| e[0].1.reason = Reason::Superseded)
    });
}

#[test]
fn a_failed_crl_leaves_its_number_free() {
    let mut signer = signer::build();
    let entries = [
        (serial(11), entry(&signer, signer.revocation, Reason::KeyCompromise)),
        (serial(12), entry(&signer, signer.leaves[1] + 1, Reason::Unspecified)),
    ];
    let intent = signer::crl(&signer.bundle, 3, signer.log.now(), &entries);
    let at = signer.log.push(Body::Intent(Box::new(intent)));
    signer.log.push(Body::Failed(Failed {
        intent: at,
        reason: "token busy".to_owned(),
    }));
    one_more_crl(&mut signer, 3, |_| {});
    one_more_crl(&mut signer, 4, |_| {});
    assert_clean(&signer.log.verify());
}

#[test]
fn revocations_name_what_was_issued() {
    let revoke = |s: &mut Signer, key: &str, n: u8| {
        s.log.push(Body::Revocation(Revocation {
            key: key.parse().unwrap(),
            serial: serial(n),
            not_after: Time::from_secs(NOW + 30 * DAY),
            reason: Reason::Superseded,
            by: "unix:eve".parse().unwrap(),
            texts: Vec::new(),
            comment: None,
        }))
    };
    forged("revocation", |s| revoke(s, "kubernetes-ca", 99));
    forged("revocation", |s| revoke(s, "cluster-ca", 13));
    // A CA's takes the quorum.
    forged("ca_revocation", |s| revoke(s, "cluster-ca", 21));
    forged("not_after", |s| revoke(s, "cluster-ca", 21));
}

#[test]
fn what_is_frozen_signs_nothing_but_crls() {
    forged("freeze", |s| {
        let unfreeze = s.log.records.pop().unwrap();
        assert!(matches!(unfreeze.body, Body::Unfreeze(_)));
        one_more_crl(s, 3, |_| {});
        let intent = leaf(&s.bundle, 31);
        more(s, intent)
    });
    let mut signer = signer::build();
    signer.log.records.pop();
    one_more_crl(&mut signer, 3, |_| {});
    assert_clean(&signer.log.verify());
    forged("unfreeze", |s| {
        let Body::Unfreeze(unfreeze) = &mut s.log.records[s.unfreeze as usize].body else {
            panic!()
        };
        unfreeze.texts.clear();
        s.unfreeze
    });
}

#[test]
fn imported_chains_end_at_a_known_root() {
    forged("root", |s| {
        let mut spec = certificate(9, "Evil", &Key::p384(50), ("Evil Root", &Key::p384(51)), Some(None));
        let evil = Key::p384(51);
        let der = evil.sign(&spec.to_tbs_der().unwrap());
        spec = certificate(8, "Evil Root", &evil, ("Evil Root", &evil), Some(None));
        let root = evil.sign(&spec.to_tbs_der().unwrap());
        s.log.push(Body::CaCertificate(CaCertificate {
            key: "evil".parse().unwrap(),
            spki_sha256: Key::p384(50).public().digest(),
            certificate: B64(der),
            chain: vec![B64(root)],
            crl: None,
        }))
    });
    forged("CA certificate chain", |s| {
        let at = s.bundle_at + 2;
        let Body::CaCertificate(ca) = &mut s.log.records[at as usize].body else {
            panic!()
        };
        let spec = certificate(2, "Issuing", &issuing(), ("Root", &signer::root_key()), Some(Some(0)));
        ca.certificate = B64(Key::p384(77).sign(&spec.to_tbs_der().unwrap()));
        at
    });
}

#[test]
fn chunks_are_whole_and_named() {
    let big: Vec<u8> = subject("x")
        .to_der()
        .unwrap()
        .into_iter()
        .cycle()
        .take(70_000)
        .collect();
    forged("chunks", |s| {
        let chunks = Payload::split(&big);
        let at: Vec<u64> = chunks.into_iter().map(|c| s.log.push(Body::Chunk(c))).collect();
        let mut intent = leaf(&s.bundle, 31);
        intent.tbs = Payload::of(&big, at[1..].to_vec());
        s.log.push(Body::Intent(Box::new(intent)))
    });
}

#[test]
fn findings_are_few_where_the_fault_is_one() {
    let mut signer = signer::build();
    signer.log.records[9].time = Time::from_secs(NOW - 1);
    assert_eq!(errors(&signer.log.verify()).len(), 1);
}
