//! Certificate revocation lists (RFC 5280 section 5): built, assembled and read back strictly.
//!
//! A list is always a full one for its issuer: no deltas, no partitions, so no issuing distribution point. The
//! structures are our own because the general builder copies the issuer's authority key identifier into the list and
//! encodes an empty `revokedCertificates`, which section 5.1.2.6 forbids.

use std::collections::BTreeMap;

use der::asn1::{AnyRef, Int, Uint};
use der::{Decode, Encode, Enumerated, Sequence};
use serde::{Deserialize, Serialize};
use x509_cert::ext::Extension;
use x509_cert::time::Time as X509Time;

use crate::error::Error;
use crate::tbs::oid;
use crate::tbs::{algorithm_identifier, signature_algorithm};
use crate::types::{Serial, SignatureAlgorithm, Time};

pub use crate::tbs::assemble;

/// Why a certificate was revoked (RFC 5280 section 5.3.1), without the codes that only delta CRLs use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Enumerated)]
#[serde(rename_all = "kebab-case")]
#[asn1(type = "ENUMERATED")]
#[repr(u8)]
pub enum Reason {
    /// No reason is given; the extension is left out, as section 5.3.1 recommends.
    Unspecified = 0,
    /// The subject's private key is known or thought to be known to others.
    KeyCompromise = 1,
    /// The same for a CA's key.
    CaCompromise = 2,
    /// The subject's name or affiliation changed.
    AffiliationChanged = 3,
    /// It was replaced.
    Superseded = 4,
    /// It is no longer needed.
    CessationOfOperation = 5,
    /// It is suspended.
    CertificateHold = 6,
    /// A privilege in it was withdrawn.
    PrivilegeWithdrawn = 9,
}

impl Reason {
    /// The reason with this CRLReason code, if it is one of a full CRL.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Self> {
        let all = [
            Self::Unspecified,
            Self::KeyCompromise,
            Self::CaCompromise,
            Self::AffiliationChanged,
            Self::Superseded,
            Self::CessationOfOperation,
            Self::CertificateHold,
            Self::PrivilegeWithdrawn,
        ];
        all.into_iter().find(|reason| *reason as u8 == code)
    }

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::CaCompromise => "ca-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::CertificateHold => "certificate-hold",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }
}

/// When and why a serial was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When; milliseconds are cut off.
    pub date: Time,
    /// Why.
    pub reason: Reason,
}

/// Everything that a CRL will say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlSpec {
    /// The algorithm that the issuer signs with.
    pub signature: SignatureAlgorithm,
    /// The exact bytes of the issuer's subject.
    pub issuer_der: Vec<u8>,
    /// The issuer's subject key identifier, which becomes the list's authority key identifier.
    pub issuer_key_identifier: Vec<u8>,
    /// The CRL number: one more than the last.
    pub number: u64,
    /// When it was made.
    pub this_update: Time,
    /// By when the next one is there.
    pub next_update: Time,
    /// The revoked serials; a map, so sorted and each once.
    pub revoked: BTreeMap<Serial, Revocation>,
}

/// What a CRL says, read from its exact bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlView {
    /// The signature algorithm in the list.
    pub signature: SignatureAlgorithm,
    /// The exact bytes of the issuer's name.
    pub issuer_der: Vec<u8>,
    /// The key identifier of its issuer.
    pub issuer_key_identifier: Vec<u8>,
    /// The CRL number.
    pub number: u64,
    /// When it was made.
    pub this_update: Time,
    /// By when the next one is there.
    pub next_update: Time,
    /// The revoked serials.
    pub revoked: BTreeMap<Serial, Revocation>,
}

#[derive(Sequence)]
struct Entry {
    serial: Int,
    date: X509Time,
    #[asn1(optional = "true")]
    extensions: Option<Vec<Extension>>,
}

#[derive(Sequence)]
struct List<'a> {
    version: u8,
    signature: AnyRef<'a>,
    issuer: AnyRef<'a>,
    this_update: X509Time,
    #[asn1(optional = "true")]
    next_update: Option<X509Time>,
    #[asn1(optional = "true")]
    revoked: Option<Vec<Entry>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

fn refused(e: der::Error) -> Error {
    Error::malformed("CRL", e.to_string(), "DER of RFC 5280 section 5.1")
}

