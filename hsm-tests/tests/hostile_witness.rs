//! A hostile signer process and the witnesses: where the bundle wants the intents of CA certificates witnessed, the real
//! keeper signs none without real cosignatures over a checkpoint that covers it, and halts for nobody's hearsay.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use std::time::Duration;
use stele_core::authority::Bundle;
use stele_core::authority::texts::{ApprovalText, Decision};
use stele_core::checkpoint::{Checkpoint, Note, NoteKeyType, NoteVerifier, SignatureLine};
use stele_core::keeping::{Keeper as _, KeeperFault, SignFault};
use stele_core::names::Usage;
use stele_core::record::*;
use stele_core::request::{Context, KeyProof, SignRequest, Wanted};
use stele_core::tbs::{CaConstraints, CertificateSpec, NameConstraints, parse_certificate};
use stele_core::types::*;
use stele_hsm_tests::authority::{self, CALLER};
use stele_hsm_tests::hierarchy::{Root, common_name, now, serial};
use stele_hsm_tests::keeper::{KeeperFiles, Keys, Running};
use stele_hsm_tests::operator::Operator;
use stele_hsm_tests::scratch::Scratch;
use stele_keeper_client::ClientError;

const KEYS: Keys<'_> = &[
    ("cluster-ca", "ec-p384"),
    ("issuing-ca", "ec-p256"),
    ("access-ca", "ec-p256"),
];
const ORIGIN: &str = "stele.example/witnessed";

/// A witness whose key lies here.
struct Witness {
    name: String,
    key: Ed25519KeyPair,
}

impl Witness {
    fn new(name: &str) -> Self {
        Self {
            name: format!("{name}.example/witness"),
            key: Ed25519KeyPair::generate().unwrap(),
        }
    }

    fn verifier(&self) -> NoteVerifier {
        NoteVerifier::new(&self.name, NoteKeyType::CosignatureV1, self.key.public_key().as_ref()).unwrap()
    }

    /// Its cosignature of a checkpoint, made over `over`.
    fn cosign(&self, over: &str) -> SignatureLine {
        let seconds = now().secs();
        let message = format!("cosignature/v1\ntime {seconds}\n{over}");
        let signature = [&seconds.to_be_bytes(), self.key.sign(message.as_bytes()).as_ref()].concat();
        SignatureLine::new(&self.name, self.verifier().key_id(), signature).unwrap()
    }
}

/// A keeper whose bundle wants two of three witnesses before it signs for a CA.
struct World {
    keeper: Running,
    operators: [Operator; 2],
    bundle: Bundle,
    ca: CaCertificate,
    witnesses: [Witness; 3],
    _scratch: Scratch,
}

impl World {
    fn new(policy: &str) -> Self {
        let scratch = Scratch::new();
        let files = KeeperFiles::init(&scratch, "signer", ORIGIN, KEYS);
        let root = Root::new();
        let operators = [Operator::new(&scratch, "alice"), Operator::new(&scratch, "bob")];
        let both = [&operators[0], &operators[1]];
        let witnesses = ["one", "two", "three"].map(Witness::new);
        let mut texts = authority::files(&both, &files, &root);
        let text = texts.get_mut("authority.toml").unwrap();
        for (witness, name) in witnesses.iter().zip(["one", "two", "three"]) {
            *text += &format!("[[witness]]\nname = \"{name}\"\nvkey = \"{}\"\n", witness.verifier());
        }
        *text += &format!("[witness_policy]\n{policy}");
        let bundle = authority::bundle(0, None, texts);
        files.pin_first_bundle(bundle.digest());
        let keeper = files.start(&scratch);
        let ceremony: Origin = "stele.example/ceremony".parse().unwrap();
        let adopted = authority::adopted(&bundle, &ceremony, &both);
        keeper.client.append(&Body::BundleAdopted(adopted)).unwrap();
        let requested = files.request.keys.iter().find(|k| k.key.as_str() == "cluster-ca");
        let ca = root.issue(requested.unwrap(), 1);
        keeper.client.append(&Body::CaCertificate(ca.clone())).unwrap();
        Self {
            keeper,
            operators,
            bundle,
            ca,
            witnesses,
            _scratch: scratch,
        }
    }

