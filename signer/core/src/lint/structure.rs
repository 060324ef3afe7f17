//! Lints of form: version, serial, validity, identifiers, which extensions and how critical.

use super::{Lint, require};
use crate::names::{Subject, Usage};
use crate::tbs::{TbsView, oid};

/// 2050-01-01T00:00:00Z in seconds since the epoch.
const YEAR_2050: u64 = 2_524_608_000;

pub(super) const LINTS: &[Lint] = &[
    Lint {
        id: "version-3",
        citation: "RFC 5280 section 4.1.2.1",
        field: "version",
        permitted: "version 3",
        waivable: false,
        check: |c| require(c.version == 2, || format!("version {}", u16::from(c.version) + 1)),
    },
    Lint {
        id: "serial-range",
        citation: "RFC 5280 section 4.1.2.2",
        field: "serialNumber",
        permitted: "a positive number of 8 to 20 octets",
        waivable: false,
        check: serial_range,
    },
    Lint {
        id: "signature-algorithm",
        citation: "house rule",
        field: "signature",
        permitted: "ECDSA or RSA with SHA-2, or Ed25519",
        waivable: false,
        check: |c| c.signature.as_ref().map(drop).map_err(ToString::to_string),
    },
    Lint {
        id: "validity-encoding",
        citation: "RFC 5280 section 4.1.2.5",
        field: "validity",
        permitted: "UTCTime through 2049, GeneralizedTime from 2050",
        waivable: false,
        check: |c| {
            let right = |time: u64, generalized: bool| (time >= YEAR_2050) == generalized;
            let [before, after] = c.generalized;
            require(
                right(c.not_before.secs(), before) && right(c.not_after.secs(), after),
                || "the other form".to_owned(),
            )
        },
    },
    Lint {
        id: "validity-order",
        citation: "RFC 5280 section 4.1.2.5",
        field: "validity",
        permitted: "notBefore before notAfter",
        waivable: false,
        check: |c| {
            require(c.not_before < c.not_after, || {
                format!("{} to {}", c.not_before, c.not_after)
            })
        },
    },
    Lint {
        id: "issuer-not-empty",
        citation: "RFC 5280 section 4.1.2.4",
        field: "issuer",
        permitted: "a non-empty name",
        waivable: false,
        check: |c| require(c.issuer_der.len() > 2, || "an empty name".to_owned()),
    },
    Lint {
        id: "issuer-form",
        citation: "RFC 5280 section 4.1.2.4",
        field: "issuer",
        permitted: "a name as Stele writes subjects: every issuer of ours has its own certificate from Stele",
        waivable: false,
        check: |c| {
            let name = Subject::from_der(&c.issuer_der).map_err(|e| e.to_string())?;
            let same = name.to_der().is_ok_and(|der| der == c.issuer_der);
            require(same, || "another string type".to_owned())
        },
    },
    Lint {
        id: "authority-key-identifier",
        citation: "RFC 5280 section 4.2.1.1",
        field: "authorityKeyIdentifier",
        permitted: "a key identifier; in a self-issued certificate equal to its own",
        waivable: false,
        check: |c| {
            let Some(id) = &c.authority_key_identifier else {
                return Err("none".to_owned());
            };
            let own = c.is_self_issued() && c.subject_key_identifier.as_ref() != Some(id);
            require(!id.is_empty() && !own, || crate::types::hex(id))
        },
    },
    Lint {
        id: "subject-key-identifier",
        citation: "RFC 5280 section 4.2.1.2",
        field: "subjectKeyIdentifier",
        permitted: "a non-empty identifier",
        waivable: false,
        check: |c| {
            require(
                c.subject_key_identifier.as_ref().is_some_and(|id| !id.is_empty()),
                || "none".to_owned(),
            )
        },
    },
    Lint {
        id: "extension-criticality",
        citation: "RFC 5280 section 4.2.1, RFC 9608 section 2",
        field: "extensions",
        permitted: "extensions that Stele writes: basicConstraints, keyUsage, nameConstraints critical, the others not (subjectAltName: as the subject demands)",
        waivable: false,
        check: extension_criticality,
    },
    Lint {
        id: "basic-constraints",
        citation: "RFC 5280 section 4.2.1.9",
        field: "basicConstraints",
        permitted: "present; a path length in CA certificates only",
        waivable: false,
        check: |c| {
            require(c.extension(oid::BASIC_CONSTRAINTS).is_some(), || "none".to_owned())?;
            require(c.ca || c.path_length.is_none(), || {
                "a path length without CA".to_owned()
            })
        },
    },
    Lint {
        id: "ca-key-usage",
        citation: "RFC 5280 section 4.2.1.3",
        field: "keyUsage",
        permitted: "`cert sign` in a CA certificate, beside `crl sign` and `digital signature` only",
        waivable: false,
        check: ca_key_usage,
    },
    Lint {
        id: "ca-subject",
        citation: "RFC 5280 section 4.1.2.6",
        field: "subject",
        permitted: "a non-empty subject in a CA certificate",
        waivable: false,
        check: |c| require(!c.ca || c.subject_der.len() > 2, || "an empty subject".to_owned()),
    },
    Lint {
        id: "leaf-key-usage",
        citation: "RFC 5280 section 4.2.1.3",
        field: "keyUsage",
        permitted: "neither `cert sign` nor `crl sign` without CA",
        waivable: false,
        check: |c| {
            let signs = |u: &Usage| matches!(u, Usage::CertSign | Usage::CrlSign);
            require(c.ca || !c.key_usages.iter().flatten().any(signs), || {
                "a signing usage in a leaf".to_owned()
            })
        },
    },
    Lint {
        id: "name-constraints-in-ca",
        citation: "RFC 5280 section 4.2.1.10",
        field: "nameConstraints",
        permitted: "in a CA certificate only, and not empty",
        waivable: false,
        check: |c| match &c.name_constraints {
            Some(constraints) => require(c.ca && !constraints.is_empty(), || {
                "empty ones, or in a leaf".to_owned()
            }),
            None => Ok(()),
        },
    },
    Lint {
        id: "name-constraint-clients",
        citation: "rustls-webpki and ztunnel reject URI SANs under URI constraints; Go rejects critical directoryName",
        field: "nameConstraints",
        permitted: "constraints on DNS names and addresses",
        waivable: true,
        check: |c| {
            let Some(nc) = &c.name_constraints else { return Ok(()) };
            let uri = !nc.permitted.uri.is_empty() || !nc.excluded.uri.is_empty();
            require(!uri && nc.unjudged.is_empty(), || {
                let uri = uri.then(|| "URI".to_owned());
                uri.into_iter()
                    .chain(nc.unjudged.iter().cloned())
                    .collect::<Vec<_>>()
                    .join(", ")
            })
        },
    },
    Lint {
        id: "no-rev-avail",
        citation: "RFC 9608 sections 2 and 3",
        field: "noRevAvail",
        permitted: "NULL, in a leaf, without CRL distribution points, freshest CRL or OCSP",
        waivable: false,
        check: no_rev_avail,
    },
];

