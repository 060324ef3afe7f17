//! Samples: what a new profile would issue, linted before anybody asks.

use std::collections::BTreeSet;
use std::net::IpAddr;

use const_oid::db::{rfc5912, rfc8410};
use der::Encode as _;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use spki::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::{
    AttributeRule, Context, ContextField, CountRule, Decided, Inputs, Issuer, Profile, Proposal, Requester, decide,
};
use crate::error::{Refusal, Violation};
use crate::lint::lint;
use crate::names::{Attribute, AttributeType, San, Subject};
use crate::types::{CallerSan, KeyAlgorithm, Serial, Time};

/// One algorithm of each family: lints tell only the families apart.
const FAMILIES: [&[KeyAlgorithm]; 3] = [
    &[KeyAlgorithm::EcP256, KeyAlgorithm::EcP384, KeyAlgorithm::EcP521],
    &[KeyAlgorithm::Rsa2048, KeyAlgorithm::Rsa3072, KeyAlgorithm::Rsa4096],
    &[KeyAlgorithm::Ed25519],
];
/// 2027-01-15T08:00:00Z, any time that a certificate can name.
const NOW: Time = Time::from_secs(1_800_000_000);
/// What stands for stars and for context.
const WORD: &str = "sample";

/// Lints what a request that asks for nothing special would get, once for each family of keys that the profile permits.
///
/// # Errors
/// Every lint that a sample breaks.
pub fn lint_samples(profile: &Profile) -> Result<(), Refusal> {
    let mut violations = Vec::new();
    // A profile may demand what cannot be made up here; then there is no sample, and requests tell.
    for (algorithm, decided) in samples(profile) {
        let Ok(decided) = decided else { continue };
        let judged = decided.build().map_err(Refusal::from);
        if let Err(refusal) = judged.and_then(|tbs| lint(&tbs, &profile.waivers)) {
            let in_sample = |v: Violation| Violation {
                found: format!("{}, in a sample for a key {algorithm}", v.found),
                ..v
            };
            violations.extend(refusal.violations.into_iter().map(in_sample));
        }
    }
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Refusal { violations })
    }
}

/// The samples: for which key, and what the profile makes of the request.
pub fn samples(profile: &Profile) -> Vec<(KeyAlgorithm, Result<Decided, Refusal>)> {
    let permitted = |family: &&[KeyAlgorithm]| family.iter().copied().find(|a| profile.key_algorithms.contains(a));
    let algorithms = FAMILIES.iter().filter_map(permitted);
    algorithms.map(|a| (a, sample(profile, a))).collect()
}

fn sample(profile: &Profile, algorithm: KeyAlgorithm) -> Result<Decided, Refusal> {
    let context = context(profile);
    let sans = sans(profile, &context);
    let identity = match sans.first() {
        Some(San::Uri(uri)) => CallerSan::Uri(uri.clone()),
        Some(San::Dns(name)) => CallerSan::Dns(name.clone()),
        _ => CallerSan::Unix(WORD.to_owned()),
    };
    let own = BTreeSet::from([profile.name().clone()]);
    let inputs = Inputs {
        now: NOW,
        serial: &Serial::from_entropy([0x53; 20]),
        issuer: &issuer(profile)?,
        requester: match profile.callers.first() {
            Some(name) => Requester::Caller { name, san: &identity },
            None => Requester::Enrolment { profiles: &own },
        },
        known_callers: &BTreeSet::from([identity.clone()]),
    };
    let proposal = Proposal {
        subject: subject(profile, &context, &sans),
        sans,
        names_from_csr: false,
        unrepresentable: Vec::new(),
        usages: None,
        basic_constraints: None,
        other_extensions: Vec::new(),
        key_algorithm: algorithm,
        spki_der: spki(algorithm)?,
        ski: [0x53; 20],
        validity_secs: None,
        not_after: None,
        context,
    };
    decide(&proposal, profile, &inputs)
}

fn issuer(profile: &Profile) -> Result<Issuer, Refusal> {
    let name = profile.issuers.first().ok_or_else(|| Refusal {
        violations: vec![Violation::new("issuers", "no-issuer", "none", "at least one CA key")],
    })?;
    let fits = |a: &KeyAlgorithm| profile.signature.is_none_or(|signature| signature.fits(*a));
    let key_algorithm = FAMILIES.into_iter().flatten().copied().find(fits);
    Ok(Issuer {
        name: name.clone(),
        subject_der: Subject(vec![Attribute::new(AttributeType::CommonName, name.as_str())]).to_der()?,
        ski: vec![0x49; 20],
        key_algorithm: key_algorithm.unwrap_or(KeyAlgorithm::EcP256),
        not_before: Time::from_secs(0),
        not_after: Time::from_millis(u64::MAX),
        path_length: None,
        name_constraints: Vec::new(),
    })
}

