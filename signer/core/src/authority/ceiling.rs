//! Ceilings: the outermost limits of a CA key. The keeper holds every TBS to them, so that not even a compromised
//! signer process gets more from a key than the operators allowed it.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::error::{Refusal, Violation};
use crate::names::{San, Usage};
use crate::profile::Seconds;
use crate::tbs::{TbsView, oid};

/// What a key may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CeilingKind {
    /// Its own self-signed certificate.
    Root,
    /// Certificates of CAs below it, and cross-certificates.
    Intermediate,
    /// End-entity certificates.
    Leaf,
    /// Revocation lists.
    Crl,
    /// OCSP responses.
    Ocsp,
}

/// The limits of one key. What is absent is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    /// What it may sign.
    pub kinds: BTreeSet<CeilingKind>,
    /// The longest lifetime, notAfter less notBefore.
    pub max_validity: Seconds,
    /// The greatest path length in CA certificates; absent: no CA certificates.
    #[serde(default)]
    pub path_length: Option<u8>,
    /// DNS names: these domains and everything below them.
    #[serde(default)]
    pub dns: Vec<String>,
    /// Addresses: these networks.
    #[serde(default)]
    pub ip: Vec<IpNet>,
    /// URIs: those that begin so; each prefix ends in `/` or stands for itself.
    #[serde(default)]
    pub uri: Vec<String>,
    /// E-mail addresses: exactly these hosts.
    #[serde(default)]
    pub email: Vec<String>,
    /// Extended key usages.
    #[serde(default)]
    pub eku: BTreeSet<Usage>,
}

impl Ceiling {
    /// Whether a name lies within the ceiling.
    #[must_use]
    pub fn covers(&self, san: &San) -> bool {
        match san {
            San::Dns(name) => {
                let name = name.strip_prefix("*.").unwrap_or(name);
                self.dns.iter().any(|base| crate::tbs::dns_within(name, base))
            }
            San::Ip(address) => self.ip.iter().any(|net| net.contains(address)),
            San::Uri(uri) => {
                let under =
                    |prefix: &String| uri == prefix || (prefix.ends_with('/') && uri.starts_with(prefix.as_str()));
                self.uri.iter().any(under) && !uri.split('/').any(|segment| segment == "..")
            }
            San::Email(address) => address
                .rsplit_once('@')
                .is_some_and(|(_, host)| self.email.iter().any(|h| h.eq_ignore_ascii_case(host))),
        }
    }
}

/// Whether a key with this ceiling may sign the certificate.
///
/// # Errors
/// Everything in it that exceeds the ceiling.
pub fn check(tbs: &TbsView, ceiling: &Ceiling) -> Result<(), Refusal> {
    let mut v = Vec::new();
    let beyond =
        |field: &str, found: String, permitted: String| Violation::new(field, "beyond-ceiling", found, permitted);
    let kind = match (tbs.ca, tbs.is_self_issued()) {
        (true, true) => CeilingKind::Root,
        (true, false) => CeilingKind::Intermediate,
        (false, _) => CeilingKind::Leaf,
    };
    if !ceiling.kinds.contains(&kind) {
        v.push(beyond("kind", format!("{kind:?}"), format!("{:?}", ceiling.kinds)));
    }
    let lifetime = tbs.not_after.secs().saturating_sub(tbs.not_before.secs());
    if lifetime > ceiling.max_validity.0 {
        v.push(beyond(
            "validity",
            format!("{lifetime} s"),
            format!("at most {} s ({})", ceiling.max_validity.0, ceiling.max_validity),
        ));
    }
    if tbs.ca {
        check_path_length(tbs, ceiling, kind, &mut v);
    }
    for san in tbs.sans.iter().filter(|san| !ceiling.covers(san)) {
        let permitted = format!(
            "dns {:?}, ip {:?}, uri {:?}, email {:?}",
            ceiling.dns, ceiling.ip, ceiling.uri, ceiling.email
        );
        v.push(beyond(
            "san",
            format!("`{}`", san.to_string().escape_debug()),
            permitted,
        ));
    }
    for foreign in &tbs.foreign_sans {
        v.push(beyond("san", foreign.to_string(), "names of the four forms".to_owned()));
    }
    check_usages(tbs, ceiling, &mut v);
    if v.is_empty() {
        Ok(())
    } else {
        Err(Refusal { violations: v })
    }
}

fn check_path_length(tbs: &TbsView, ceiling: &Ceiling, kind: CeilingKind, v: &mut Vec<Violation>) {
    let fits = match (tbs.path_length, ceiling.path_length) {
        (_, None) => false,
        (Some(asked), Some(most)) => asked <= most,
        // A root's path length may be left open: what hangs below it, its own signatures decide.
        (None, Some(_)) => kind == CeilingKind::Root,
    };
    if !fits {
        let found = tbs.path_length.map_or("without limit".to_owned(), |n| n.to_string());
        let permitted = ceiling
            .path_length
            .map_or("no CA certificate".to_owned(), |n| format!("at most {n}"));
        v.push(Violation::new(
            "basicConstraints.pathLength",
            "beyond-ceiling",
            found,
            permitted,
        ));
    }
}

fn check_usages(tbs: &TbsView, ceiling: &Ceiling, v: &mut Vec<Violation>) {
    let names: Vec<&str> = ceiling.eku.iter().map(|u| u.name()).collect();
    let mut refuse = |found: String| v.push(Violation::new("extKeyUsage", "beyond-ceiling", found, names.join(", ")));
    if !tbs.ca && tbs.extended_key_usages.is_none() {
        refuse("none, which is good for everything".to_owned());
    }
    for id in tbs.extended_key_usages.iter().flatten() {
        if !Usage::from_extended_oid(*id).is_some_and(|usage| ceiling.eku.contains(&usage)) {
            refuse(id.to_string());
        }
    }
    let signs = |u: &Usage| matches!(u, Usage::CertSign | Usage::CrlSign);
    let leaf_signs = !tbs.ca && tbs.key_usages.iter().flatten().any(signs);
    if leaf_signs || (!tbs.ca && tbs.extension(oid::NAME_CONSTRAINTS).is_some()) {
        refuse("a leaf that can sign certificates or lists".to_owned());
    }
}
