//! Lints of names: the subject and the subject alternative names.

use std::net::IpAddr;

use super::punycode::is_label;
use super::{Lint, require};
use crate::names::{AttributeType, San, Usage};
use crate::tbs::{TbsView, oid};

pub(super) const LINTS: &[Lint] = &[
    Lint {
        id: "subject-form",
        citation: "RFC 5280 section 4.1.2.4",
        field: "subject",
        permitted: "one attribute per RDN, of types DC, C, ST, L, O, OU, CN, serialNumber, UID, in the string form that Stele writes",
        waivable: false,
        check: |c| {
            let subject = c.subject.as_ref().map_err(ToString::to_string)?;
            let same = subject.to_der().is_ok_and(|der| der == c.subject_der);
            require(same, || "another string type".to_owned())
        },
    },
    Lint {
        id: "subject-values",
        citation: "RFC 5280 appendix A.1, upper bounds",
        field: "subject",
        permitted: "values of at least one character, within the upper bound, without control characters",
        waivable: false,
        check: subject_values,
    },
    Lint {
        id: "country-code",
        citation: "RFC 5280 appendix A.1, ISO 3166",
        field: "subject.C",
        permitted: "two capital letters",
        waivable: false,
        check: |c| {
            let wrong = |v: &&str| v.len() != 2 || !v.bytes().all(|b| b.is_ascii_uppercase());
            let found = c
                .subject
                .as_ref()
                .ok()
                .and_then(|s| s.values(AttributeType::Country).find(wrong));
            found.map_or(Ok(()), |v| Err(shown(v)))
        },
    },
    Lint {
        id: "subject-or-san",
        citation: "RFC 5280 section 4.1.2.6",
        field: "subject",
        permitted: "a subject, or subject alternative names",
        waivable: false,
        check: |c| require(c.subject_der.len() > 2 || !c.sans.is_empty(), || "neither".to_owned()),
    },
    Lint {
        id: "san-form",
        citation: "RFC 5280 section 4.2.1.6",
        field: "san",
        permitted: "at least one name, and only DNS names, addresses of 4 or 16 octets, URIs and e-mail addresses",
        waivable: false,
        check: |c| {
            if let Some(foreign) = c.foreign_sans.first() {
                return Err(foreign.to_string());
            }
            require(
                c.extension(oid::SUBJECT_ALT_NAME).is_none() || !c.sans.is_empty(),
                || "an empty extension".to_owned(),
            )
        },
    },
    Lint {
        id: "san-once",
        citation: "house rule",
        field: "san",
        permitted: "each name once",
        waivable: false,
        check: |c| {
            let mut sorted: Vec<&San> = c.sans.iter().collect();
            sorted.sort();
            let twice = sorted.iter().zip(sorted.iter().skip(1)).find(|(a, b)| a == b);
            twice.map_or(Ok(()), |(name, _)| Err(shown(&name.to_string())))
        },
    },
    Lint {
        id: "dns-syntax",
        citation: "RFC 5280 section 4.2.1.6, RFC 1034 section 3.5, RFC 6125 section 6.4.3",
        field: "san.dns",
        permitted: "at most 253 characters in labels of 1 to 63 letters, digits and inner hyphens, `*` only as the whole first of at least two labels, no address",
        waivable: false,
        check: |c| each(c, |san| matches!(san, San::Dns(name) if !is_dns_name(name))),
    },
    Lint {
        id: "a-label",
        citation: "RFC 5890 section 2.3.2.1, RFC 5891 section 4.2.3.1, RFC 3492",
        field: "san.dns",
        permitted: "labels with hyphens as third and fourth character only as A-labels: `xn--` and the canonical encoding of a label that is not ASCII",
        waivable: false,
        check: |c| each(c, |san| matches!(san, San::Dns(name) if !name.split('.').all(is_label))),
    },
    Lint {
        id: "uri-syntax",
        citation: "RFC 5280 section 4.2.1.6, RFC 3986",
        field: "san.uri",
        permitted: "an absolute URI of at most 2048 characters that RFC 3986 permits",
        waivable: false,
        check: |c| each(c, |san| matches!(san, San::Uri(uri) if !is_uri(uri))),
    },
    Lint {
        id: "email-syntax",
        citation: "RFC 5280 section 4.2.1.6, RFC 5321 section 4.1.2",
        field: "san.email",
        permitted: "local-part@domain",
        waivable: false,
        check: |c| each(c, |san| matches!(san, San::Email(address) if !is_email(address))),
    },
    Lint {
        id: "spiffe-id",
        citation: "SPIFFE X509-SVID sections 2, 4.1 and 5.2, SPIFFE-ID section 2",
        field: "san.uri",
        permitted: "exactly one URI beside no other, spiffe://trust-domain/path in a leaf and without path in a CA",
        waivable: false,
        check: spiffe_id,
    },
    Lint {
        id: "spiffe-usages",
        citation: "SPIFFE X509-SVID sections 4.3 and 4.4",
        field: "usages",
        permitted: "in a SPIFFE leaf: digital signature, and both or none of server auth and client auth",
        waivable: true,
        check: spiffe_usages,
    },
    Lint {
        id: "server-has-san",
        citation: "RFC 9525 section 2",
        field: "san",
        permitted: "a DNS name, address or URI in a server's certificate",
        waivable: false,
        check: |c| {
            let named = c.sans.iter().any(|s| !matches!(s, San::Email(_)));
            require(c.ca || !has_extended(c, Usage::ServerAuth) || named, || {
                "none".to_owned()
            })
        },
    },
    Lint {
        id: "common-name-in-san",
        citation: "CA/Browser Forum Baseline Requirements section 7.1.4.3",
        field: "subject.CN",
        permitted: "in a server's certificate one of its DNS names or addresses",
        waivable: true,
        check: common_name,
    },
];

