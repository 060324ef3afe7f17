//! A signer's log: keys, a ceremony's hand-over, leaves, an intermediate that an operator approved, stops and CRLs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stele_core::authority::Bundle;
use stele_core::authority::texts::{ApprovalText, BundleText, Decision as Word, StopAction, StopText};
use stele_core::crl::{CrlSpec, Reason, Revocation as Listed};
use stele_core::record::*;
use stele_core::request::{KeyProof, SignRequest, Wanted};
use stele_core::tbs::{CertificateSpec, RootSpec, csr_info};
use stele_core::types::{B64, Digest, KeyName, Serial, Time};

use super::keys::{Key, certificate, serial, ssh_line, ssh_sign, subject};
use super::{DAY, Log, NOW};

pub const ORIGIN: &str = "signer.example/1";
pub const CEREMONY: &str = "ceremony.example/1";
/// Seeds of the operators' keys; alice is in the bundle, mallory is nobody.
pub const ALICE: u8 = 41;
pub const MALLORY: u8 = 66;

/// The log and where in it things stand.
pub struct Signer {
    pub log: Log,
    pub bundle: Bundle,
    pub bundle_at: u64,
    /// Intent of the first CSR.
    pub csr: u64,
    /// Intents of the leaves with serials 11, 12 and 13; the second is unknown, the third was issued.
    pub leaves: [u64; 3],
    pub revocation: u64,
    /// Intents of both CRLs.
    pub crls: [u64; 2],
    pub proposal: u64,
    pub decision: u64,
    pub intermediate: u64,
    pub freeze: u64,
    pub unfreeze: u64,
}

pub fn issuing() -> Key {
    Key::p256(1)
}

pub fn cluster() -> Key {
    Key::p384(2)
}

pub fn root_key() -> Key {
    Key::p384(3)
}

/// The presets as a bundle, with real keys.
pub fn bundle(number: u64, predecessor: Option<Digest>) -> Bundle {
    // Of the crates that share this some lie beside the core, some outside of `signer`.
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let base = [here.join("../presets"), here.join("../signer/presets")];
    let base = base.into_iter().find(|path| path.exists()).unwrap();
    let mut authority = std::fs::read_to_string(base.join("authority.toml")).unwrap();
    let line = authority
        .lines()
        .find(|l| l.starts_with("keys = [\"ssh-"))
        .unwrap()
        .to_owned();
    authority = authority.replace(&line, &format!("keys = [\"{}\"]", ssh_line(ALICE)));
    for (n, key) in [(3, issuing()), (2, cluster())] {
        let placeholder = format!("{n:064x}");
        assert!(authority.contains(&placeholder));
        authority = authority.replace(&placeholder, &key.public().digest().to_string());
    }
    let mut files = BTreeMap::from([("authority.toml".to_owned(), authority)]);
    for entry in std::fs::read_dir(base.join("profiles")).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("profiles/{}", path.file_name().unwrap().to_str().unwrap());
        files.insert(name, std::fs::read_to_string(&path).unwrap());
    }
    Bundle::build(number, predecessor, files).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

pub fn adopted(bundle: &Bundle, signers: &[u8]) -> Body {
    let text = BundleText {
        origin: CEREMONY.parse().unwrap(),
        number: bundle.number(),
        predecessor: bundle.predecessor(),
        bundle_sha256: bundle.digest(),
        expires: Time::from_secs(NOW + DAY),
    };
    Body::BundleAdopted(BundleAdopted {
        number: bundle.number(),
        sha256: bundle.digest(),
        predecessor: bundle.predecessor(),
        bundle: Payload::Inline(B64(bundle.bytes().to_vec())),
        texts: signers.iter().map(|seed| ssh_sign(*seed, &text)).collect(),
    })
}

pub fn root() -> CertificateSpec {
    let public = root_key().public();
    RootSpec {
        serial: serial(1),
        signature: root_key().algorithm(),
        subject: subject("Root"),
        spki_der: public.spki_der().to_vec(),
        subject_key_identifier: public.subject_key_identifier(),
        not_before: Time::from_secs(NOW - DAY),
        not_after: Time::from_secs(NOW + 3650 * DAY),
        path_length: None,
    }
    .into_certificate()
    .unwrap()
}

