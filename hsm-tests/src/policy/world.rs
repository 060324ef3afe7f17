//! The presets with CAs whose keys lie in this process, and random requests under them.

use std::collections::BTreeMap;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
};
use stele_core::Refusal;
use stele_core::authority::{Bundle, ceiling};
use stele_core::csr::Csr;
use stele_core::keycheck::PublicKey;
use stele_core::lint::lint;
use stele_core::names::{Attribute, San, Subject, Usage};
use stele_core::profile::{
    AttributeRule, Context, ContextField, Inputs, Issuer, Kind, Profile, Proposal, Requester, decide,
};
use stele_core::tbs::{RootSpec, assemble, parse_tbs};
use stele_core::types::{CallerName, CallerSan, KeyAlgorithm, KeyName, SignatureAlgorithm};

use super::random::Random;
use crate::hierarchy::{common_name, now, serial};
use crate::scratch::repository;

/// What names are made of: ordinary labels, and what people and attackers write.
const GOOD: [&str; 8] = [
    "web",
    "a",
    "node-7",
    "x1",
    "kube-system",
    "prod",
    "xn--bcher-kva",
    "b-2-c",
];
const ODD: [&str; 12] = [
    "under_score",
    "-bad",
    "bad-",
    "UPPER",
    "xn--a",
    "ab--cd",
    "10",
    "*",
    "bücher",
    "a b",
    "system:masters",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// The files of `signer/presets`.
pub(super) fn preset_files() -> BTreeMap<String, String> {
    let base = repository().join("signer/presets");
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("a preset");
    let mut files = BTreeMap::from([("authority.toml".to_owned(), read(&base.join("authority.toml")))]);
    for entry in std::fs::read_dir(base.join("profiles")).expect("presets").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        files.insert(format!("profiles/{name}"), read(&entry.path()));
    }
    files
}

/// The presets and what can issue under them.
pub struct World {
    bundle: Bundle,
    key: EcdsaKeyPair,
    ca: Vec<u8>,
    public: PublicKey,
    subjects: Vec<PublicKey>,
}

impl World {
    /// Reads the presets and makes keys.
    pub fn new() -> Self {
        let bundle = Bundle::build(0, None, preset_files()).expect("the presets");
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        let public = PublicKey::from_ec_point(KeyAlgorithm::EcP256, key.public_key().as_ref()).expect("a public key");
        let spec = RootSpec {
            serial: serial(),
            signature: SignatureAlgorithm::EcdsaSha256,
            subject: common_name("Policy Test CA"),
            spki_der: public.spki_der().to_vec(),
            subject_key_identifier: public.subject_key_identifier(),
            not_before: now().minus_secs(86_400),
            not_after: now().plus_secs(86_400 * 3650),
            path_length: Some(1),
        };
        let mut world = Self {
            bundle,
            key,
            ca: Vec::new(),
            public,
            subjects: subjects(),
        };
        let tbs = spec.into_certificate().and_then(|c| c.to_tbs_der()).expect("a TBS");
        world.ca = world.certify(&tbs);
        world
    }

    /// Every preset.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.bundle.authority().profiles().values()
    }

    /// The CA of all of them, as the issuer of a name.
    pub fn issuer(&self, name: &KeyName) -> Issuer {
        Issuer::from_chain(name.clone(), self.public.algorithm(), std::slice::from_ref(&self.ca)).expect("a chain")
    }

    /// Signs bytes, as the door does with a token.
    pub fn certify(&self, tbs: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(&SystemRandom::new(), tbs).expect("a signature");
        assemble(tbs, SignatureAlgorithm::EcdsaSha256, signature.as_ref()).expect("a certificate")
    }

    /// Decides, builds, lints, and holds to the ceiling: the bytes that would be signed.
    ///
    /// # Errors
    /// Why they would not be.
    pub fn issue(&self, profile: &Profile, proposal: &Proposal) -> Result<Vec<u8>, Refusal> {
        let name = profile.issuers.first().expect("an issuer");
        self.issue_by(profile, proposal, &self.issuer(name))
    }

    /// As [`Self::issue`], by an issuer that is there already.
    ///
    /// # Errors
    /// Why they would not be.
    pub fn issue_by(&self, profile: &Profile, proposal: &Proposal, issuer: &Issuer) -> Result<Vec<u8>, Refusal> {
        let authority = self.bundle.authority();
        let (caller, san) = self.requester(profile);
        let own = std::iter::once(profile.name().clone()).collect();
        let requester = match &caller {
            Some(name) => Requester::Caller { name, san: &san },
            None => Requester::Enrolment { profiles: &own },
        };
        let inputs = Inputs {
            now: now(),
            serial: &serial(),
            issuer,
            requester,
            known_callers: authority.known_callers(),
        };
        let decided = decide(proposal, profile, &inputs)?;
        let tbs = decided.build()?;
        lint(&tbs, &profile.waivers)?;
        ceiling::check(&parse_tbs(&tbs)?, authority.ceiling(&issuer.name).expect("a ceiling"))?;
        Ok(tbs)
    }

    fn requester(&self, profile: &Profile) -> (Option<CallerName>, CallerSan) {
        let name = profile.callers.first();
        let known = name.and_then(|name| self.bundle.authority().callers().get(name));
        match known {
            Some(caller) => (Some(caller.name.clone()), caller.san.clone()),
            None => (None, "dns:nobody.example".parse().expect("a caller")),
        }
    }

    /// A request under the profile: mostly what it permits, sometimes not.
    pub(super) fn random_request(&self, profile: &Profile, random: &mut Random) -> Proposal {
        let context = context(profile, random);
        let sans = match (&profile.kind, self.requester(profile).1) {
            (Kind::Caller, CallerSan::Uri(uri)) => vec![San::Uri(uri)],
            _ => sans(profile, &context, random),
        };
        let subject = subject(profile, &sans, &context, random);
        let permitted = |key: &&PublicKey| profile.key_algorithms.contains(&key.algorithm());
        let keys: Vec<&PublicKey> = self.subjects.iter().filter(permitted).collect();
        let key = random.pick(&keys);
        let (low, high) = (profile.validity.min.0, profile.validity.max.0);
        let span = usize::try_from(high - low + 1).expect("a lifetime");
        Proposal {
            subject,
            sans,
            names_from_csr: false,
            unrepresentable: Vec::new(),
            usages: (!random.once_in(2)).then(|| usages(profile, random)),
            basic_constraints: matches!(profile.kind, Kind::Intermediate(_)).then_some((true, Some(0))),
            other_extensions: Vec::new(),
            key_algorithm: key.algorithm(),
            spki_der: key.spki_der().to_vec(),
            ski: key.subject_key_identifier(),
            validity_secs: (!random.once_in(2)).then(|| low + u64::try_from(random.below(span)).expect("seconds")),
            not_after: None,
            context,
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// A key of each algorithm, out of a real CSR.
fn subjects() -> Vec<PublicKey> {
    let keys = [
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
        KeyPair::generate_for(&PKCS_ED25519),
        KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048),
        KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, rcgen::RsaKeySize::_3072),
        KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, rcgen::RsaKeySize::_4096),
    ];
    let public = |key: Result<KeyPair, rcgen::Error>| {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = params.serialize_request(&key.expect("a key")).expect("a CSR");
        Csr::prove(request.der(), &Default::default())
            .expect("a good CSR")
            .public_key()
            .clone()
    };
    keys.into_iter().map(public).collect()
}

