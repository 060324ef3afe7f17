//! Names between our types and DER: distinguished names, general names, usages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use der::asn1::{Any, Ia5String, Ia5StringRef, ObjectIdentifier, OctetString, PrintableStringRef, Utf8StringRef};
use der::{Decode, Encode, Tag, Tagged};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

use super::{Attribute, AttributeType, San, Subject, Usage};
use crate::error::Error;

impl AttributeType {
    /// Every attribute type, in the order in which our own subjects carry them: most significant first.
    pub const ALL: [Self; 9] = [
        Self::DomainComponent,
        Self::Country,
        Self::State,
        Self::Locality,
        Self::Organization,
        Self::OrganizationalUnit,
        Self::CommonName,
        Self::SerialNumber,
        Self::UserId,
    ];

    /// Its object identifier.
    #[must_use]
    pub const fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::CommonName => "2.5.4.3",
            Self::Organization => "2.5.4.10",
            Self::OrganizationalUnit => "2.5.4.11",
            Self::Country => "2.5.4.6",
            Self::State => "2.5.4.8",
            Self::Locality => "2.5.4.7",
            Self::SerialNumber => "2.5.4.5",
            Self::DomainComponent => "0.9.2342.19200300.100.1.25",
            Self::UserId => "0.9.2342.19200300.100.1.1",
        })
    }

    /// The type with this object identifier, if Stele knows it.
    #[must_use]
    pub fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.oid() == oid)
    }

    /// The short name, as in RFC 4514, e.g. `CN`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommonName => "CN",
            Self::Organization => "O",
            Self::OrganizationalUnit => "OU",
            Self::Country => "C",
            Self::State => "ST",
            Self::Locality => "L",
            Self::SerialNumber => "serialNumber",
            Self::DomainComponent => "DC",
            Self::UserId => "UID",
        }
    }

    /// The greatest number of characters (RFC 5280 appendix A.1, "upper bounds"; DC is a DNS label; UID per RFC 4524).
    #[must_use]
    pub const fn upper_bound(self) -> usize {
        match self {
            Self::Country => 2,
            Self::DomainComponent => 63,
            Self::State | Self::Locality => 128,
            Self::UserId => 256,
            Self::CommonName | Self::Organization | Self::OrganizationalUnit | Self::SerialNumber => 64,
        }
    }

    const fn tag(self) -> Tag {
        match self {
            Self::Country | Self::SerialNumber => Tag::PrintableString,
            Self::DomainComponent => Tag::Ia5String,
            _ => Tag::Utf8String,
        }
    }
}

impl Attribute {
    /// An attribute of this type and value.
    pub fn new(kind: AttributeType, value: impl Into<String>) -> Self {
        Self {
            kind,
            value: value.into(),
        }
    }

    fn to_rdn(&self) -> Result<RelativeDistinguishedName, Error> {
        let refused = |_| {
            Error::malformed(
                format!("subject.{}", self.kind.name()),
                format!("`{}`", self.value.escape_debug()),
                "characters of a PrintableString (C, serialNumber), of ASCII (DC) or of UTF-8",
            )
        };
        let bytes = self.value.as_bytes();
        match self.kind.tag() {
            Tag::PrintableString => PrintableStringRef::new(bytes).map(drop).map_err(refused)?,
            Tag::Ia5String => Ia5StringRef::new(bytes).map(drop).map_err(refused)?,
            _ => {}
        }
        let value = Any::new(self.kind.tag(), bytes).map_err(refused)?;
        RelativeDistinguishedName::try_from(vec![AttributeTypeAndValue {
            oid: self.kind.oid(),
            value,
        }])
        .map_err(refused)
    }
}

