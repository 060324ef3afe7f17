//! A ceremony that continues an earlier one, through the real programs: the root's next CRL, a renewed intermediate, a
//! revocation; bundles that the signer adopted in between; what must be refused; and what a kill leaves behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a surprise ends the test"
)]

use std::path::Path;
use std::process::{Command, Output};

use stele_core::ceremony::{CeremonyFile as _, Handover};
use stele_core::crl::{CrlView, parse_crl};
use stele_core::tbs::parse_certificate;
use stele_core::types::{Digest, Serial};
use stele_hsm_tests::later::{crl_script, demo_script, without};
use stele_hsm_tests::scratch::repository;
use stele_hsm_tests::service::{Service, both, succeed};
use stele_hsm_tests::service_client::{leaf, runtime, sign_persistently};

const FIRST: &str = "ceremony";

#[track_caller]
fn good(out: &Output) -> String {
    assert!(out.status.success(), "{}", both(out));
    both(out)
}

#[track_caller]
fn refused(out: &Output, because: &str) {
    let said = both(out);
    assert!(!out.status.success(), "not refused (`{because}`): {said}");
    assert!(
        said.contains(because),
        "refused, but not because of `{because}`: {said}"
    );
}

fn handover(path: &Path) -> Handover {
    Handover::decode(&std::fs::read(path).unwrap()).unwrap()
}

fn root_crl(handover: &Handover) -> CrlView {
    parse_crl(&handover.root_crl.0).unwrap().0
}

/// The serial of the certificate for a key in a hand-over.
fn serial_of(handover: &Handover, key: &str) -> Serial {
    let certificate = handover.certificates.iter().find(|c| c.key.as_str() == key).unwrap();
    let (view, ..) = parse_certificate(&certificate.certificate.0).unwrap();
    Serial::from_unsigned(&view.serial).unwrap()
}

/// What everybody gets from the plain port.
fn served_root_crl(service: &Service) -> CrlView {
    parse_crl(&service.get("/crl/root.crl").unwrap().body).unwrap().0
}

fn audit(service: &Service, transcript: &str) {
    let ledger = service.verify_ledger();
    let transcript = service.path(transcript).join("transcript");
    succeed(
        service
            .stele_as("auditor")
            .args(["audit", "verify"])
            .arg(&ledger)
            .arg("--ceremony")
            .arg(&transcript),
    );
    let mut verify = service.ceremony("stele-ceremony", "verify");
    verify.arg(&transcript).arg("--root").arg(service.path("out/root.pem"));
    succeed(
        verify
            .arg("--ledger")
            .arg(&ledger)
            .arg("--vkey")
            .arg(service.path("out/ledger.vkey")),
    );
}

fn revocation_script(serial: &Serial) -> String {
    let entry =
        format!("[[revoke]]\nserial = \"{serial}\"\nreason = \"superseded\"\nbecause = \"renewed\"\n\n[root_crl]");
    crl_script().replacen("[root_crl]", &entry, 1)
}

#[test]
fn root_crl_and_certificates_are_renewed_year_after_year() {
    let mut service = Service::started();
    service.adopt_next_bundle("olga");
    // The second ceremony: a CRL, a renewed certificate, and the bundle that was adopted in between.
    let request = service.later_request(&service.request_of(FIRST));
    let path = service.hold_later("second", FIRST, &demo_script(), &request);
    let second = handover(&path);
    assert_eq!(
        stele_core::authority::Bundle::parse(&second.bundle.0).unwrap().number(),
        1
    );
    assert_eq!(root_crl(&second).number, 2);
    let first = handover(&service.path("ceremony/handover.json"));
    let old = serial_of(&first, "issuing-ca");
    assert_ne!(serial_of(&second, "issuing-ca"), old);
    assert_eq!(serial_of(&second, "etcd-ca"), serial_of(&first, "etcd-ca"));
    let transcript = service.path("second/transcript");
    succeed(
        Command::new("openssl")
            .args([
                "verify",
                "-x509_strict",
                "-crl_check",
                "-CAfile",
                "root.pem",
                "-CRLfile",
            ])
            .args(["root.crl.pem", "issuing-ca.pem"])
            .current_dir(&transcript),
    );
    good(&service.import(&path));
    assert!(good(&service.import(&path)).contains("recorded already"));
    assert_eq!(served_root_crl(&service).number, 2);
    let issued = runtime().block_on(async { sign_persistently(&service.channel("caller"), &leaf("renewed")).await });
    let (above, ..) = parse_certificate(&issued.chain[0]).unwrap();
    assert_eq!(
        Serial::from_unsigned(&above.serial).unwrap(),
        serial_of(&second, "issuing-ca")
    );
    audit(&service, "second");
    refused(&service.import(&service.path("ceremony/handover.json")), "number 1");
    // The third: the certificate that was replaced is revoked, by the quorum's text.
    let request = service.later_request(&service.request_of("second"));
    let script = revocation_script(&old);
    good(&service.continue_ceremony("third", "second", &script));
    refused(
        &service.plan_ceremony("third", &request, &[]),
        "the quorum signs the revocations first",
    );
    let text = service.path(&format!("third/to-sign/revoke-{old}.txt"));
    let wrong = service.ssh_sign("olga", "stele-plan", &text);
    refused(
        &service.plan_ceremony("third", &request, &[&wrong]),
        "the quorum signs the revocations first",
    );
    let signature = service.ssh_sign("olga", "stele-stop", &text);
    good(&service.plan_ceremony("third", &request, &[&signature]));
    succeed(&mut service.run_ceremony("stele-ceremony", "third"));
    service.verify_transcript("third");
    good(&service.import(&service.path("third/handover.json")));
    let crl = served_root_crl(&service);
    assert_eq!(crl.number, 3);
    assert_eq!(crl.revoked.keys().collect::<Vec<_>>(), [&old]);
    audit(&service, "third");
    service.stop();
}

