//! Name constraints (RFC 5280 section 4.2.1.10): what a CA's certificate says about the names below it.

use std::net::IpAddr;

use der::asn1::{Ia5String, OctetString};
use der::{Decode, Encode};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;

use crate::error::Error;
use crate::names::San;

/// The subtrees of one side, permitted or excluded, per name form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Subtrees {
    /// DNS names: the domain itself and everything below it; a leading dot is not written.
    pub dns: Vec<String>,
    /// Networks.
    pub ip: Vec<IpNet>,
    /// Hosts of URIs: an exact host, or with a leading dot everything below it.
    pub uri: Vec<String>,
    /// E-mail: a mailbox, a host, or with a leading dot every host below a domain.
    pub email: Vec<String>,
}

/// The constraints of one CA certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NameConstraints {
    /// When a form is listed here, every name of that form must lie within one of its subtrees.
    pub permitted: Subtrees,
    /// No name may lie within any of these.
    pub excluded: Subtrees,
    /// Forms that a foreign certificate constrains and this code does not judge, e.g. `directoryName`.
    #[serde(skip)]
    pub unjudged: Vec<String>,
}

impl Subtrees {
    /// Whether no form is constrained.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dns.is_empty() && self.ip.is_empty() && self.uri.is_empty() && self.email.is_empty()
    }

    /// Whether the name lies within one of the subtrees; `None` when its form is not constrained here.
    fn covers(&self, san: &San) -> Option<bool> {
        match san {
            San::Dns(name) => any(&self.dns, |base| dns_within(name, base)),
            San::Ip(address) => any(&self.ip, |net| net.contains(address)),
            San::Uri(uri) => any(&self.uri, |base| {
                uri_host(uri).is_some_and(|host| host_matches(host, base))
            }),
            San::Email(address) => any(&self.email, |base| email_within(address, base)),
        }
    }

    fn general_subtrees(&self) -> Result<Option<Vec<GeneralSubtree>>, Error> {
        let mut bases = Vec::new();
        for name in &self.dns {
            bases.push(GeneralName::DnsName(ia5("dns", name)?));
        }
        for net in &self.ip {
            let (address, mask) = (octets(net.network()), octets(net.netmask()));
            let joined = OctetString::new([address, mask].concat())
                .map_err(|e| Error::malformed("nameConstraints.ip", e.to_string(), "an address and a mask"))?;
            bases.push(GeneralName::IpAddress(joined));
        }
        for host in &self.uri {
            bases.push(GeneralName::UniformResourceIdentifier(ia5("uri", host)?));
        }
        for mailbox in &self.email {
            bases.push(GeneralName::Rfc822Name(ia5("email", mailbox)?));
        }
        let subtrees = bases.into_iter().map(|base| GeneralSubtree {
            base,
            minimum: 0,
            maximum: None,
        });
        Ok((!self.is_empty()).then(|| subtrees.collect()))
    }
}

impl NameConstraints {
    /// Whether nothing is constrained.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.permitted.is_empty() && self.excluded.is_empty() && self.unjudged.is_empty()
    }

    /// Whether a certificate below this CA may carry the name.
    #[must_use]
    pub fn permits(&self, san: &San) -> bool {
        self.permitted.covers(san).unwrap_or(true) && !self.excluded.covers(san).unwrap_or(false)
    }

    /// The DER of the extension's value.
    ///
    /// # Errors
    /// When a name is not ASCII.
    pub fn to_der(&self) -> Result<Vec<u8>, Error> {
        x509_cert::ext::pkix::NameConstraints {
            permitted_subtrees: self.permitted.general_subtrees()?,
            excluded_subtrees: self.excluded.general_subtrees()?,
        }
        .to_der()
        .map_err(|e| Error::malformed("nameConstraints", e.to_string(), "names that DER can carry"))
    }

    /// Reads the extension's value.
    ///
    /// # Errors
    /// When it is not DER, uses minimum or maximum (RFC 5280 forbids both), or an address is not address and mask.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let parsed = x509_cert::ext::pkix::NameConstraints::from_der(der)
            .map_err(|e| Error::malformed("nameConstraints", e.to_string(), "DER NameConstraints"))?;
        let mut out = Self::default();
        for subtree in parsed.permitted_subtrees.iter().flatten() {
            read_subtree(subtree, &mut out.permitted, &mut out.unjudged)?;
        }
        for subtree in parsed.excluded_subtrees.iter().flatten() {
            read_subtree(subtree, &mut out.excluded, &mut out.unjudged)?;
        }
        Ok(out)
    }
}

fn any<T>(bases: &[T], covers: impl Fn(&T) -> bool) -> Option<bool> {
    (!bases.is_empty()).then(|| bases.iter().any(covers))
}