fn word(random: &mut Random) -> &'static str {
    if random.once_in(12) {
        random.pick(&ODD)
    } else {
        random.pick(&GOOD)
    }
}

fn context(profile: &Profile, random: &mut Random) -> Context {
    let mut fields = serde_json::Map::new();
    for field in &profile.context {
        let value = match field {
            ContextField::Groups => serde_json::json!(["system:authenticated"]),
            ContextField::Requester => format!("system:node:{}", word(random)).into(),
            _ => word(random).into(),
        };
        fields.insert(field.name().to_owned(), value);
    }
    serde_json::from_value(fields.into()).expect("a context")
}

/// A pattern with its fields filled and words for its stars.
fn expand(pattern: &str, context: &Context, random: &mut Random) -> String {
    let mut text = pattern.to_owned();
    for field in ContextField::ALL {
        text = text.replace(&format!("{{{}}}", field.name()), context.get(field).unwrap_or("absent"));
    }
    while text.contains('*') {
        let star = if text.contains("**") { "**" } else { "*" };
        let with = word(random).replace('*', "star");
        text = text.replacen(star, &with, 1);
    }
    text
}

fn subject(profile: &Profile, sans: &[San], context: &Context, random: &mut Random) -> Subject {
    let mut out = Vec::new();
    for (kind, rule) in &profile.subject {
        let AttributeRule::Request { patterns, required, .. } = rule else {
            continue;
        };
        if !required && random.once_in(2) {
            continue;
        }
        let name = sans.iter().find_map(|san| match san {
            San::Dns(name) if !random.once_in(4) => Some(name.clone()),
            _ => None,
        });
        let pattern = patterns[random.below(patterns.len())].to_string();
        let value = name
            .filter(|_| pattern.starts_with('*'))
            .unwrap_or_else(|| match kind.name() {
                "C" => "DE".to_owned(),
                _ => expand(&pattern, context, random),
            });
        out.push(Attribute::new(*kind, value));
    }
    Subject(out)
}

fn sans(profile: &Profile, context: &Context, random: &mut Random) -> Vec<San> {
    let rules = &profile.sans;
    let mut out = Vec::new();
    if let Some(dns) = rules.dns.as_ref().filter(|rule| !rule.patterns.is_empty()) {
        for _ in 0..random.below(dns.count.max.min(4)) + usize::from(dns.count.min > 0) {
            let pattern = dns.patterns[random.below(dns.patterns.len())].to_string();
            let name = expand(&pattern, context, random);
            let wild = dns.wildcard && pattern.starts_with("**.") && random.once_in(3);
            let rest = name.split_once('.').map(|(_, rest)| rest.to_owned());
            out.push(San::Dns(rest.filter(|_| wild).map_or(name, |rest| format!("*.{rest}"))));
        }
    }
    if let Some(ip) = &rules.ip {
        for _ in 0..random.below(ip.count.max.min(3)) + usize::from(ip.count.min > 0) {
            let net = ip.cidrs[random.below(ip.cidrs.len())];
            out.extend(net.hosts().nth(random.below(200)).or(Some(net.addr())).map(San::Ip));
        }
    }
    if let Some(uri) = rules.uri.as_ref().filter(|rule| !rule.templates.is_empty()) {
        out.push(San::Uri(expand(&uri.templates[0].to_string(), context, random)));
    }
    out
}

fn usages(profile: &Profile, random: &mut Random) -> Vec<Usage> {
    let certain = profile.usages.certain();
    let chosen = profile
        .usages
        .permitted()
        .iter()
        .filter(|u| certain.contains(u) || random.once_in(2));
    chosen.copied().collect()
}
