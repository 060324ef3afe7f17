//! The strict reader of TBSCertificates: what the lints, the keeper's ceilings and the auditor see.

use der::asn1::{AnyRef, ObjectIdentifier, OctetString};
use der::{Decode, Encode};

use super::extensions::{ReadBasicConstraints, read, read_key_usage};
use super::wire::{Signed, Tbs};
use super::{ExtensionView, NameConstraints, oid, signature_algorithm};
use crate::error::Error;
use crate::names::{San, Subject, Usage, general_names_from_der};
use crate::types::{SignatureAlgorithm, Time};

/// The content of a TBSCertificate, read from its exact bytes. It may still break rules: those are the lints'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TbsView {
    /// The number in the version field: 2 means version 3.
    pub version: u8,
    /// The octets of the serial's INTEGER, sign included.
    pub serial: Vec<u8>,
    /// The signature algorithm, if it is one of ours.
    pub signature: Result<SignatureAlgorithm, Error>,
    /// The exact bytes of the issuer's name.
    pub issuer_der: Vec<u8>,
    /// First second of validity.
    pub not_before: Time,
    /// Last second of validity, inclusive.
    pub not_after: Time,
    /// Whether notBefore and notAfter are GeneralizedTime.
    pub generalized: [bool; 2],
    /// The exact bytes of the subject.
    pub subject_der: Vec<u8>,
    /// The subject, if all its attributes are of types that Stele knows.
    pub subject: Result<Subject, Error>,
    /// The exact SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
    /// Every extension, in order; no type occurs twice.
    pub extensions: Vec<ExtensionView>,
    /// Whether basicConstraints says CA.
    pub ca: bool,
    /// The path length, if basicConstraints has one.
    pub path_length: Option<u8>,
    /// The key usages, if the extension is there.
    pub key_usages: Option<Vec<Usage>>,
    /// The extended key usages as object identifiers, if the extension is there.
    pub extended_key_usages: Option<Vec<ObjectIdentifier>>,
    /// Subject alternative names of the four forms.
    pub sans: Vec<San>,
    /// Subject alternative names of other forms, or malformed ones.
    pub foreign_sans: Vec<Error>,
    /// Name constraints, if the extension is there.
    pub name_constraints: Option<NameConstraints>,
    /// The subject key identifier.
    pub subject_key_identifier: Option<Vec<u8>>,
    /// The authority key identifier's key identifier.
    pub authority_key_identifier: Option<Vec<u8>>,
}

impl TbsView {
    /// The extension of this type.
    #[must_use]
    pub fn extension(&self, id: ObjectIdentifier) -> Option<&ExtensionView> {
        self.extensions.iter().find(|e| e.id == id)
    }

    /// Whether subject and issuer are the same bytes, as in a root.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }
}

/// Reads a TBSCertificate.
///
/// # Errors
/// When the bytes are not canonical DER to the last one, carry unique identifiers or an extension twice, or an
/// extension that this code knows does not read.
pub fn parse_tbs(der: &[u8]) -> Result<TbsView, Error> {
    let refused = |e: der::Error| Error::malformed("TBSCertificate", e.to_string(), "DER of RFC 5280 section 4.1");
    let tbs = Tbs::from_der(der).map_err(refused)?;
    if tbs.to_der().map_err(refused)? != der {
        return Err(Error::malformed(
            "TBSCertificate",
            "another encoding of the same content",
            "canonical DER",
        ));
    }
    let subject_der = tbs.subject.to_der().map_err(refused)?;
    let times = [tbs.validity.not_before, tbs.validity.not_after];
    let mut view = TbsView {
        version: tbs.version,
        serial: tbs.serial.as_bytes().to_vec(),
        signature: signature_algorithm(tbs.signature),
        issuer_der: tbs.issuer.to_der().map_err(refused)?,
        not_before: Time::from_secs(tbs.validity.not_before.to_unix_duration().as_secs()),
        not_after: Time::from_secs(tbs.validity.not_after.to_unix_duration().as_secs()),
        generalized: times.map(|t| matches!(t, x509_cert::time::Time::GeneralTime(_))),
        subject: Subject::from_der(&subject_der),
        subject_der,
        spki_der: tbs.spki.to_der().map_err(refused)?,
        extensions: Vec::new(),
        ca: false,
        path_length: None,
        key_usages: None,
        extended_key_usages: None,
        sans: Vec::new(),
        foreign_sans: Vec::new(),
        name_constraints: None,
        subject_key_identifier: None,
        authority_key_identifier: None,
    };
    for extension in tbs.extensions.into_iter().flatten() {
        if view.extension(extension.extn_id).is_some() {
            return Err(Error::malformed(
                "extensions",
                format!("{} twice", extension.extn_id),
                "each extension at most once (RFC 5280 section 4.2)",
            ));
        }
        read_extension(&mut view, extension.extn_id, extension.extn_value.as_bytes())?;
        view.extensions.push(ExtensionView {
            id: extension.extn_id,
            critical: extension.critical,
            value: extension.extn_value.as_bytes().to_vec(),
        });
    }
    Ok(view)
}

