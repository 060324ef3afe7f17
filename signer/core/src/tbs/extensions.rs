//! The values of the extensions: written from plain data, read back strictly.

use der::asn1::{BitString, BitStringRef, Ia5String, Null, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Sequence};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies, certpolicy::PolicyInformation,
};

use super::oid;
use crate::error::Error;
use crate::names::Usage;

/// One extension as it stands in the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionView {
    /// Its type.
    pub id: ObjectIdentifier,
    /// Whether a reader that does not know it must reject the certificate.
    pub critical: bool,
    /// The DER inside the OCTET STRING.
    pub value: Vec<u8>,
}

/// An extension with an encoded value.
pub(crate) fn extension(id: ObjectIdentifier, critical: bool, value: &[u8]) -> Result<Extension, Error> {
    Ok(Extension {
        extn_id: id,
        critical,
        extn_value: OctetString::new(value).map_err(refused)?,
    })
}

/// An extension from a structure.
pub(crate) fn encoded(id: ObjectIdentifier, critical: bool, value: &impl Encode) -> Result<Extension, Error> {
    extension(id, critical, &value.to_der().map_err(refused)?)
}

fn refused(e: der::Error) -> Error {
    Error::malformed("extension", e.to_string(), "a value that DER can carry")
}

/// Reads the value of an extension to its last byte.
pub(crate) fn read<'a, T: Decode<'a, Error = der::Error>>(name: &str, value: &'a [u8]) -> Result<T, Error> {
    T::from_der(value)
        .map_err(|e| Error::malformed(name, e.to_string(), "the DER of this extension and nothing after it"))
}

/// authorityKeyIdentifier with a key identifier only.
pub(crate) fn authority_key_identifier(key_identifier: &[u8]) -> Result<Extension, Error> {
    let value = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(key_identifier).map_err(refused)?),
        ..Default::default()
    };
    encoded(oid::AUTHORITY_KEY_IDENTIFIER, false, &value)
}

/// subjectKeyIdentifier.
pub(crate) fn subject_key_identifier(key_identifier: &[u8]) -> Result<Extension, Error> {
    let value = OctetString::new(key_identifier).map_err(refused)?;
    encoded(oid::SUBJECT_KEY_IDENTIFIER, false, &value)
}

/// basicConstraints, always critical here, for leaves too: an empty SEQUENCE is what CA false encodes to.
pub(crate) fn basic_constraints(ca: bool, path_length: Option<u8>) -> Result<Extension, Error> {
    let value = BasicConstraints {
        ca,
        path_len_constraint: path_length,
    };
    encoded(oid::BASIC_CONSTRAINTS, true, &value)
}

/// keyUsage, critical; `None` when no usage is a key usage.
pub(crate) fn key_usage(usages: &[Usage]) -> Result<Option<Extension>, Error> {
    let mut bits = [0u8; 2];
    for position in usages.iter().filter_map(|u| u.key_usage_bit()) {
        if let Some(byte) = bits.get_mut(position / 8) {
            *byte |= 0x80 >> (position % 8);
        }
    }
    // X.690 section 11.2.2: a named bit list loses its trailing zero bits.
    let used: &[u8] = match bits {
        [0, 0] => return Ok(None),
        [_, 0] => bits.get(..1).unwrap_or_default(),
        _ => &bits,
    };
    let unused = used.last().map_or(0, |b| b.trailing_zeros());
    let value = BitString::new(u8::try_from(unused).unwrap_or(0), used).map_err(refused)?;
    encoded(oid::KEY_USAGE, true, &value).map(Some)
}

/// The usages of a keyUsage value.
pub(crate) fn read_key_usage(value: &[u8]) -> Result<Vec<Usage>, Error> {
    let bits: BitStringRef<'_> = read("keyUsage", value)?;
    let minimal = bits
        .raw_bytes()
        .last()
        .is_some_and(|b| *b != 0 && b.trailing_zeros() == u32::from(bits.unused_bits()));
    if !minimal || bits.bit_len() > 9 {
        return Err(Error::malformed(
            "keyUsage",
            crate::types::hex(value),
            "at least one of nine bits, without trailing zero bits (RFC 5280 section 4.2.1.3)",
        ));
    }
    let set = |u: &Usage| u.key_usage_bit().and_then(|n| bits.get(n)).unwrap_or(false);
    Ok(Usage::ALL.into_iter().filter(set).collect())
}