/// The first name that is bad, shown.
fn each(c: &TbsView, bad: impl Fn(&San) -> bool) -> Result<(), String> {
    c.sans
        .iter()
        .find(|san| bad(san))
        .map_or(Ok(()), |san| Err(shown(&san.to_string())))
}

fn shown(text: &str) -> String {
    let start: String = text.chars().take(200).collect();
    format!("`{}`", start.escape_debug())
}

fn subject_values(c: &TbsView) -> Result<(), String> {
    let Ok(subject) = &c.subject else { return Ok(()) };
    let fits = |kind: AttributeType, value: &str| {
        (1..=kind.upper_bound()).contains(&value.chars().count()) && !value.chars().any(char::is_control)
    };
    let bad = subject.0.iter().find(|a| !fits(a.kind, &a.value));
    bad.map_or(Ok(()), |a| Err(format!("{} {}", a.kind.name(), shown(&a.value))))
}

pub(super) fn is_dns_name(name: &str) -> bool {
    let base = name.strip_prefix("*.").unwrap_or(name);
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let label =
        |l: &str| (1..=63).contains(&l.len()) && l.bytes().all(inner) && !l.starts_with('-') && !l.ends_with('-');
    name.len() <= 253 && base.split('.').all(label) && !looks_like_address(base)
}

/// Text that a client would read as an address: dotted or plain numbers too, since resolvers accept them.
fn looks_like_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
        || name
            .split('.')
            .next_back()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
}

pub(super) fn is_uri(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
    scheme_ok && !rest.is_empty() && rest != "//" && uri.len() <= 2048 && rest.bytes().all(allowed) && percent_ok(rest)
}

fn percent_ok(rest: &str) -> bool {
    let digits = |s: &str| s.get(..2).is_some_and(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    rest.split('%').skip(1).all(digits)
}

pub(super) fn is_email(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return false;
    };
    let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    let dots = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    (1..=64).contains(&local.len())
        && local.bytes().all(atom)
        && dots
        && is_dns_name(domain)
        && !domain.starts_with('*')
}

fn spiffe_uris(c: &TbsView) -> impl Iterator<Item = &str> {
    c.sans.iter().filter_map(|san| match san {
        San::Uri(uri) if uri.get(..7).is_some_and(|s| s.eq_ignore_ascii_case("spiffe:")) => Some(uri.as_str()),
        _ => None,
    })
}

fn spiffe_id(c: &TbsView) -> Result<(), String> {
    let Some(id) = spiffe_uris(c).next() else { return Ok(()) };
    let uris = c.sans.iter().filter(|s| matches!(s, San::Uri(_))).count();
    require(uris == 1, || format!("{uris} URIs"))?;
    let rest = id.strip_prefix("spiffe://").ok_or_else(|| shown(id))?;
    let (domain, path) = rest.split_once('/').map_or((rest, None), |(d, p)| (d, Some(p)));
    let domain_ok = (1..=255).contains(&domain.len())
        && domain
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b));
    let segment = |s: &str| {
        !s.is_empty() && s != "." && s != ".." && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    let path_ok = match path {
        Some(path) => !c.ca && path.split('/').all(segment),
        None => c.ca,
    };
    require(domain_ok && path_ok, || shown(id))
}

fn spiffe_usages(c: &TbsView) -> Result<(), String> {
    if c.ca || spiffe_uris(c).next().is_none() {
        return Ok(());
    }
    let signs = c
        .key_usages
        .as_ref()
        .is_some_and(|u| u.contains(&Usage::DigitalSignature));
    require(signs, || "no digital signature".to_owned())?;
    let both = has_extended(c, Usage::ServerAuth) && has_extended(c, Usage::ClientAuth);
    require(c.extended_key_usages.is_none() || both, || "one of the two".to_owned())
}

fn common_name(c: &TbsView) -> Result<(), String> {
    if c.ca || !has_extended(c, Usage::ServerAuth) {
        return Ok(());
    }
    let Ok(subject) = &c.subject else { return Ok(()) };
    let repeats = |name: &str| {
        c.sans.iter().any(|san| match san {
            San::Dns(dns) => dns.eq_ignore_ascii_case(name),
            San::Ip(address) => name.parse() == Ok(*address),
            _ => false,
        })
    };
    let other = subject.values(AttributeType::CommonName).find(|name| !repeats(name));
    other.map_or(Ok(()), |name| Err(shown(name)))
}

/// Whether the certificate has this extended key usage.
pub(super) fn has_extended(c: &TbsView, usage: Usage) -> bool {
    let wanted = usage.extended_oid();
    c.extended_key_usages.iter().flatten().any(|id| Some(*id) == wanted)
}
