//! A plan drawn from the demonstration's script, signed with a key of the test's own, judged by openssl.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;
use std::process::Command;

use ed25519_dalek::{Signer as _, SigningKey as Ed25519};
use p384::ecdsa::{DerSignature, SigningKey};
use p384::pkcs8::EncodePublicKey as _;
use rcgen::{CertificateParams, KeyPair};
use stele_core::ceremony::transcript::{output_name, pem_label};
use stele_core::ceremony::{
    CeremonyFile as _, CheckedRequest, Drawing, Plan, RequestedKey, RootCertificate, Script, SignerRequest, Standing,
    draw, readable_plan, to_pem,
};
use stele_core::checkpoint::{self, Checkpoint, NoteKeyType, NoteVerifier};
use stele_core::crl::{Reason, Revocation, parse_tbs_crl};
use stele_core::csr::{Csr, Limits};
use stele_core::keycheck::PublicKey;
use stele_core::lint;
use stele_core::merkle;
use stele_core::record::Purpose;
use stele_core::tbs::assemble;
use stele_core::types::{B64, Digest, Origin, Serial, Time};

const SCRIPT: &str = include_str!("../../../softhsm/demo/ceremony.toml");
const LATER: &str = include_str!("../../../softhsm/demo/later-ceremony.toml");
const KEYS: [&str; 5] = ["cluster-ca", "issuing-ca", "etcd-ca", "front-proxy-ca", "access-ca"];

fn root_key() -> SigningKey {
    SigningKey::from_slice(&[0x2a; 48]).unwrap()
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_spki_der(key.verifying_key().to_public_key_der().unwrap().as_bytes()).unwrap()
}

fn signer_request(keys: &[&str]) -> SignerRequest {
    let origin: Origin = "signer.stele.example/1".parse().unwrap();
    let log = Ed25519::from_bytes(&[7; 32]);
    let verifier = NoteVerifier::new(origin.as_str(), NoteKeyType::Ed25519, log.verifying_key().as_bytes()).unwrap();
    let head = Checkpoint {
        origin: origin.clone(),
        size: 0,
        root: merkle::empty_root(),
    };
    let signature = log.sign(head.body().as_bytes()).to_bytes();
    let keys = keys.iter().map(|name| {
        let csr = CertificateParams::default()
            .serialize_request(&KeyPair::generate().unwrap())
            .unwrap();
        let spki_sha256 = Csr::prove(csr.der(), &Limits::default()).unwrap().public_key().digest();
        RequestedKey {
            key: name.parse().unwrap(),
            spki_sha256,
            csr: B64(csr.der().to_vec()),
        }
    });
    SignerRequest {
        v: 1,
        origin,
        vkey: verifier.to_string(),
        checkpoint: checkpoint::assemble(&head.body(), &verifier, &signature).unwrap(),
        keys: keys.collect(),
        later: None,
    }
}

fn now() -> Time {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    Time::from_secs(since.as_secs())
}

fn entropy(count: usize) -> Vec<[u8; 20]> {
    (0..count).map(|n| [u8::try_from(n).unwrap() ^ 0xa5; 20]).collect()
}