#[test]
fn bundles_come_with_proof_and_none_is_left_out() {
    let service = Service::started();
    let one = service.adopt_bundle("olga", 1, service.first_bundle());
    service.adopt_bundle("olga", 2, one);
    let request = service.later_request(&service.request_of(FIRST));
    good(&service.continue_ceremony("second", FIRST, &crl_script()));
    let without_one = service.altered_request(&request, |r| {
        r.later.as_mut().unwrap().bundles.remove(1);
    });
    refused(
        &service.plan_ceremony("second", &without_one, &[]),
        "every bundle since the ceremony's newest, none left out",
    );
    let unproven = service.altered_request(&request, |r| {
        let bundles = &mut r.later.as_mut().unwrap().bundles;
        bundles[1].proof = bundles[2].proof.clone();
    });
    refused(
        &service.plan_ceremony("second", &unproven, &[]),
        "another bundle than the one beside it",
    );
    let forged = service.altered_request(&request, |r| {
        let proof = &mut r.later.as_mut().unwrap().bundles[2].proof;
        *proof = proof.replacen("index ", "index 1", 1);
    });
    assert!(!service.plan_ceremony("second", &forged, &[]).status.success());
    // The newest one kept back: without the whole log the ceremony cannot know, but signer and auditor find out.
    let withheld = service.altered_request(&request, |r| {
        r.later.as_mut().unwrap().bundles.pop();
    });
    let ledger = service.verify_ledger();
    let mut plan = service.ceremony("stele-ceremony", "plan");
    plan.arg("--dir")
        .arg(service.path("second"))
        .arg("--request")
        .arg(&withheld);
    let out = plan
        .arg("--clock-confirmed")
        .arg("--ledger")
        .arg(&ledger)
        .output()
        .unwrap();
    refused(&out, "bundle 2 was in force");
    good(&service.plan_ceremony("second", &withheld, &[]));
    succeed(&mut service.run_ceremony("stele-ceremony", "second"));
    refused(
        &service.import(&service.path("second/handover.json")),
        "one was kept from it",
    );
    let ledger = service.verify_ledger();
    let mut verify = service.ceremony("stele-ceremony", "verify");
    verify
        .arg(service.path("second/transcript"))
        .arg("--root")
        .arg(service.path("out/root.pem"));
    verify
        .arg("--ledger")
        .arg(&ledger)
        .arg("--vkey")
        .arg(service.path("out/ledger.vkey"));
    refused(&verify.output().unwrap(), "bundle 2 was in force");
}

#[test]
fn a_signer_that_was_rolled_back_or_forked_is_refused() {
    let service = Service::started();
    let older = service.later_request(&service.request_of(FIRST));
    service.adopt_next_bundle("olga");
    let newer = service.later_request(&service.request_of(FIRST));
    good(&service.import(&service.hold_later("second", FIRST, &crl_script(), &newer)));
    good(&service.continue_ceremony("third", "second", &crl_script()));
    refused(&service.plan_ceremony("third", &older, &[]), "rolled back");
    let stale = service.later_request(&service.request_of(FIRST));
    refused(&service.plan_ceremony("third", &stale, &[]), "write it with --since");
    let request = service.later_request(&service.request_of("second"));
    let forked = service.altered_request(&request, |r| {
        r.later.as_mut().unwrap().consistency[0] = Digest::of(b"another history");
    });
    refused(&service.plan_ceremony("third", &forked, &[]), "forked");
    // Another signer of the same hierarchy, whose log went another way.
    let other = Service::started();
    other.adopt_next_bundle("otto");
    let foreign = other
        .signer_command("stele-signer", "request")
        .arg("--since")
        .arg(service.request_of("second"))
        .arg("--out")
        .arg(other.path("foreign.json"))
        .output()
        .unwrap();
    refused(&foreign, "--since: checkpoint");
    good(&service.plan_ceremony("third", &request, &[]));
}