pub fn root_der() -> Vec<u8> {
    root_key().sign(&root().to_tbs_der().unwrap())
}

pub fn request(id: &str) -> RequestRef {
    RequestRef {
        caller: "uri:spiffe://stele/caller/cluster-signer".parse().unwrap(),
        id: id.parse().unwrap(),
        attempt: 1,
        digest: Digest::of(id.as_bytes()),
    }
}

/// A whole request for a certificate of `key`.
pub fn asked(id: &str, profile: &str, key: &Key) -> SignRequest {
    let info = csr_info(&subject("asked"), key.public().spki_der()).unwrap();
    SignRequest {
        id: id.parse().unwrap(),
        profile: profile.parse().unwrap(),
        issuer: None,
        proof: KeyProof::Pkcs10(key.sign(&info)),
        wanted: Wanted::default(),
        context: Default::default(),
    }
}

/// A blank intent of `key` over these bytes.
pub fn intent(purpose: Purpose, id: &str, name: &str, key: &Key, tbs: Vec<u8>) -> Intent {
    Intent {
        purpose,
        request: request(id),
        profile: None,
        bundle: None,
        key: name.parse().unwrap(),
        spki_sha256: key.public().digest(),
        algorithm: key.algorithm(),
        tbs_sha256: Digest::of(&tbs),
        tbs: Payload::Inline(B64(tbs)),
        serial: None,
        not_after: None,
        asked: None,
        proposal: None,
        previous: None,
        authority: Authority::Policy,
    }
}

/// The outcome of an intent: `key` signs the TBS.
pub fn issued(at: u64, intent: &Intent, key: &Key) -> Issued {
    let Payload::Inline(tbs) = &intent.tbs else {
        panic!("chunked")
    };
    let whole = key.sign(&tbs.0);
    Issued {
        intent: at,
        request: intent.request.clone(),
        purpose: intent.purpose,
        key: intent.key.clone(),
        serial: intent.serial.clone(),
        sha256: Digest::of(&whole),
        signed: Payload::Inline(B64(whole)),
    }
}

pub fn profile(bundle: &Bundle, name: &str) -> ProfileRef {
    let name = name.parse().unwrap();
    let sha256 = bundle.authority().profile(&name).unwrap().digest();
    ProfileRef { name, sha256 }
}

/// The intent of a leaf with serial `n` from the issuing CA.
pub fn leaf(bundle: &Bundle, n: u8) -> Intent {
    leaf_of(
        bundle,
        &certificate(n, &format!("node {n}"), &Key::p256(n), ("Issuing", &issuing()), None),
    )
}

pub fn leaf_of(bundle: &Bundle, spec: &CertificateSpec) -> Intent {
    let tbs = spec.to_tbs_der().unwrap();
    Intent {
        profile: Some(profile(bundle, "kubelet-client")),
        bundle: Some(bundle.digest()),
        serial: Some(spec.serial.clone()),
        not_after: Some(spec.not_after),
        ..intent(
            Purpose::Leaf,
            &format!("leaf-{}", spec.serial),
            "kubernetes-ca",
            &issuing(),
            tbs,
        )
    }
}

/// The intent of a CRL of the issuing CA.
pub fn crl(bundle: &Bundle, number: u64, now: Time, revoked: &[(Serial, Listed)]) -> Intent {
    let spec = CrlSpec {
        signature: issuing().algorithm(),
        issuer_der: subject("Issuing").to_der().unwrap(),
        issuer_key_identifier: issuing().public().subject_key_identifier().to_vec(),
        number,
        this_update: now,
        next_update: now.plus_secs(DAY),
        revoked: revoked.iter().cloned().collect(),
    };
    Intent {
        bundle: Some(bundle.digest()),
        ..intent(
            Purpose::Crl,
            &format!("crl-{number}"),
            "kubernetes-ca",
            &issuing(),
            spec.to_tbs_der().unwrap(),
        )
    }
}