impl Subject {
    /// Whether there is no attribute at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values of all attributes of one type, in order.
    pub fn values(&self, kind: AttributeType) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |a| a.kind == kind).map(|a| a.value.as_str())
    }

    /// The DER of the RDNSequence: one attribute per relative distinguished name; PrintableString for C and
    /// serialNumber, IA5String for DC, else UTF8String (RFC 5280 section 4.1.2.4).
    ///
    /// # Errors
    /// When a value has characters that its string type cannot carry.
    pub fn to_der(&self) -> Result<Vec<u8>, Error> {
        let mut rdns = RdnSequence::default();
        for attribute in &self.0 {
            rdns.push(attribute.to_rdn()?);
        }
        rdns.to_der()
            .map_err(|e| Error::malformed("subject", e.to_string(), "a name that DER can carry"))
    }

    /// Reads the DER of a Name whose attributes are all of types that Stele knows, one per RDN.
    ///
    /// # Errors
    /// When it is not DER, an RDN has several attributes, or a type or string form is foreign.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let name = Name::from_der(der).map_err(|e| Error::malformed("name", e.to_string(), "a DER Name"))?;
        let mut attributes = Vec::with_capacity(name.len());
        for rdn in name.iter_rdn() {
            let mut values = rdn.iter();
            match (values.next(), values.next()) {
                (Some(one), None) => attributes.push(read_attribute(one)?),
                _ => {
                    return Err(Error::malformed(
                        "name",
                        format!("`{rdn}`"),
                        "exactly one attribute per relative distinguished name",
                    ));
                }
            }
        }
        Ok(Self(attributes))
    }
}

fn read_attribute(a: &AttributeTypeAndValue) -> Result<Attribute, Error> {
    let kind = AttributeType::from_oid(a.oid).ok_or_else(|| {
        Error::malformed(
            "name",
            format!("attribute type {}", a.oid),
            "DC, C, ST, L, O, OU, CN, serialNumber, UID",
        )
    })?;
    let text = match a.value.tag() {
        Tag::Utf8String => Utf8StringRef::try_from(&a.value).ok().map(|s| s.as_str().to_owned()),
        Tag::PrintableString => PrintableStringRef::try_from(&a.value)
            .ok()
            .map(|s| s.as_str().to_owned()),
        Tag::Ia5String => Ia5StringRef::try_from(&a.value).ok().map(|s| s.as_str().to_owned()),
        _ => None,
    };
    let value = text.ok_or_else(|| {
        Error::malformed(
            format!("name.{}", kind.name()),
            format!("{}", a.value.tag()),
            "a well-formed UTF8String, PrintableString or IA5String",
        )
    })?;
    Ok(Attribute { kind, value })
}

impl San {
    /// The short name of its type: `dns`, `ip`, `uri` or `email`.
    #[must_use]
    pub const fn form(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::Ip(_) => "ip",
            Self::Uri(_) => "uri",
            Self::Email(_) => "email",
        }
    }

    /// As a GeneralName.
    ///
    /// # Errors
    /// When a text is not ASCII (all three text forms are IA5String).
    pub fn to_general_name(&self) -> Result<GeneralName, Error> {
        let ia5 = |text: &str| {
            Ia5String::new(text).map_err(|_| {
                Error::malformed(
                    format!("san.{}", self.form()),
                    format!("`{}`", text.escape_debug()),
                    "ASCII (A-labels for international names)",
                )
            })
        };
        Ok(match self {
            Self::Dns(name) => GeneralName::DnsName(ia5(name)?),
            Self::Uri(uri) => GeneralName::UniformResourceIdentifier(ia5(uri)?),
            Self::Email(address) => GeneralName::Rfc822Name(ia5(address)?),
            Self::Ip(address) => {
                let octets = match address {
                    IpAddr::V4(a) => OctetString::new(a.octets()),
                    IpAddr::V6(a) => OctetString::new(a.octets()),
                };
                GeneralName::IpAddress(octets.map_err(|e| Error::malformed("san.ip", e.to_string(), "4 or 16 octets"))?)
            }
        })
    }

    /// From a GeneralName.
    ///
    /// # Errors
    /// When it is of another form, or an address that has neither 4 nor 16 octets.
    pub fn from_general_name(name: &GeneralName) -> Result<Self, Error> {
        let foreign = |found: String| Error::malformed("san", found, "dNSName, iPAddress, URI or rfc822Name");
        match name {
            GeneralName::DnsName(text) => Ok(Self::Dns(text.as_str().to_owned())),
            GeneralName::UniformResourceIdentifier(text) => Ok(Self::Uri(text.as_str().to_owned())),
            GeneralName::Rfc822Name(text) => Ok(Self::Email(text.as_str().to_owned())),
            GeneralName::IpAddress(octets) => ip_from_octets(octets.as_bytes())
                .map(Self::Ip)
                .ok_or_else(|| foreign(format!("an iPAddress of {} octets", octets.as_bytes().len()))),
            GeneralName::OtherName(other) => Err(foreign(format!("an otherName of type {}", other.type_id))),
            GeneralName::DirectoryName(name) => Err(foreign(format!("the directoryName `{name}`"))),
            GeneralName::EdiPartyName(_) => Err(foreign("an ediPartyName".to_owned())),
            GeneralName::RegisteredId(oid) => Err(foreign(format!("the registeredID {oid}"))),
        }
    }
}