fn with_drawing<T>(
    script: &Script,
    request: &CheckedRequest,
    root: &PublicKey,
    f: impl FnOnce(&Drawing<'_>) -> T,
) -> T {
    f(&Drawing {
        script,
        script_sha256: Digest::of(SCRIPT.as_bytes()),
        bundle_sha256: Digest::of(b"bundle"),
        root,
        request,
        standing: &Standing::default(),
        now: now(),
    })
}

fn drawn(script: &Script) -> Plan {
    let request = signer_request(&KEYS).check().unwrap();
    with_drawing(script, &request, &public(&root_key()), |d| {
        draw(d, &entropy(d.serials())).unwrap()
    })
}

fn openssl(dir: &Path, args: &[&str]) -> String {
    let out = Command::new("openssl").args(args).current_dir(dir).output().unwrap();
    let text = [out.stdout, out.stderr].concat();
    format!("{} {}", out.status.success(), String::from_utf8_lossy(&text))
}

#[test]
fn openssl_accepts_what_a_plan_signs() {
    let plan = drawn(&Script::parse("demo", SCRIPT).unwrap());
    let dir = tempfile::tempdir().unwrap();
    for step in &plan.steps {
        if step.purpose != Purpose::Crl {
            lint::lint(&step.tbs.0, &[]).unwrap();
        }
        let signature: DerSignature = root_key().sign(&step.tbs.0);
        let whole = assemble(&step.tbs.0, step.algorithm, signature.as_bytes()).unwrap();
        let pem = to_pem(pem_label(step.purpose), &whole).unwrap();
        std::fs::write(dir.path().join(output_name(step.purpose, &step.subject_key)), pem).unwrap();
    }
    for key in KEYS {
        let file = format!("{key}.pem");
        let args = [
            "verify",
            "-x509_strict",
            "-crl_check",
            "-CRLfile",
            "root.crl.pem",
            "-CAfile",
            "root.pem",
            &file,
        ];
        let found = openssl(dir.path(), &args);
        assert!(found.starts_with("true"), "{key}: {found}");
    }
    let text = openssl(dir.path(), &["x509", "-in", "issuing-ca.pem", "-noout", "-text"]);
    for expected in [
        "pathlen:0",
        "DNS:cluster.local",
        "IP:10.0.0.0/255.0.0.0",
        "URI:http://pki.demo.example/root.crl",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn people_read_what_the_bytes_say() {
    let plan = drawn(&Script::parse("demo", SCRIPT).unwrap());
    let digest = Digest::of(&plan.encode().unwrap());
    let text = readable_plan(&plan, digest).unwrap();
    for step in &plan.steps {
        assert!(text.contains(&step.tbs_sha256.to_string()), "{}", step.step);
        assert!(
            step.serial.iter().all(|serial| text.contains(&serial.to_string())),
            "{}",
            step.step
        );
    }
    for expected in [
        "CN=Stele Demo etcd CA",
        "path length 1",
        "excluded           IP 0.0.0.0/0, ::/0",
        "root.crl)",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn a_rehearsal_marks_every_subject() {
    let rehearsal = SCRIPT.replacen("rehearsal = false", "rehearsal = true", 1);
    let plan = drawn(&Script::parse("demo", &rehearsal).unwrap());
    let text = readable_plan(&plan, Digest::of(b"")).unwrap();
    let names = text.lines().filter(|line| line.contains("CN="));
    assert!(
        names.clone().count() > 10 && names.clone().all(|line| line.contains("CN=REHEARSAL ")),
        "{text}"
    );
}

#[test]
fn only_the_keys_of_the_script_are_certified() {
    let script = Script::parse("demo", SCRIPT).unwrap();
    let root = public(&root_key());
    for (keys, expected) in [
        (&KEYS[..4], "no key `access-ca`"),
        (
            &[
                "cluster-ca",
                "issuing-ca",
                "etcd-ca",
                "front-proxy-ca",
                "access-ca",
                "other-ca",
            ][..],
            "key `other-ca`",
        ),
    ] {
        let request = signer_request(keys).check().unwrap();
        let error = with_drawing(&script, &request, &root, |d| {
            draw(d, &entropy(6)).unwrap_err().to_string()
        });
        assert!(error.contains(expected), "{error}");
    }
    let request = signer_request(&KEYS).check().unwrap();
    for count in [5, 7] {
        let error = with_drawing(&script, &request, &root, |d| {
            draw(d, &entropy(count)).unwrap_err().to_string()
        });
        assert!(error.contains("entropy"), "{error}");
    }
    let twice = [vec![[1; 20]; 2], entropy(4)].concat();
    assert!(
        with_drawing(&script, &request, &root, |d| draw(d, &twice)).is_err(),
        "a serial twice"
    );
    let other = SCRIPT.replacen("ec-p384", "ec-p521", 1);
    let script = Script::parse("demo", &other).unwrap();
    let error = with_drawing(&script, &request, &root, |d| {
        draw(d, &entropy(6)).unwrap_err().to_string()
    });
    assert!(error.contains("ec-p521, as the script says"), "{error}");
}

#[test]
fn a_request_that_was_tampered_with_is_refused() {
    let good = signer_request(&KEYS);
    good.check().unwrap();
    let changes: [fn(&mut SignerRequest); 5] = [
        |r| r.origin = "other.example/1".parse().unwrap(),
        |r| r.keys[0].spki_sha256 = Digest::of(b"x"),
        |r| r.keys[1] = r.keys[0].clone(),
        |r| *r.keys[2].csr.0.last_mut().unwrap() ^= 1,
        |r| r.checkpoint = r.checkpoint.replacen("\n0\n", "\n1\n", 1),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut request = good.clone();
        change(&mut request);
        assert!(request.check().is_err(), "change {number}");
    }
}

#[test]
fn a_later_plan_keeps_to_the_root_that_is_there() {
    let script = Script::parse("later", LATER).unwrap();
    let request = signer_request(&KEYS).check().unwrap();
    let root = public(&root_key());
    let subject = Script::parse("demo", SCRIPT)
        .unwrap()
        .root
        .unwrap()
        .subject
        .subject(false);
    let serial = Serial::from_entropy([3; 20]);
    let entry = Revocation {
        date: now(),
        reason: Reason::Superseded,
    };
    let standing = Standing {
        root: Some(RootCertificate {
            subject_der: subject.to_der().unwrap(),
            subject,
            not_after: now().plus_secs(20 * 365 * 86_400),
            path_length: Some(1),
        }),
        crl_number: 7,
        revoked: [(serial.clone(), entry)].into(),
    };
    let drawing = |script: &Script, standing: &Standing| {
        with_drawing(script, &request, &root, |d| {
            let d = Drawing { standing, ..*d };
            draw(&d, &entropy(d.serials())).map_err(|e| e.to_string())
        })
    };
    let plan = drawing(&script, &standing).unwrap();
    assert_eq!(
        plan.steps.iter().map(|s| s.purpose).collect::<Vec<_>>(),
        [Purpose::Intermediate, Purpose::Crl]
    );
    let crl = parse_tbs_crl(&plan.steps[1].tbs.0).unwrap();
    assert_eq!((crl.number, crl.revoked.keys().collect()), (7, vec![&serial]));
    let mut short = standing.clone();
    short.root.as_mut().unwrap().not_after = now().plus_secs(365 * 86_400);
    let mut shallow = standing.clone();
    shallow.root.as_mut().unwrap().path_length = Some(0);
    let mut none = standing.clone();
    none.root = None;
    let mut rehearsal = script.clone();
    rehearsal.rehearsal = true;
    let mut again = script.clone();
    again.root = Script::parse("demo", SCRIPT).unwrap().root;
    for (script, standing, expected) in [
        (&script, &short, "the root's"),
        (&script, &shallow, "less than the root's, 0"),
        (&script, &none, "no ceremony of this log has made"),
        (&rehearsal, &standing, "false, as it was"),
        (&again, &standing, "the log holds the root's certificate"),
    ] {
        let error = drawing(script, standing).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