/// An intermediate below the cluster CA, as it is proposed.
pub fn proposal(bundle: &Bundle, n: u8) -> Proposal {
    let spec = certificate(
        n,
        "in-cluster CA",
        &Key::p256(n),
        ("Cluster", &cluster()),
        Some(Some(0)),
    );
    let tbs = spec.to_tbs_der().unwrap();
    let id = format!("intermediate-{n}");
    let asked = asked(&id, "cluster-intermediate", &Key::p256(n));
    Proposal {
        request: RequestRef {
            digest: asked.digest(),
            ..request(&id)
        },
        profile: profile(bundle, "cluster-intermediate"),
        bundle: bundle.digest(),
        purpose: Purpose::Intermediate,
        key: "cluster-ca".parse().unwrap(),
        algorithm: cluster().algorithm(),
        tbs_sha256: Digest::of(&tbs),
        tbs: B64(tbs),
        serial: spec.serial,
        asked,
        need: Need {
            m: 1,
            role: "approver".to_owned(),
        },
        expires: Time::from_secs(NOW + DAY),
    }
}

pub fn approval(p: &Proposal) -> ApprovalText {
    ApprovalText {
        origin: ORIGIN.parse().unwrap(),
        request: p.request.id.clone(),
        attempt: p.request.attempt,
        requester: p.request.caller.clone(),
        tbs_sha256: p.tbs_sha256,
        profile_sha256: p.profile.sha256,
        decision: Word::Approve,
        expires: p.expires,
    }
}

pub fn approved(p: &Proposal, at: u64, texts: Vec<stele_core::types::SignedText>) -> Intent {
    Intent {
        purpose: p.purpose,
        request: p.request.clone(),
        profile: Some(p.profile.clone()),
        bundle: Some(p.bundle),
        serial: Some(p.serial.clone()),
        not_after: Some(Time::from_secs(NOW + 365 * DAY)),
        asked: Some(p.asked.clone()),
        proposal: Some(at),
        authority: Authority::Approvals(texts),
        ..intent(p.purpose, "x", "cluster-ca", &cluster(), p.tbs.0.clone())
    }
}

impl Log {
    /// Pushes the intent and the outcome that `key` makes of it.
    pub fn sign(&mut self, intent: Intent, key: &Key) -> u64 {
        let outcome = issued(self.records.len() as u64, &intent, key);
        let at = self.push(Body::Intent(Box::new(intent)));
        self.push(Body::Issued(Box::new(outcome)));
        at
    }

    pub fn key(&mut self, name: &str, key: &Key) {
        self.push(Body::KeyGenerated(KeyGenerated {
            key: name.parse().unwrap(),
            role: KeyRole::Ca,
            algorithm: key.public().algorithm(),
            spki: B64(key.public().spki_der().to_vec()),
            spki_sha256: key.public().digest(),
            cka_id: "01".to_owned(),
            provenance: "generated".to_owned(),
            authority: Authority::Bootstrap,
        }));
    }

    fn csr(&mut self, name: &str, key: &Key) -> u64 {
        let info = csr_info(&subject(name), key.public().spki_der()).unwrap();
        let intent = Intent {
            authority: Authority::Bootstrap,
            ..intent(Purpose::Csr, &format!("csr-{name}"), name, key, info)
        };
        self.sign(intent, key)
    }

    fn ca(&mut self, name: &str, certificate: Vec<u8>, spki_sha256: Digest, chain: &[Vec<u8>]) {
        self.push(Body::CaCertificate(CaCertificate {
            key: name.parse().unwrap(),
            spki_sha256,
            certificate: B64(certificate),
            chain: chain.iter().cloned().map(B64).collect(),
            crl: None,
        }));
    }
}

fn listed(log: &Log, at: u64, reason: Reason) -> Listed {
    Listed {
        date: log.records[at as usize].time,
        reason,
    }
}