fn ip_from_octets(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Some(IpAddr::V4(Ipv4Addr::from(v4)));
    }
    <[u8; 16]>::try_from(octets)
        .ok()
        .map(|v6| IpAddr::V6(Ipv6Addr::from(v6)))
}

/// The DER of a GeneralNames, the value of a subjectAltName extension.
///
/// # Errors
/// When a name is not ASCII.
pub fn general_names_to_der(sans: &[San]) -> Result<Vec<u8>, Error> {
    let names = sans.iter().map(San::to_general_name).collect::<Result<Vec<_>, _>>()?;
    names
        .to_der()
        .map_err(|e| Error::malformed("san", e.to_string(), "names that DER can carry"))
}

/// Reads a GeneralNames: the names of the four forms, and an error for each of the others.
///
/// # Errors
/// When it is not the DER of a GeneralNames at all.
pub fn general_names_from_der(der: &[u8]) -> Result<(Vec<San>, Vec<Error>), Error> {
    let names = Vec::<GeneralName>::from_der(der)
        .map_err(|e| Error::malformed("subjectAltName", e.to_string(), "a DER GeneralNames"))?;
    let (mut known, mut foreign) = (Vec::with_capacity(names.len()), Vec::new());
    for name in &names {
        match San::from_general_name(name) {
            Ok(san) => known.push(san),
            Err(error) => foreign.push(error),
        }
    }
    Ok((known, foreign))
}

impl Usage {
    /// Every usage: first the nine key usages in the order of their bits, then the extended ones.
    pub const ALL: [Self; 15] = [
        Self::DigitalSignature,
        Self::ContentCommitment,
        Self::KeyEncipherment,
        Self::DataEncipherment,
        Self::KeyAgreement,
        Self::CertSign,
        Self::CrlSign,
        Self::EncipherOnly,
        Self::DecipherOnly,
        Self::ServerAuth,
        Self::ClientAuth,
        Self::CodeSigning,
        Self::EmailProtection,
        Self::TimeStamping,
        Self::OcspSigning,
    ];