fn serial_range(c: &TbsView) -> Result<(), String> {
    let negative = c.serial.first().is_none_or(|b| b & 0x80 != 0);
    // 8 octets hold the 64 bits of entropy that the CA/Browser Forum's section 7.1 demands; ours hold 158.
    require(!negative && (8..=20).contains(&c.serial.len()), || {
        crate::types::hex(&c.serial)
    })
}

fn extension_criticality(c: &TbsView) -> Result<(), String> {
    for extension in &c.extensions {
        let wanted = match extension.id {
            oid::BASIC_CONSTRAINTS | oid::KEY_USAGE | oid::NAME_CONSTRAINTS => true,
            // RFC 5280 section 4.2.1.6: critical exactly when there is no subject.
            oid::SUBJECT_ALT_NAME => c.subject_der.len() <= 2,
            oid::SUBJECT_KEY_IDENTIFIER
            | oid::AUTHORITY_KEY_IDENTIFIER
            | oid::EXTENDED_KEY_USAGE
            | oid::CRL_DISTRIBUTION_POINTS
            | oid::CERTIFICATE_POLICIES
            | oid::AUTHORITY_INFO_ACCESS
            | oid::NO_REV_AVAIL => false,
            other => return Err(format!("{other}, which Stele does not write")),
        };
        let word = if extension.critical { "critical" } else { "not critical" };
        require(extension.critical == wanted, || format!("{} {word}", extension.id))?;
    }
    Ok(())
}

fn ca_key_usage(c: &TbsView) -> Result<(), String> {
    // Where there is no key usage at all, `key-usage-present` says so.
    let Some(usages) = c.key_usages.as_deref().filter(|_| c.ca) else {
        return Ok(());
    };
    let fits = |u: &Usage| matches!(u, Usage::CertSign | Usage::CrlSign | Usage::DigitalSignature);
    require(usages.contains(&Usage::CertSign) && usages.iter().all(fits), || {
        usages.iter().map(|u| u.name()).collect::<Vec<_>>().join(", ")
    })
}

fn no_rev_avail(c: &TbsView) -> Result<(), String> {
    let Some(extension) = c.extension(oid::NO_REV_AVAIL) else {
        return Ok(());
    };
    require(extension.value == [5, 0], || "another value than NULL".to_owned())?;
    require(!c.ca, || "in a CA certificate".to_owned())?;
    let pointers = [oid::CRL_DISTRIBUTION_POINTS, oid::FRESHEST_CRL];
    require(pointers.iter().all(|id| c.extension(*id).is_none()), || {
        "beside a CRL pointer".to_owned()
    })?;
    // The OCSP method's object identifier inside the access descriptions; a caIssuers entry may stay.
    let ocsp = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x01";
    let has_ocsp = c
        .extension(oid::AUTHORITY_INFO_ACCESS)
        .is_some_and(|e| e.value.windows(ocsp.len()).any(|w| w == ocsp));
    require(!has_ocsp, || "beside an OCSP responder".to_owned())
}