#[test]
fn only_the_ceremonys_own_token_and_newest_log_go_on() {
    let service = Service::started();
    refused(
        &service.continue_ceremony("second", FIRST, &first_script("")),
        "does not",
    );
    let elsewhere = crl_script().replacen("ceremony.stele.example/2026", "ceremony.stele.example/2027", 1);
    refused(
        &service.continue_ceremony("elsewhere", FIRST, &elsewhere),
        "was made for",
    );
    refused(&service.continue_ceremony("second", FIRST, &crl_script()), "a fork");
    let mark = service.path("ceremony/state/continued-in");
    std::fs::remove_file(&mark).unwrap();
    // A token with the same label and another root key.
    let other = Service::before_ceremony();
    let mut init = other.ceremony("stele-ceremony", "init");
    init.arg("--script")
        .arg(repository().join("softhsm/demo/ceremony.toml"))
        .arg("--dir")
        .arg(other.path("ceremony"));
    let module = std::fs::read_to_string(other.path("module")).unwrap();
    init.args(["--module", &module, "--pin-file"])
        .arg(other.path("root/pin"));
    succeed(init.arg("--so-pin-file").arg(other.path("root/so-pin")));
    for part in ["tokens", "pin"] {
        std::fs::rename(
            service.path("root").join(part),
            service.path("root").join(format!("own-{part}")),
        )
        .unwrap();
        std::fs::rename(other.path("root").join(part), service.path("root").join(part)).unwrap();
    }
    refused(&service.continue_ceremony("second", FIRST, &crl_script()), "key `");
    for part in ["tokens", "pin"] {
        std::fs::rename(service.path("root").join(part), other.path("root").join(part)).unwrap();
        std::fs::rename(
            service.path("root").join(format!("own-{part}")),
            service.path("root").join(part),
        )
        .unwrap();
    }
    let request = service.later_request(&service.request_of(FIRST));
    let second = service.hold_later("second", FIRST, &crl_script(), &request);
    good(&service.import(&second));
    // The log of the first ceremony, brought again after a second one went on from it.
    std::fs::remove_file(&mark).unwrap();
    let request = service.later_request(&service.request_of(FIRST));
    good(&service.continue_ceremony("fork", FIRST, &crl_script()));
    refused(&service.plan_ceremony("fork", &request, &[]), "the newest ceremony");
    // And a hand-over of such a fork, made from a request that hides what the signer holds.
    let hiding = service.altered_request(&request, |r| r.later.as_mut().unwrap().ceremony = None);
    good(&service.plan_ceremony("fork", &hiding, &[]));
    succeed(&mut service.run_ceremony("stele-ceremony", "fork"));
    let fork = service.path("fork/handover.json");
    refused(&service.import(&fork), "number 2");
    // A ledger that is behind its own transcript.
    std::fs::copy(
        service.path("ceremony/state/ledger.db"),
        service.path("second/state/ledger.db"),
    )
    .unwrap();
    let _ = std::fs::remove_file(service.path("second/state/ledger.db-wal"));
    refused(
        &service.continue_ceremony("third", "second", &crl_script()),
        "holds 1 ceremonies",
    );
}

/// The demonstration's first script with `more` lines at its top.
fn first_script(more: &str) -> String {
    let script = std::fs::read_to_string(repository().join("softhsm/demo/ceremony.toml")).unwrap();
    script.replacen("rehearsal = false\n", &format!("rehearsal = false\n{more}"), 1)
}

