//! From plain data to the DER of a TBSCertificate (RFC 5280 section 4.1).

use std::time::Duration;

use der::asn1::{AnyRef, Int, IntRef, ObjectIdentifier};
use der::{Decode, Encode};
use x509_cert::ext::Extension;

use super::wire::{Tbs, Validity};
use super::{NameConstraints, algorithm_identifier, extensions, oid};
use crate::error::Error;
use crate::names::{San, Subject, Usage, general_names_to_der};
use crate::types::{Serial, SignatureAlgorithm, Time};

/// What makes a certificate a CA's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaConstraints {
    /// How many CA certificates may follow below it before the leaf; `None`: any number.
    pub path_length: Option<u8>,
    /// Its name constraints; none when empty.
    pub name_constraints: NameConstraints,
}

/// Everything that a certificate will say. There is nothing in the DER that is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSpec {
    /// The serial number.
    pub serial: Serial,
    /// The algorithm that the issuer signs with.
    pub signature: SignatureAlgorithm,
    /// The exact bytes of the issuer's subject.
    pub issuer_der: Vec<u8>,
    /// First second of validity; milliseconds are cut off.
    pub not_before: Time,
    /// Last second of validity, inclusive.
    pub not_after: Time,
    /// The subject; may be empty for a leaf with names.
    pub subject: Subject,
    /// The exact SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
    /// The subject's key identifier (RFC 7093 section 2, method 1).
    pub subject_key_identifier: [u8; 20],
    /// The issuer's key identifier, as its own certificate has it.
    pub authority_key_identifier: Vec<u8>,
    /// Subject alternative names; the extension is critical when the subject is empty.
    pub sans: Vec<San>,
    /// Key usages and extended key usages.
    pub usages: Vec<Usage>,
    /// Present in a CA certificate only.
    pub ca: Option<CaConstraints>,
    /// Where its issuer's CRL is.
    pub crl_urls: Vec<String>,
    /// Where its issuer's certificate is.
    pub ca_issuers_urls: Vec<String>,
    /// OCSP responders.
    pub ocsp_urls: Vec<String>,
    /// Certificate policies.
    pub policies: Vec<ObjectIdentifier>,
    /// noRevAvail: this certificate will never be revoked by CRL or OCSP (RFC 9608).
    pub no_rev_avail: bool,
}

/// A self-signed root: what differs between roots, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootSpec {
    /// The serial number.
    pub serial: Serial,
    /// The algorithm that the root signs with.
    pub signature: SignatureAlgorithm,
    /// Subject and issuer.
    pub subject: Subject,
    /// The exact SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
    /// Its key identifier.
    pub subject_key_identifier: [u8; 20],
    /// First second of validity.
    pub not_before: Time,
    /// Last second of validity, inclusive.
    pub not_after: Time,
    /// How many CA levels may lie below it.
    pub path_length: Option<u8>,
}

impl RootSpec {
    /// The certificate that such a root signs for itself.
    ///
    /// # Errors
    /// When the subject cannot be encoded.
    pub fn into_certificate(self) -> Result<CertificateSpec, Error> {
        Ok(CertificateSpec {
            serial: self.serial,
            signature: self.signature,
            issuer_der: self.subject.to_der()?,
            not_before: self.not_before,
            not_after: self.not_after,
            subject: self.subject,
            spki_der: self.spki_der,
            subject_key_identifier: self.subject_key_identifier,
            authority_key_identifier: self.subject_key_identifier.to_vec(),
            sans: Vec::new(),
            usages: vec![Usage::CertSign, Usage::CrlSign],
            ca: Some(CaConstraints {
                path_length: self.path_length,
                name_constraints: NameConstraints::default(),
            }),
            crl_urls: Vec::new(),
            ca_issuers_urls: Vec::new(),
            ocsp_urls: Vec::new(),
            policies: Vec::new(),
            no_rev_avail: false,
        })
    }
}

impl CertificateSpec {
    /// The DER of the TBSCertificate.
    ///
    /// # Errors
    /// When a value cannot be encoded; the lints, not this, judge whether it should be signed.
    pub fn to_tbs_der(&self) -> Result<Vec<u8>, Error> {
        let refused = |e: der::Error| Error::malformed("certificate", e.to_string(), "values that DER can carry");
        let subject_der = self.subject.to_der()?;
        let serial = positive(&self.serial).map_err(refused)?;
        let tbs = Tbs {
            version: 2,
            serial: IntRef::new(serial.as_bytes()).map_err(refused)?,
            signature: algorithm_identifier(self.signature),
            issuer: AnyRef::from_der(&self.issuer_der).map_err(refused)?,
            validity: Validity {
                not_before: x509_time(self.not_before).map_err(refused)?,
                not_after: x509_time(self.not_after).map_err(refused)?,
            },
            subject: AnyRef::from_der(&subject_der).map_err(refused)?,
            spki: AnyRef::from_der(&self.spki_der).map_err(refused)?,
            extensions: Some(self.extensions()?),
        };
        tbs.to_der().map_err(refused)
    }

    fn extensions(&self) -> Result<Vec<Extension>, Error> {
        let path_length = self.ca.as_ref().and_then(|ca| ca.path_length);
        let mut out = vec![extensions::basic_constraints(self.ca.is_some(), path_length)?];
        out.extend(extensions::key_usage(&self.usages)?);
        out.extend(extensions::extended_key_usage(&self.usages)?);
        out.push(extensions::subject_key_identifier(&self.subject_key_identifier)?);
        out.push(extensions::authority_key_identifier(&self.authority_key_identifier)?);
        if !self.sans.is_empty() {
            let names = general_names_to_der(&self.sans)?;
            out.push(extensions::extension(
                oid::SUBJECT_ALT_NAME,
                self.subject.is_empty(),
                &names,
            )?);
        }
        if let Some(ca) = self.ca.as_ref().filter(|ca| !ca.name_constraints.is_empty()) {
            let value = ca.name_constraints.to_der()?;
            out.push(extensions::extension(oid::NAME_CONSTRAINTS, true, &value)?);
        }
        out.extend(extensions::crl_distribution_points(&self.crl_urls)?);
        out.extend(extensions::authority_info_access(
            &self.ocsp_urls,
            &self.ca_issuers_urls,
        )?);
        out.extend(extensions::certificate_policies(&self.policies)?);
        if self.no_rev_avail {
            out.push(extensions::no_rev_avail()?);
        }
        Ok(out)
    }
}

/// A serial as a DER INTEGER: a leading zero octet keeps it positive.
pub(crate) fn positive(serial: &Serial) -> Result<Int, der::Error> {
    let mut bytes = serial.as_bytes().to_vec();
    if bytes.first().is_some_and(|b| b & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    Int::new(&bytes)
}

/// UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5).
pub(crate) fn x509_time(time: Time) -> Result<x509_cert::time::Time, der::Error> {
    Ok(der::DateTime::from_unix_duration(Duration::from_secs(time.secs()))?.into())
}
