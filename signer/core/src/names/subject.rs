//! Distinguished names between our types and DER.

use der::asn1::{Any, Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use der::{Decode, Encode, Tag, Tagged};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

use super::{Attribute, AttributeType, Subject};
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
}