fn ia5(form: &str, text: &str) -> Result<Ia5String, Error> {
    Ia5String::new(text).map_err(|_| {
        Error::malformed(
            format!("nameConstraints.{form}"),
            format!("`{}`", text.escape_debug()),
            "ASCII",
        )
    })
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

fn read_subtree(subtree: &GeneralSubtree, into: &mut Subtrees, unjudged: &mut Vec<String>) -> Result<(), Error> {
    if subtree.minimum != 0 || subtree.maximum.is_some() {
        return Err(Error::malformed(
            "nameConstraints",
            "a minimum or maximum",
            "neither (RFC 5280 section 4.2.1.10)",
        ));
    }
    match &subtree.base {
        GeneralName::DnsName(name) => into.dns.push(name.as_str().trim_start_matches('.').to_owned()),
        GeneralName::UniformResourceIdentifier(host) => into.uri.push(host.as_str().to_owned()),
        GeneralName::Rfc822Name(mailbox) => into.email.push(mailbox.as_str().to_owned()),
        GeneralName::IpAddress(octets) => into.ip.push(read_network(octets.as_bytes())?),
        GeneralName::DirectoryName(_) => unjudged.push("directoryName".to_owned()),
        GeneralName::OtherName(_) => unjudged.push("otherName".to_owned()),
        GeneralName::EdiPartyName(_) => unjudged.push("ediPartyName".to_owned()),
        GeneralName::RegisteredId(_) => unjudged.push("registeredID".to_owned()),
    }
    Ok(())
}

fn read_network(octets: &[u8]) -> Result<IpNet, Error> {
    let refused = || {
        Error::malformed(
            "nameConstraints.ip",
            crate::types::hex(octets),
            "an IPv4 or IPv6 address and a contiguous mask: 8 or 32 octets",
        )
    };
    let (address, mask): (IpAddr, IpAddr) = match octets.len() {
        8 => {
            let all = <[u8; 8]>::try_from(octets).map_err(|_| refused())?;
            let [a, b, c, d, e, f, g, h] = all;
            ([a, b, c, d].into(), [e, f, g, h].into())
        }
        32 => {
            let half = |part: Option<&[u8]>| part.and_then(|p| <[u8; 16]>::try_from(p).ok()).ok_or_else(refused);
            (half(octets.get(..16))?.into(), half(octets.get(16..))?.into())
        }
        _ => return Err(refused()),
    };
    IpNet::with_netmask(address, mask).map_err(|_| refused())
}

/// Whether `name` is `base` or has labels in front of it, case ignored; an empty base covers every name.
pub(crate) fn dns_within(name: &str, base: &str) -> bool {
    let (name, base) = (name.to_ascii_lowercase(), base.to_ascii_lowercase());
    base.is_empty() || name == base || name.strip_suffix(&base).is_some_and(|front| front.ends_with('.'))
}

/// A host against a constraint: exact, or with a leading dot one or more labels in front (RFC 5280, URI constraints).
fn host_matches(host: &str, base: &str) -> bool {
    match base.strip_prefix('.') {
        Some(domain) => dns_within(host, domain) && !host.eq_ignore_ascii_case(domain),
        None => host.eq_ignore_ascii_case(base),
    }
}

/// The host of a URI with an authority, without user information and port.
fn uri_host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    if host.starts_with('[') {
        // A constraint names hosts; RFC 5280 has a URI with an address fail it.
        return None;
    }
    host.split(':').next().filter(|h| !h.is_empty())
}

fn email_within(address: &str, base: &str) -> bool {
    if base.contains('@') {
        return address == base;
    }
    address
        .rsplit_once('@')
        .is_some_and(|(_, host)| host_matches(host, base))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constraints() -> NameConstraints {
        NameConstraints {
            permitted: Subtrees {
                dns: vec!["cluster.local".to_owned()],
                ip: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
                uri: vec!["cluster.local".to_owned(), ".mesh.example".to_owned()],
                email: vec!["example.org".to_owned()],
            },
            excluded: Subtrees {
                dns: vec!["secret.cluster.local".to_owned()],
                ..Subtrees::default()
            },
            unjudged: vec![],
        }
    }

    #[test]
    fn the_extension_reads_back() {
        let written = constraints();
        assert_eq!(NameConstraints::from_der(&written.to_der().unwrap()).unwrap(), written);
        assert!(NameConstraints::from_der(b"\x30\x01").is_err());
    }

    #[test]
    fn names_are_judged_per_form() {
        let c = constraints();
        for ok in [
            "dns:cluster.local",
            "dns:a.b.CLUSTER.local",
            "ip:10.1.2.3",
            "ip:fd00::1",
            "uri:spiffe://cluster.local/ns/a",
            "uri:spiffe://x.mesh.example/ns",
            "email:a@example.org",
        ] {
            assert!(c.permits(&ok.parse().unwrap()), "{ok}");
        }
        for bad in [
            "dns:notcluster.local",
            "dns:x.secret.cluster.local",
            "dns:secret.cluster.local",
            "ip:11.0.0.1",
            "uri:spiffe://x.cluster.local/a",
            "uri:spiffe://mesh.example/a",
            "uri:urn:a:b",
            "uri:http://[::1]/",
            "email:a@x.example.org",
        ] {
            assert!(!c.permits(&bad.parse().unwrap()), "{bad}");
        }
        assert!(NameConstraints::default().permits(&"dns:any.example".parse().unwrap()));
    }

    #[test]
    fn foreign_forms_are_named_and_bad_masks_refused() {
        // permitted [0] { { [4] { SEQUENCE {} } } }
        let directory = NameConstraints::from_der(b"\x30\x08\xa0\x06\x30\x04\xa4\x02\x30\x00").unwrap();
        assert_eq!(directory.unjudged, ["directoryName"]);
        let holes = b"\x30\x0e\xa0\x0c\x30\x0a\x87\x08\x0a\x00\x00\x00\xff\x00\xff\x00";
        assert!(NameConstraints::from_der(holes).is_err());
    }
}