impl CrlSpec {
    /// The DER of the TBSCertList.
    ///
    /// # Errors
    /// When the issuer is not DER or nextUpdate does not come after thisUpdate.
    pub fn to_tbs_der(&self) -> Result<Vec<u8>, Error> {
        if self.next_update.secs() <= self.this_update.secs() {
            return Err(Error::malformed(
                "nextUpdate",
                self.next_update.to_string(),
                format!("after {}", self.this_update),
            ));
        }
        let revoked = self.revoked.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let number = Uint::new(&self.number.to_be_bytes()).map_err(refused)?;
        let list = List {
            version: 1,
            signature: algorithm_identifier(self.signature),
            issuer: AnyRef::from_der(&self.issuer_der).map_err(refused)?,
            this_update: crate::tbs::x509_time(self.this_update).map_err(refused)?,
            next_update: Some(crate::tbs::x509_time(self.next_update).map_err(refused)?),
            revoked: (!revoked.is_empty()).then_some(revoked),
            extensions: Some(vec![
                crate::tbs::authority_key_identifier(&self.issuer_key_identifier)?,
                crate::tbs::encoded(oid::CRL_NUMBER, false, &number)?,
            ]),
        };
        list.to_der().map_err(refused)
    }
}

fn entry((serial, revocation): (&Serial, &Revocation)) -> Result<Entry, Error> {
    let extensions = match revocation.reason {
        Reason::Unspecified => None,
        reason => Some(vec![crate::tbs::encoded(oid::CRL_REASON, false, &reason)?]),
    };
    Ok(Entry {
        serial: crate::tbs::positive(serial).map_err(refused)?,
        date: crate::tbs::x509_time(revocation.date).map_err(refused)?,
        extensions,
    })
}

/// Reads a TBSCertList as this module writes it.
///
/// # Errors
/// When it is not canonical DER of a version 2 list with nextUpdate, authority key identifier, CRL number and nothing
/// else; or its entries are empty, out of order, twice, or have other extensions than a reason.
pub fn parse_tbs_crl(der: &[u8]) -> Result<CrlView, Error> {
    let list = List::from_der(der).map_err(refused)?;
    let bad = |found: &str, permitted: &str| Error::malformed("CRL", found, permitted);
    if list.to_der().map_err(refused)? != der {
        return Err(bad("another encoding of the same content", "canonical DER"));
    }
    if list.version != 1 {
        return Err(bad("another version", "version 2"));
    }
    let next_update = list
        .next_update
        .ok_or_else(|| bad("no nextUpdate", "nextUpdate (RFC 5280 section 5.1.2.5)"))?;
    let (issuer_key_identifier, number) = read_extensions(list.extensions.as_deref().unwrap_or_default())?;
    let mut revoked = BTreeMap::new();
    for entry in list.revoked.iter().flatten() {
        let (serial, revocation) = read_entry(entry)?;
        if revoked.last_key_value().is_some_and(|(last, _)| *last >= serial) {
            return Err(bad(
                "entries out of order or twice",
                "entries in ascending order of their serials",
            ));
        }
        revoked.insert(serial, revocation);
    }
    if list.revoked.as_ref().is_some_and(Vec::is_empty) {
        return Err(bad(
            "an empty revokedCertificates",
            "none at all (RFC 5280 section 5.1.2.6)",
        ));
    }
    Ok(CrlView {
        signature: signature_algorithm(list.signature)?,
        issuer_der: list.issuer.to_der().map_err(refused)?,
        issuer_key_identifier,
        number,
        this_update: our_time(list.this_update),
        next_update: our_time(next_update),
        revoked,
    })
}

/// A CRL taken apart: its content, the exact to-be-signed bytes, and the signature.
///
/// # Errors
/// As [`parse_tbs_crl`], or when the two algorithm fields differ.
pub fn parse_crl(der: &[u8]) -> Result<(CrlView, Vec<u8>, Vec<u8>), Error> {
    let (tbs_der, algorithm, signature) = crate::tbs::split_signed("CRL", der)?;
    let view = parse_tbs_crl(&tbs_der)?;
    if view.signature != algorithm {
        return Err(Error::malformed(
            "CRL",
            "two different signature algorithms",
            "the same inside and outside",
        ));
    }
    Ok((view, tbs_der, signature))
}

fn read_extensions(extensions: &[Extension]) -> Result<(Vec<u8>, u64), Error> {
    let bad = || {
        Error::malformed(
            "CRL extensions",
            extensions
                .iter()
                .map(|e| e.extn_id.to_string())
                .collect::<Vec<_>>()
                .join(", "),
            "authorityKeyIdentifier with a key identifier, then a cRLNumber below 2^64, both not critical",
        )
    };
    let [aki, number] = extensions else { return Err(bad()) };
    if aki.extn_id != oid::AUTHORITY_KEY_IDENTIFIER
        || number.extn_id != oid::CRL_NUMBER
        || aki.critical
        || number.critical
    {
        return Err(bad());
    }
    let aki = x509_cert::ext::pkix::AuthorityKeyIdentifier::from_der(aki.extn_value.as_bytes()).map_err(refused)?;
    let number = u64::from_der(number.extn_value.as_bytes()).map_err(|_| bad())?;
    let key = aki.key_identifier.ok_or_else(bad)?;
    Ok((key.as_bytes().to_vec(), number))
}