    /// Appends the intent of an intermediate that both operators approved.
    fn ca_intent(&self, attempt: u32) -> u64 {
        let (view, ..) = parse_certificate(&self.ca.certificate.0).unwrap();
        let subject = Root::new().public;
        let spec = CertificateSpec {
            serial: serial(),
            signature: SignatureAlgorithm::EcdsaSha384,
            issuer_der: view.subject_der,
            not_before: now().minus_secs(60),
            not_after: now().plus_secs(30 * 86_400),
            subject: common_name("In-cluster CA"),
            spki_der: subject.spki_der().to_vec(),
            subject_key_identifier: subject.subject_key_identifier(),
            authority_key_identifier: view.subject_key_identifier.unwrap(),
            sans: vec![],
            usages: vec![Usage::CertSign, Usage::CrlSign],
            ca: Some(CaConstraints {
                path_length: Some(0),
                name_constraints: NameConstraints::default(),
            }),
            crl_urls: vec![],
            ca_issuers_urls: vec![],
            ocsp_urls: vec![],
            policies: vec![],
            no_rev_avail: false,
        };
        let intent = self.approved(&spec, attempt);
        self.keeper
            .client
            .append(&Body::Intent(Box::new(intent)))
            .unwrap()
            .index
    }

    fn approved(&self, spec: &CertificateSpec, attempt: u32) -> Intent {
        let tbs = spec.to_tbs_der().unwrap();
        let asked = SignRequest {
            id: "ca".parse().unwrap(),
            profile: "in-cluster-ca".parse().unwrap(),
            issuer: None,
            proof: KeyProof::Pkcs10(vec![]),
            wanted: Wanted::default(),
            context: Context::default(),
        };
        let request = RequestRef {
            caller: CALLER.parse().unwrap(),
            id: asked.id.clone(),
            attempt,
            digest: asked.digest(),
        };
        let sha256 = self.bundle.authority().profile(&asked.profile).unwrap().digest();
        let text = ApprovalText {
            origin: ORIGIN.parse().unwrap(),
            request: request.id.clone(),
            attempt,
            requester: request.caller.clone(),
            tbs_sha256: Digest::of(&tbs),
            profile_sha256: sha256,
            decision: Decision::Approve,
            expires: now().plus_secs(600),
        };
        Intent {
            purpose: Purpose::Intermediate,
            request,
            profile: Some(ProfileRef {
                name: asked.profile.clone(),
                sha256,
            }),
            bundle: Some(self.bundle.digest()),
            key: self.ca.key.clone(),
            spki_sha256: self.ca.spki_sha256,
            algorithm: spec.signature,
            tbs_sha256: Digest::of(&tbs),
            tbs: Payload::Inline(B64(tbs)),
            serial: Some(spec.serial.clone()),
            not_after: Some(Time::from_secs(spec.not_after.secs())),
            asked: Some(asked),
            proposal: None,
            previous: None,
            authority: Authority::Approvals(self.operators.iter().map(|o| o.sign(&text)).collect()),
        }
    }

    /// The newest checkpoint, with these lines under it.
    fn with(&self, lines: impl Fn(&str) -> Vec<SignatureLine>) -> String {
        let note: Note = self.keeper.client.checkpoint().unwrap().parse().unwrap();
        let lines = lines(note.text());
        let own = note.signatures().iter().filter(|l| l.name() == ORIGIN).cloned();
        Note::new(note.text(), own.chain(lines).collect()).unwrap().to_string()
    }

    fn not_signed(&self, index: u64) {
        match self.keeper.client.sign(index, Duration::from_secs(10)) {
            Err(SignFault::NotSigned(KeeperFault::Stopped(why))) if why.starts_with("witnesses: ") => {}
            other => panic!("signed, or not for want of witnesses: {other:?}"),
        }
    }

    fn refused(&self, note: &str, because: &str) {
        match self.keeper.client.cosigned(note) {
            Err(ClientError::Refused { message, .. }) if message.contains(because) => {}
            other => panic!("not refused (`{because}`): {other:?}"),
        }
    }
}