/// A first ceremony that is killed at a signature, counted from 1.
fn killed(step: &str, signature: u32, whom: &str) -> Service {
    let service = Service::before_ceremony();
    let module = std::fs::read_to_string(service.path("module")).unwrap();
    let mut init = service.ceremony("stele-ceremony", "init");
    init.arg("--script")
        .arg(repository().join("softhsm/demo/ceremony.toml"))
        .arg("--dir")
        .arg(service.path(FIRST));
    init.args(["--module", &module, "--pin-file"])
        .arg(service.path("root/pin"));
    succeed(init.arg("--so-pin-file").arg(service.path("root/so-pin")));
    let mut plan = service.ceremony("stele-ceremony", "plan");
    plan.arg("--dir")
        .arg(service.path(FIRST))
        .arg("--request")
        .arg(service.path("signer-request.json"));
    succeed(
        plan.arg("--authority")
            .arg(service.path("authority"))
            .arg("--clock-confirmed"),
    );
    let bundle = service.ssh_sign("olga", "stele-bundle", &service.path("ceremony/to-sign/bundle.txt"));
    let mut run = service.run_ceremony("stele-ceremony-aborting", FIRST);
    run.env("ABORT_AT", step)
        .env("ABORT_SIGNATURE", signature.to_string())
        .env("ABORT_WHOM", whom);
    let out = run.arg("--bundle-sig").arg(&bundle).output().unwrap();
    assert!(!out.status.success(), "{}", both(&out));
    // Repeating it does not sign again what may have been signed.
    refused(
        &service.run_ceremony("stele-ceremony", FIRST).output().unwrap(),
        "init --continue",
    );
    service
}

/// Completes what was killed with `script`, and takes it to the signer.
fn completed(service: &mut Service, script: &str) -> Handover {
    let path = service.hold_later("second", FIRST, script, &service.path("signer-request.json"));
    service.publish(&service.path("second/transcript"));
    good(&service.import(&path));
    let handover = handover(&path);
    let keys: Vec<&str> = handover.certificates.iter().map(|c| c.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "root",
            "access-ca",
            "cluster-ca",
            "etcd-ca",
            "front-proxy-ca",
            "issuing-ca"
        ]
    );
    let ca = handover
        .certificates
        .iter()
        .find(|c| c.key.as_str() == "access-ca")
        .unwrap();
    let pem = stele_core::ceremony::to_pem("CERTIFICATE", &ca.certificate.0).unwrap();
    std::fs::write(service.path("out/access-ca.pem"), pem).unwrap();
    handover
}

/// The serial of the intent whose fate nobody knows, as the minutes name it.
fn unknown_serial(service: &Service) -> String {
    let minutes = std::fs::read_to_string(service.path("second/transcript/minutes.txt")).unwrap();
    assert!(minutes.contains("interrupted, nothing was handed over"), "{minutes}");
    minutes
        .lines()
        .find_map(|l| l.trim().strip_prefix("fate unknown, so it counts as issued: "))
        .unwrap()
        .to_owned()
}

#[test]
fn a_kill_at_an_intermediate_costs_nothing_but_its_serial() {
    let mut service = killed("after-sign", 3, "keeper");
    let script = ["cluster-ca"]
        .iter()
        .fold(first_script("continues = true\n"), |s, key| without(&s, key));
    let (head, rest) = script.split_once("[root]\n").unwrap();
    let script = format!("{head}[root_crl]{}", rest.split_once("[root_crl]").unwrap().1);
    let handover = completed(&mut service, &script);
    let crl = root_crl(&handover);
    assert_eq!(crl.number, 1);
    assert_eq!(
        crl.revoked.keys().map(ToString::to_string).collect::<Vec<_>>(),
        [unknown_serial(&service)]
    );
    service.start();
    stele_hsm_tests::service_world::enrol_people(&service);
    runtime().block_on(async { sign_persistently(&service.channel("caller"), &leaf("after a kill")).await });
    audit(&service, "second");
    service.stop();
}

#[test]
fn a_kill_at_the_roots_own_signature_needs_no_new_token() {
    let mut service = killed("after-intent", 1, "ceremony");
    refused(
        &service.continue_ceremony("second", FIRST, &first_script("")),
        "does not",
    );
    let script = first_script("continues = true\n");
    let handover = completed(&mut service, &script);
    let crl = root_crl(&handover);
    assert_eq!(
        crl.revoked.keys().map(ToString::to_string).collect::<Vec<_>>(),
        [unknown_serial(&service)]
    );
    assert!(!crl.revoked.contains_key(&serial_of(&handover, "root")));
}

#[test]
fn a_kill_at_the_crl_skips_its_number() {
    let mut service = killed("after-intent", 7, "keeper");
    let handover = completed(&mut service, &crl_script());
    assert_eq!(root_crl(&handover).number, 2);
    assert!(root_crl(&handover).revoked.is_empty());
    assert_eq!(unknown_serial(&service), "a CRL");
    // The log has the root's certificate, so another is refused.
    let request = service.later_request(&service.request_of("second"));
    good(&service.continue_ceremony("third", "second", &first_script("continues = true\n")));
    refused(
        &service.plan_ceremony("third", &request, &[]),
        "the log holds the root's certificate",
    );
}