fn read_extension(view: &mut TbsView, id: ObjectIdentifier, value: &[u8]) -> Result<(), Error> {
    match id {
        oid::BASIC_CONSTRAINTS => {
            let constraints: ReadBasicConstraints = read("basicConstraints", value)?;
            view.ca = constraints.ca;
            view.path_length = constraints.path_length;
        }
        oid::KEY_USAGE => view.key_usages = Some(read_key_usage(value)?),
        oid::EXTENDED_KEY_USAGE => view.extended_key_usages = Some(read("extKeyUsage", value)?),
        oid::SUBJECT_ALT_NAME => (view.sans, view.foreign_sans) = general_names_from_der(value)?,
        oid::NAME_CONSTRAINTS => view.name_constraints = Some(NameConstraints::from_der(value)?),
        oid::SUBJECT_KEY_IDENTIFIER => {
            let id: OctetString = read("subjectKeyIdentifier", value)?;
            view.subject_key_identifier = Some(id.as_bytes().to_vec());
        }
        oid::AUTHORITY_KEY_IDENTIFIER => {
            let id: x509_cert::ext::pkix::AuthorityKeyIdentifier = read("authorityKeyIdentifier", value)?;
            view.authority_key_identifier = id.key_identifier.map(|k| k.as_bytes().to_vec());
        }
        _ => {}
    }
    Ok(())
}

/// A certificate taken apart: the exact to-be-signed bytes, the algorithm and the signature.
///
/// # Errors
/// When it is not DER, the two algorithm fields differ (RFC 5280 section 4.1.1.2), or the TBS does not read.
pub fn parse_certificate(der: &[u8]) -> Result<(TbsView, Vec<u8>, SignatureAlgorithm, Vec<u8>), Error> {
    let (tbs_der, algorithm, signature) = split_signed("certificate", der)?;
    let view = parse_tbs(&tbs_der)?;
    if view.signature.clone()? != algorithm {
        return Err(Error::malformed(
            "certificate",
            "two different signature algorithms",
            "the same inside and outside",
        ));
    }
    Ok((view, tbs_der, algorithm, signature))
}

/// The three parts of a signed object, with the outer bytes checked to be canonical; `what` names it in errors.
///
/// # Errors
/// When it is not canonical DER, or the signature algorithm is none of ours.
pub fn split_signed(what: &str, der: &[u8]) -> Result<(Vec<u8>, SignatureAlgorithm, Vec<u8>), Error> {
    let refused = |e: der::Error| Error::malformed(what, e.to_string(), "DER with a signature over it");
    let signed = Signed::from_der(der).map_err(refused)?;
    let signature = signed
        .signature
        .as_bytes()
        .ok_or_else(|| Error::malformed(what, "a signature with unused bits", "a whole number of octets"))?;
    let algorithm: AnyRef<'_> = signed.algorithm;
    Ok((
        signed.tbs.to_der().map_err(refused)?,
        signature_algorithm(algorithm)?,
        signature.to_vec(),
    ))
}