    /// The name in the words of Kubernetes, e.g. `server auth`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DigitalSignature => "digital signature",
            Self::ContentCommitment => "content commitment",
            Self::KeyEncipherment => "key encipherment",
            Self::DataEncipherment => "data encipherment",
            Self::KeyAgreement => "key agreement",
            Self::CertSign => "cert sign",
            Self::CrlSign => "crl sign",
            Self::EncipherOnly => "encipher only",
            Self::DecipherOnly => "decipher only",
            Self::ServerAuth => "server auth",
            Self::ClientAuth => "client auth",
            Self::CodeSigning => "code signing",
            Self::EmailProtection => "email protection",
            Self::TimeStamping => "timestamping",
            Self::OcspSigning => "ocsp signing",
        }
    }

    /// The number of its keyUsage bit (RFC 5280 section 4.2.1.3); none for an extended usage.
    #[must_use]
    pub const fn key_usage_bit(self) -> Option<usize> {
        match self {
            Self::DigitalSignature => Some(0),
            Self::ContentCommitment => Some(1),
            Self::KeyEncipherment => Some(2),
            Self::DataEncipherment => Some(3),
            Self::KeyAgreement => Some(4),
            Self::CertSign => Some(5),
            Self::CrlSign => Some(6),
            Self::EncipherOnly => Some(7),
            Self::DecipherOnly => Some(8),
            _ => None,
        }
    }

    /// Its extKeyUsage object identifier (RFC 5280 section 4.2.1.12); none for a keyUsage bit.
    #[must_use]
    pub const fn extended_oid(self) -> Option<ObjectIdentifier> {
        Some(ObjectIdentifier::new_unwrap(match self {
            Self::ServerAuth => "1.3.6.1.5.5.7.3.1",
            Self::ClientAuth => "1.3.6.1.5.5.7.3.2",
            Self::CodeSigning => "1.3.6.1.5.5.7.3.3",
            Self::EmailProtection => "1.3.6.1.5.5.7.3.4",
            Self::TimeStamping => "1.3.6.1.5.5.7.3.8",
            Self::OcspSigning => "1.3.6.1.5.5.7.3.9",
            _ => return None,
        }))
    }

    /// The extended usage with this object identifier, if Stele knows it.
    #[must_use]
    pub fn from_extended_oid(oid: ObjectIdentifier) -> Option<Self> {
        Self::ALL.into_iter().find(|usage| usage.extended_oid() == Some(oid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_reads_back_and_uses_the_right_string_types() {
        let subject = Subject(vec![
            Attribute::new(AttributeType::DomainComponent, "example"),
            Attribute::new(AttributeType::Country, "GB"),
            Attribute::new(AttributeType::Organization, "Stèle"),
            Attribute::new(AttributeType::SerialNumber, "A-1"),
        ]);
        let der = subject.to_der().unwrap();
        assert_eq!(Subject::from_der(&der).unwrap(), subject);
        let name = Name::from_der(&der).unwrap();
        let tags: Vec<Tag> = name.iter().map(|a| a.value.tag()).collect();
        assert_eq!(
            tags,
            [
                Tag::Ia5String,
                Tag::PrintableString,
                Tag::Utf8String,
                Tag::PrintableString
            ]
        );
        assert_eq!(Subject::default().to_der().unwrap(), [0x30, 0]);
    }

    #[test]
    fn a_country_that_is_not_printable_is_refused() {
        let subject = Subject(vec![Attribute::new(AttributeType::Country, "G@")]);
        assert!(subject.to_der().unwrap_err().to_string().contains("subject.C"));
    }

    #[test]
    fn general_names_read_back_and_foreign_forms_are_named() {
        let sans: Vec<San> = [
            "dns:a.example",
            "ip:10.0.0.1",
            "ip:::1",
            "uri:spiffe://a/b",
            "email:a@example.org",
        ]
        .iter()
        .map(|s| s.parse().unwrap())
        .collect();
        let der = general_names_to_der(&sans).unwrap();
        assert_eq!(general_names_from_der(&der).unwrap(), (sans, vec![]));
        // A three-octet iPAddress.
        let (known, foreign) = general_names_from_der(&[0x30, 5, 0x87, 3, 1, 2, 3]).unwrap();
        assert!(known.is_empty());
        assert!(foreign[0].to_string().contains("3 octets"));
        assert!(general_names_from_der(&[0x30, 5]).is_err());
        assert!(general_names_to_der(&[San::Dns("é".to_owned())]).is_err());
    }

    #[test]
    fn usages_and_attribute_types_map_both_ways() {
        for usage in Usage::ALL {
            assert_ne!(usage.key_usage_bit().is_some(), usage.extended_oid().is_some());
            assert_eq!(serde_json::to_string(&usage).unwrap(), format!("\"{}\"", usage.name()));
            if let Some(oid) = usage.extended_oid() {
                assert_eq!(Usage::from_extended_oid(oid), Some(usage));
            }
        }
        for kind in AttributeType::ALL {
            assert_eq!(AttributeType::from_oid(kind.oid()), Some(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.name()));
        }
    }
}