fn read_entry(entry: &Entry) -> Result<(Serial, Revocation), Error> {
    let bytes = entry.serial.as_bytes();
    if bytes.first().is_some_and(|b| b & 0x80 != 0) {
        return Err(Error::malformed("CRL entry", "a negative serial", "a positive serial"));
    }
    let reason = match entry.extensions.as_deref() {
        None => Reason::Unspecified,
        Some([one]) if one.extn_id == oid::CRL_REASON && !one.critical => {
            Reason::from_der(one.extn_value.as_bytes()).map_err(refused)?
        }
        Some(_) => {
            return Err(Error::malformed(
                "CRL entry",
                "other extensions",
                "a reason code or nothing",
            ));
        }
    };
    let date = our_time(entry.date);
    Ok((Serial::from_unsigned(bytes)?, Revocation { date, reason }))
}

fn our_time(time: X509Time) -> Time {
    Time::from_secs(time.to_unix_duration().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> CrlSpec {
        let revocation = |reason| Revocation {
            date: Time::from_secs(1_790_000_000),
            reason,
        };
        CrlSpec {
            signature: SignatureAlgorithm::EcdsaSha256,
            issuer_der: vec![0x30, 0],
            issuer_key_identifier: vec![7; 20],
            number: u64::MAX,
            this_update: Time::from_secs(1_795_000_000),
            next_update: Time::from_secs(1_795_600_000),
            revoked: BTreeMap::from([
                (
                    Serial::from_unsigned(&[0x80]).unwrap(),
                    revocation(Reason::KeyCompromise),
                ),
                (Serial::from_unsigned(&[2]).unwrap(), revocation(Reason::Unspecified)),
                (
                    Serial::from_unsigned(&[0x7f; 20]).unwrap(),
                    revocation(Reason::PrivilegeWithdrawn),
                ),
            ]),
        }
    }

    #[test]
    fn a_list_reads_back() {
        let spec = spec();
        let view = parse_tbs_crl(&spec.to_tbs_der().unwrap()).unwrap();
        assert_eq!(view.revoked, spec.revoked);
        assert_eq!(
            (view.number, view.this_update, view.next_update),
            (u64::MAX, spec.this_update, spec.next_update)
        );
        assert_eq!(
            (view.issuer_der, view.issuer_key_identifier),
            (spec.issuer_der, spec.issuer_key_identifier)
        );
    }

    #[test]
    fn an_empty_list_has_no_entries_field() {
        let empty = CrlSpec {
            revoked: BTreeMap::new(),
            ..spec()
        };
        let der = empty.to_tbs_der().unwrap();
        assert!(List::from_der(&der).unwrap().revoked.is_none());
        assert!(parse_tbs_crl(&der).unwrap().revoked.is_empty());
    }

    #[test]
    fn what_this_module_does_not_write_is_refused() {
        let der = spec().to_tbs_der().unwrap();
        let mut list = List::from_der(&der).unwrap();
        list.revoked.as_mut().unwrap().reverse();
        assert!(
            parse_tbs_crl(&list.to_der().unwrap())
                .unwrap_err()
                .to_string()
                .contains("out of order")
        );
        let mut list = List::from_der(&der).unwrap();
        list.revoked = Some(vec![]);
        assert!(
            parse_tbs_crl(&list.to_der().unwrap())
                .unwrap_err()
                .to_string()
                .contains("empty")
        );
        let mut list = List::from_der(&der).unwrap();
        list.extensions.as_mut().unwrap().pop();
        assert!(parse_tbs_crl(&list.to_der().unwrap()).is_err());
        let mut list = List::from_der(&der).unwrap();
        list.next_update = None;
        assert!(
            parse_tbs_crl(&list.to_der().unwrap())
                .unwrap_err()
                .to_string()
                .contains("nextUpdate")
        );
        assert!(parse_tbs_crl(&[der.as_slice(), &[0]].concat()).is_err());
        let backwards = CrlSpec {
            next_update: spec().this_update,
            ..spec()
        };
        assert!(backwards.to_tbs_der().is_err());
    }
}