/// extKeyUsage; `None` when no usage is an extended one.
pub(crate) fn extended_key_usage(usages: &[Usage]) -> Result<Option<Extension>, Error> {
    let purposes: Vec<ObjectIdentifier> = usages.iter().filter_map(|u| u.extended_oid()).collect();
    if purposes.is_empty() {
        return Ok(None);
    }
    encoded(oid::EXTENDED_KEY_USAGE, false, &purposes).map(Some)
}

/// cRLDistributionPoints: one point with a URI each.
pub(crate) fn crl_distribution_points(urls: &[String]) -> Result<Option<Extension>, Error> {
    let point = |url: &String| {
        Ok(DistributionPoint {
            distribution_point: Some(DistributionPointName::FullName(vec![uri(url)?])),
            reasons: None,
            crl_issuer: None,
        })
    };
    let points = urls.iter().map(point).collect::<Result<Vec<_>, Error>>()?;
    if points.is_empty() {
        return Ok(None);
    }
    encoded(oid::CRL_DISTRIBUTION_POINTS, false, &points).map(Some)
}

/// authorityInfoAccess: OCSP responders, then where the issuer's certificate is.
pub(crate) fn authority_info_access(ocsp: &[String], ca_issuers: &[String]) -> Result<Option<Extension>, Error> {
    let methods = ocsp.iter().map(|url| (oid::ACCESS_OCSP, url));
    let methods = methods.chain(ca_issuers.iter().map(|url| (oid::ACCESS_CA_ISSUERS, url)));
    let access = |(access_method, url): (ObjectIdentifier, &String)| {
        Ok(AccessDescription {
            access_method,
            access_location: uri(url)?,
        })
    };
    let descriptions = methods.map(access).collect::<Result<Vec<_>, Error>>()?;
    if descriptions.is_empty() {
        return Ok(None);
    }
    encoded(oid::AUTHORITY_INFO_ACCESS, false, &descriptions).map(Some)
}

/// certificatePolicies without qualifiers.
pub(crate) fn certificate_policies(policies: &[ObjectIdentifier]) -> Result<Option<Extension>, Error> {
    if policies.is_empty() {
        return Ok(None);
    }
    let information = |policy: &ObjectIdentifier| PolicyInformation {
        policy_identifier: *policy,
        policy_qualifiers: None,
    };
    let value = CertificatePolicies(policies.iter().map(information).collect());
    encoded(oid::CERTIFICATE_POLICIES, false, &value).map(Some)
}

/// noRevAvail (RFC 9608 section 2): NULL, not critical.
pub(crate) fn no_rev_avail() -> Result<Extension, Error> {
    encoded(oid::NO_REV_AVAIL, false, &Null)
}

fn uri(text: &str) -> Result<GeneralName, Error> {
    Ia5String::new(text)
        .map(GeneralName::UniformResourceIdentifier)
        .map_err(|_| Error::malformed("URL", format!("`{}`", text.escape_debug()), "ASCII"))
}

/// A constraint that a CA's certificate puts on itself, as in the ASN.1 (RFC 5280 section 4.2.1.9).
#[derive(Sequence)]
pub(crate) struct ReadBasicConstraints {
    #[asn1(default = "Default::default")]
    pub(crate) ca: bool,
    #[asn1(optional = "true")]
    pub(crate) path_length: Option<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_usage_bits_are_minimal_and_read_back() {
        for usages in [
            vec![Usage::DigitalSignature],
            vec![Usage::CertSign, Usage::CrlSign],
            vec![Usage::KeyAgreement, Usage::DecipherOnly],
        ] {
            let written = key_usage(&usages).unwrap().unwrap();
            assert_eq!(read_key_usage(written.extn_value.as_bytes()).unwrap(), usages);
        }
        assert!(key_usage(&[Usage::ServerAuth]).unwrap().is_none());
        let ca = key_usage(&[Usage::CertSign, Usage::CrlSign]).unwrap().unwrap();
        assert_eq!(ca.extn_value.as_bytes(), b"\x03\x02\x01\x06");
        for bad in [
            &b"\x03\x01\x00"[..],
            b"\x03\x02\x00\x06",
            b"\x03\x03\x00\x06\x00",
            b"\x03\x02\x01\x06\x00",
        ] {
            assert!(read_key_usage(bad).is_err(), "{bad:?}");
        }
    }
}