/// A key of which only the algorithm means something.
fn spki(algorithm: KeyAlgorithm) -> Result<Vec<u8>, Refusal> {
    let curve = |curve: &'static ObjectIdentifier| (rfc5912::ID_EC_PUBLIC_KEY, Some(AnyRef::from(curve)));
    let (oid, parameters) = match algorithm {
        KeyAlgorithm::EcP256 => curve(&rfc5912::SECP_256_R_1),
        KeyAlgorithm::EcP384 => curve(&rfc5912::SECP_384_R_1),
        KeyAlgorithm::EcP521 => curve(&rfc5912::SECP_521_R_1),
        KeyAlgorithm::Ed25519 => (rfc8410::ID_ED_25519, None),
        _ => (rfc5912::RSA_ENCRYPTION, Some(AnyRef::NULL)),
    };
    let encoded = BitStringRef::from_bytes(&[0x53; 32]).and_then(|key| {
        SubjectPublicKeyInfo {
            algorithm: AlgorithmIdentifier { oid, parameters },
            subject_public_key: key,
        }
        .to_der()
    });
    encoded.map_err(|e| Refusal::from(crate::error::Error::malformed("sample key", e.to_string(), "a key")))
}

/// Every field that the profile trusts; where a rule wants a field to look like something, it does.
fn context(profile: &Profile) -> Context {
    let mut context = Context::default();
    for field in &profile.context {
        set(&mut context, *field, WORD.to_owned());
    }
    for rule in profile.subject.values() {
        if let AttributeRule::Context { template, fits } = rule
            && let (Some(field), Some(wanted)) = (template.fields().next(), fits.first())
            && let Some(value) = wanted.sample(&context, WORD)
        {
            set(&mut context, field, value);
        }
    }
    context
}

fn set(context: &mut Context, field: ContextField, value: String) {
    let place = match field {
        ContextField::Groups => return context.groups = vec![value],
        ContextField::Cluster => &mut context.cluster,
        ContextField::ObjectUid => &mut context.object_uid,
        ContextField::Requester => &mut context.requester,
        ContextField::Namespace => &mut context.namespace,
        ContextField::Pod => &mut context.pod,
        ContextField::PodUid => &mut context.pod_uid,
        ContextField::ServiceAccount => &mut context.service_account,
        ContextField::ServiceAccountUid => &mut context.service_account_uid,
        ContextField::Node => &mut context.node,
        ContextField::NodeUid => &mut context.node_uid,
    };
    *place = Some(value);
}

/// The attributes that a request must name.
fn subject(profile: &Profile, context: &Context, sans: &[San]) -> Subject {
    let dns = sans.iter().find_map(|san| match san {
        San::Dns(name) => Some(name.clone()),
        _ => None,
    });
    let mut out = Vec::new();
    for (kind, rule) in &profile.subject {
        let AttributeRule::Request {
            patterns,
            required: true,
            ..
        } = rule
        else {
            continue;
        };
        let word = if *kind == AttributeType::Country { "AA" } else { WORD };
        // A server's common name is one of its names, where the pattern lets it.
        let named = dns
            .clone()
            .filter(|name| *kind == AttributeType::CommonName && patterns.iter().any(|p| p.matches(name, context)));
        let value = named.or_else(|| patterns.first().and_then(|p| p.sample(context, word)));
        out.extend(value.map(|value| Attribute { kind: *kind, value }));
    }
    Subject(out)
}

/// As many names as there must be, and one where any may be, in the order of the forms.
fn sans(profile: &Profile, context: &Context) -> Vec<San> {
    let rules = &profile.sans;
    let dns = rules.dns.as_ref().map(|rule| {
        let named = |n: usize| Some(San::Dns(nth(&rule.patterns, n)?.sample(context, &numbered(n))?));
        (rule.count, rule.always.len(), Vec::from_iter(up_to(rule.count, named)))
    });
    let ip = rules.ip.as_ref().map(|rule| {
        let named = |n: usize| {
            let net = nth(&rule.cidrs, n)?;
            let host: Option<IpAddr> = net.hosts().nth(n / rule.cidrs.len());
            host.map(San::Ip)
        };
        (rule.count, 0, Vec::from_iter(up_to(rule.count, named)))
    });
    let uri = rules.uri.as_ref().map(|rule| {
        let named = |n: usize| Some(San::Uri(nth(&rule.templates, n)?.sample(context, &numbered(n))?));
        (rule.count, rule.always.len(), Vec::from_iter(up_to(rule.count, named)))
    });
    let email = rules.email.as_ref().map(|rule| {
        let named = |n: usize| Some(San::Email(nth(&rule.patterns, n)?.sample(context, &numbered(n))?));
        (rule.count, 0, Vec::from_iter(up_to(rule.count, named)))
    });
    let forms: Vec<_> = [dns, ip, uri, email].into_iter().flatten().collect();
    let always: usize = forms.iter().map(|(_, always, _)| always).sum();
    let mut out = Vec::new();
    let mut spare = Vec::new();
    for (count, always, names) in forms {
        let needed = count.min.saturating_sub(always);
        let room = count.max.saturating_sub(always);
        spare.extend(names.iter().take(room).skip(needed).cloned());
        out.extend(names.into_iter().take(needed));
    }
    let missing = rules.count.min.max(1).saturating_sub(always + out.len());
    out.extend(spare.into_iter().take(missing));
    out
}

/// The first names of a form, as many as a sample can need.
fn up_to<'a>(count: CountRule, named: impl Fn(usize) -> Option<San> + 'a) -> impl Iterator<Item = San> + 'a {
    (0..count.max.min(16)).map_while(named)
}

fn nth<T>(items: &[T], n: usize) -> Option<&T> {
    items.get(n.checked_rem(items.len())?)
}

fn numbered(n: usize) -> String {
    format!("{WORD}{n}")
}
