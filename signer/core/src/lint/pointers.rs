//! Lints of what points elsewhere: CRL distribution points, authority information access, and name constraints.

use der::{Decode, Encode};
use x509_cert::ext::pkix::AccessDescription;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

use super::names::{is_dns_name, is_email, is_uri};
use super::{Lint, require};
use crate::tbs::{ExtensionView, Subtrees, TbsView, oid};

pub(super) const LINTS: &[Lint] = &[
    Lint {
        id: "crl-pointers",
        citation: "RFC 5280 section 4.2.1.13",
        field: "cRLDistributionPoints",
        permitted: "points with full names alone, each an http:// URI with a host",
        waivable: false,
        check: crl_pointers,
    },
    Lint {
        id: "access-pointers",
        citation: "RFC 5280 section 4.2.2.1",
        field: "authorityInfoAccess",
        permitted: "caIssuers at http:// URIs and OCSP responders at http:// or https:// URIs, each with a host",
        waivable: false,
        check: access_pointers,
    },
    Lint {
        id: "name-constraint-form",
        citation: "RFC 5280 section 4.2.1.10",
        field: "nameConstraints",
        permitted: "domains and hosts in the form of names, networks without bits beyond their masks",
        waivable: false,
        check: |c| match &c.name_constraints {
            Some(constraints) => subtrees(&constraints.permitted).and_then(|()| subtrees(&constraints.excluded)),
            None => Ok(()),
        },
    },
];

/// The extension's content, in its one encoding.
fn decoded<'a, T: Decode<'a, Error = der::Error> + Encode>(extension: &'a ExtensionView) -> Result<T, String> {
    let value = T::from_der(&extension.value).map_err(|e| e.to_string())?;
    let canonical = value.to_der().is_ok_and(|der| der == extension.value);
    require(canonical, || "an encoding other than DER".to_owned())?;
    Ok(value)
}

fn crl_pointers(c: &TbsView) -> Result<(), String> {
    let Some(extension) = c.extension(oid::CRL_DISTRIBUTION_POINTS) else {
        return Ok(());
    };
    let points: Vec<DistributionPoint> = decoded(extension)?;
    require(!points.is_empty(), || "an empty extension".to_owned())?;
    for point in &points {
        let whole = point.reasons.is_none() && point.crl_issuer.is_none();
        match &point.distribution_point {
            Some(DistributionPointName::FullName(names)) if whole && !names.is_empty() => {
                names.iter().try_for_each(|name| web_address(name, &["http://"]))?;
            }
            _ => return Err("a point with reasons, an issuer or a relative name".to_owned()),
        }
    }
    Ok(())
}

fn access_pointers(c: &TbsView) -> Result<(), String> {
    let Some(extension) = c.extension(oid::AUTHORITY_INFO_ACCESS) else {
        return Ok(());
    };
    let accesses: Vec<AccessDescription> = decoded(extension)?;
    require(!accesses.is_empty(), || "an empty extension".to_owned())?;
    for access in &accesses {
        match access.access_method {
            oid::ACCESS_CA_ISSUERS => web_address(&access.access_location, &["http://"])?,
            oid::ACCESS_OCSP => web_address(&access.access_location, &["http://", "https://"])?,
            other => return Err(format!("method {other}")),
        }
    }
    Ok(())
}

/// A URI whose scheme is one of `schemes`, with a host and perhaps a port (RFC 3986 section 3.2; nobody logs in).
fn web_address(name: &GeneralName, schemes: &[&str]) -> Result<(), String> {
    let GeneralName::UniformResourceIdentifier(uri) = name else {
        return Err("a name that is no URI".to_owned());
    };
    let uri = uri.as_str();
    let host = schemes.iter().find_map(|scheme| uri.strip_prefix(scheme)).map(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let port = authority
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        port.map_or(authority, |(host, _)| host)
    });
    let is_host = |host: &str| {
        let v6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        host.parse::<std::net::Ipv4Addr>().is_ok()
            || v6.is_some_and(|h| h.parse::<std::net::Ipv6Addr>().is_ok())
            || (is_dns_name(host) && !host.starts_with('*'))
    };
    require(is_uri(uri) && host.is_some_and(is_host), || {
        let shown: String = uri.chars().take(200).collect();
        format!("`{}`", shown.escape_debug())
    })
}

fn subtrees(trees: &Subtrees) -> Result<(), String> {
    let host = |text: &String| is_dns_name(text.strip_prefix('.').unwrap_or(text)) && !text.starts_with('*');
    let names = trees.dns.iter().find(|domain| !host(domain));
    let hosts = trees.uri.iter().find(|text| !host(text));
    let mail = trees.email.iter().find(|text| !host(text) && !is_email(text));
    if let Some(bad) = names.or(hosts).or(mail) {
        return Err(format!("`{}`", bad.escape_debug()));
    }
    let network = trees.ip.iter().find(|net| net.addr() != net.network());
    network.map_or(Ok(()), |net| Err(net.to_string()))
}
