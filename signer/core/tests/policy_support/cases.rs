//! A preset's case: what it issues, or the rules that it names when it refuses.

use stele_core::authority::ceiling;
use stele_core::keycheck::PublicKey;
use stele_core::lint::lint;
use stele_core::names::{Attribute, AttributeType, Subject, Usage};
use stele_core::profile::{Context, Decided, Issuer, Profile, Proposal};
use stele_core::tbs::parse_tbs;

use super::{decide_for, presets, profile, proposal, root_issuer, rules, sans};

/// Decided, linted and within its key's ceiling.
pub fn passes(name: &str, proposal: &Proposal) -> Decided {
    let bundle = presets();
    let profile = profile(bundle.authority(), name);
    let decided = decide_for(proposal, profile, &issuer_of(profile)).unwrap_or_else(|r| panic!("{name}: {r}"));
    let tbs = decided.build().unwrap();
    lint(&tbs, &profile.waivers).unwrap_or_else(|r| panic!("{name}: {r}"));
    let limit = bundle.authority().ceiling(decided.issuer()).unwrap();
    ceiling::check(&parse_tbs(&tbs).unwrap(), limit).unwrap_or_else(|r| panic!("{name}: {r}"));
    decided
}

pub fn issuer_of(profile: &Profile) -> Issuer {
    root_issuer(profile.issuers.first().unwrap().as_str())
}

/// Refused for exactly these rules.
pub fn fails(name: &str, proposal: &Proposal, expected: &[&str]) {
    let bundle = presets();
    let profile = profile(bundle.authority(), name);
    let decided = decide_for(proposal, profile, &issuer_of(profile));
    let refusal = decided
        .and_then(|d| lint(&d.build().unwrap(), &profile.waivers))
        .unwrap_err();
    assert_eq!(rules(&refusal), expected, "{name}: {refusal}");
}

pub fn asked(subject: Subject, names: &[&str], usages: &[Usage]) -> Proposal {
    Proposal {
        subject,
        sans: sans(names),
        usages: (!usages.is_empty()).then(|| usages.to_vec()),
        ..proposal()
    }
}

pub fn node_subject(node: &str) -> Subject {
    Subject(vec![
        Attribute::new(AttributeType::Organization, "system:nodes"),
        Attribute::new(AttributeType::CommonName, format!("system:node:{node}")),
    ])
}

/// A subject of these attributes: `O=x`, `CN=y`, in this order.
pub fn named(attributes: &[&str]) -> Subject {
    let one = |text: &&str| {
        let (kind, value) = text.split_once('=').unwrap();
        let kind = AttributeType::ALL.into_iter().find(|k| k.name() == kind).unwrap();
        Attribute::new(kind, value)
    };
    Subject(attributes.iter().map(one).collect())
}

/// The same for an RSA key of 2048 bits, as kubeadm makes them.
pub fn with_rsa(proposal: Proposal) -> Proposal {
    static SPKI: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let spki = SPKI.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let made = super::openssl(
            dir.path(),
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem",
        );
        assert!(made.0, "{}", made.1);
        assert!(super::openssl(dir.path(), "pkey -in key.pem -pubout -outform DER -out key.der").0);
        std::fs::read(dir.path().join("key.der")).unwrap()
    });
    let key = PublicKey::from_spki_der(spki).unwrap();
    Proposal {
        key_algorithm: key.algorithm(),
        spki_der: spki.clone(),
        ski: key.subject_key_identifier(),
        ..proposal
    }
}

/// What the API server vouches for about a pod.
pub fn pod_context() -> Context {
    Context {
        namespace: Some("prod".to_owned()),
        service_account: Some("web".to_owned()),
        pod: Some("web-0".to_owned()),
        pod_uid: Some("3f0c".to_owned()),
        node: Some("node-1".to_owned()),
        ..Context::default()
    }
}