/// Builds the log; it verifies clean.
pub fn build() -> Signer {
    let mut log = Log::new(ORIGIN, 7, LogPurpose::Signer);
    log.key("kubernetes-ca", &issuing());
    log.key("cluster-ca", &cluster());
    let csr = log.csr("kubernetes-ca", &issuing());
    log.csr("cluster-ca", &cluster());
    let other = Log::new(CEREMONY, 8, LogPurpose::Ceremony);
    log.push(Body::CeremonyImported(CeremonyImported {
        origin: CEREMONY.parse().unwrap(),
        vkey: other.vkey().to_string(),
        checkpoint: other.checkpoint(&other.raw()),
        handover_sha256: Digest::of(b"hand-over"),
    }));
    let bundle = bundle(0, None);
    let bundle_at = log.push(adopted(&bundle, &[ALICE]));
    log.ca("root", root_der(), root_key().public().digest(), &[]);
    for (name, cn, key, path) in [
        ("kubernetes-ca", "Issuing", issuing(), 0),
        ("cluster-ca", "Cluster", cluster(), 1),
    ] {
        let mut spec = certificate(path + 2, cn, &key, ("Root", &root_key()), Some(Some(path)));
        spec.not_after = Time::from_secs(NOW + 1000 * DAY);
        let der = root_key().sign(&spec.to_tbs_der().unwrap());
        log.ca(name, der, key.public().digest(), &[root_der()]);
    }
    let first = log.sign(leaf(&bundle, 11), &issuing());
    let second = log.push(Body::Intent(Box::new(leaf(&bundle, 12))));
    let unknown = log.push(Body::Unknown(Unknown {
        intent: second,
        key: "kubernetes-ca".parse().unwrap(),
        serial: Some(serial(12)),
        not_after: Some(Time::from_secs(NOW + 30 * DAY)),
        reason: "the connection was lost".to_owned(),
    }));
    let third = log.sign(leaf(&bundle, 13), &issuing());
    let gone = (serial(12), listed(&log, unknown, Reason::Unspecified));
    let first_crl = log.sign(crl(&bundle, 1, log.now(), std::slice::from_ref(&gone)), &issuing());
    let revocation = log.push(Body::Revocation(Revocation {
        key: "kubernetes-ca".parse().unwrap(),
        serial: serial(11),
        not_after: Time::from_secs(NOW + 30 * DAY),
        reason: Reason::KeyCompromise,
        by: "uri:spiffe://stele/operator/alice".parse().unwrap(),
        texts: Vec::new(),
        comment: None,
    }));
    let revoked = (serial(11), listed(&log, revocation, Reason::KeyCompromise));
    let second_crl = log.sign(crl(&bundle, 2, log.now(), &[gone, revoked]), &issuing());
    let wanted = proposal(&bundle, 21);
    let text = ssh_sign(ALICE, &approval(&wanted));
    let proposed = log.push(Body::Proposal(Box::new(wanted.clone())));
    let decision = log.push(Body::Decision(Decision {
        proposal: proposed,
        operator: "alice".parse().unwrap(),
        approve: true,
        text: text.clone(),
        comment: None,
    }));
    let intermediate = log.sign(approved(&wanted, proposed, vec![text]), &cluster());
    let target = FreezeTarget::Issuer("kubernetes-ca".parse::<KeyName>().unwrap());
    let freeze = log.push(Body::Freeze(Freeze {
        target: target.clone(),
        reason: "a drill".to_owned(),
        by: "uri:spiffe://stele/operator/alice".parse().unwrap(),
    }));
    let stop = StopText {
        origin: ORIGIN.parse().unwrap(),
        action: StopAction::Unfreeze,
        target: "key:kubernetes-ca".to_owned(),
        reason: "the drill is over".to_owned(),
        expires: Time::from_secs(NOW + DAY),
    };
    let unfreeze = log.push(Body::Unfreeze(Unfreeze {
        target,
        texts: vec![ssh_sign(ALICE, &stop)],
    }));
    Signer {
        log,
        bundle,
        bundle_at,
        csr,
        leaves: [first, second, third],
        revocation,
        crls: [first_crl, second_crl],
        proposal: proposed,
        decision,
        intermediate,
        freeze,
        unfreeze,
    }
}