#[test]
fn no_ca_certificate_without_real_cosignatures_over_its_intent() {
    let w = World::new("quorum = 2\nca_intents = true\n");
    let [one, two, three] = &w.witnesses;
    let honest = |text: &str| vec![one.cosign(text), two.cosign(text)];
    // Real cosignatures, but of a tree that does not hold the intent yet.
    w.keeper.client.cosigned(&w.with(honest)).unwrap();
    let index = w.ca_intent(1);
    w.not_signed(index);

    let index = w.ca_intent(2);
    let mallory = Witness::new("mallory");
    let forger = Witness {
        name: two.name.clone(),
        key: Ed25519KeyPair::generate().unwrap(),
    };
    w.refused(&w.with(|text| vec![one.cosign(text)]), "cosigned by 1");
    w.refused(
        &w.with(|text| vec![one.cosign(text), one.cosign(text)]),
        "cosigned by 1",
    );
    w.refused(
        &w.with(|text| vec![one.cosign(text), mallory.cosign(text)]),
        "cosigned by 1",
    );
    // The forger's line has another key id; with the true one's id over it, it does not verify.
    w.refused(
        &w.with(|text| vec![one.cosign(text), forger.cosign(text)]),
        "cosigned by 1",
    );
    let impostor = |text: &str| {
        let signature = forger.cosign(text).signature().to_vec();
        SignatureLine::new(&two.name, two.verifier().key_id(), signature).unwrap()
    };
    w.refused(&w.with(|text| vec![one.cosign(text), impostor(text)]), "do not fit");
    w.refused(
        &w.with(|text| vec![one.cosign(text), two.cosign(&text.replace('\n', "\n\n"))]),
        "do not fit",
    );
    // A checkpoint that is not this log's own, cosigned by everybody.
    let checkpoint = Checkpoint {
        origin: ORIGIN.parse().unwrap(),
        size: index + 1,
        root: Digest([1; 32]),
    };
    let stranger = Ed25519KeyPair::generate().unwrap();
    let body = checkpoint.body();
    let key = NoteVerifier::new(ORIGIN, NoteKeyType::Ed25519, stranger.public_key().as_ref()).unwrap();
    let own = SignatureLine::new(ORIGIN, key.key_id(), stranger.sign(body.as_bytes()).as_ref().to_vec()).unwrap();
    let lines = vec![own, one.cosign(&body), two.cosign(&body), three.cosign(&body)];
    w.refused(
        &Note::new(&body, lines).unwrap().to_string(),
        "no signature by a known key of the log",
    );
    w.not_signed(index);

    // What the keeper writes about it, nobody else does.
    let body = Body::Cosigned(Cosigned {
        intent: index,
        checkpoint: w.with(honest),
    });
    let claimed = w.keeper.client.append(&body);
    assert!(
        matches!(&claimed, Err(KeeperFault::Refused(why)) if why.contains("keeper alone")),
        "{claimed:?}"
    );

    let index = w.ca_intent(3);
    w.keeper.client.cosigned(&w.with(honest)).unwrap();
    w.keeper.client.sign(index, Duration::from_secs(10)).unwrap();
    let record = w.keeper.client.record(index + 1).unwrap();
    assert!(
        matches!(&record.body, Body::Cosigned(c) if c.intent == index),
        "{record:?}"
    );
}

#[test]
fn the_checkpoint_carries_what_was_cosigned_and_no_more() {
    let w = World::new("quorum = 2\n");
    let [one, two, three] = &w.witnesses;
    let mallory = Witness::new("mallory");
    w.keeper
        .client
        .cosigned(&w.with(|text| vec![one.cosign(text), two.cosign(text), mallory.cosign(text)]))
        .unwrap();
    let names = || -> Vec<String> {
        let note: Note = w.keeper.client.published().unwrap().parse().unwrap();
        note.signatures().iter().map(|l| l.name().to_owned()).collect()
    };
    assert_eq!(names(), [ORIGIN, &one.name, &two.name]);
    // A third that comes late is added to the same checkpoint.
    w.keeper
        .client
        .cosigned(&w.with(|text| vec![three.cosign(text), one.cosign(text)]))
        .unwrap();
    let mut all = names();
    all.sort();
    let mut expected = [ORIGIN, &one.name, &two.name, &three.name].map(str::to_owned);
    expected.sort();
    assert_eq!(all, expected);
}

#[test]
fn hearsay_about_another_history_is_not_recorded_as_its_proof() {
    let w = World::new("quorum = 2\n");
    let hearsay = Body::Halted(Halted {
        reason: HaltReason::ConflictingCheckpoint,
        found: "somebody said so".to_owned(),
        checkpoint: Some("not looked at".to_owned()),
    });
    let said = w.keeper.client.append(&hearsay);
    assert!(
        matches!(&said, Err(KeeperFault::Refused(why)) if why.contains("seen")),
        "{said:?}"
    );
    // Its own checkpoint and those of others halt nothing.
    w.keeper.client.seen(&w.keeper.client.checkpoint().unwrap()).unwrap();
    assert!(w.keeper.client.seen("no note").is_err());
    assert_eq!(w.keeper.client.status().unwrap().stopped, None);
}
