//! Decoding the subject of a request into [`Subject`].

use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519;
use der::asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef};
use der::{Tag, Tagged};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RelativeDistinguishedName};

use super::shown;
use crate::error::Violation;
use crate::names::{Attribute, AttributeType, Subject};

/// The rule that every name breaks which Stele cannot put into a certificate.
pub(super) const RULE: &str = "name-not-representable";

/// A decoded subject and what could not be decoded.
pub(super) struct Decoded {
    pub(super) subject: Subject,
    pub(super) unrepresentable: Vec<Violation>,
}

impl Decoded {
    /// How many names there are, representable or not.
    pub(super) const fn count(&self) -> usize {
        self.subject.0.len() + self.unrepresentable.len()
    }
}

/// Decodes attribute by attribute; what has no place in a [`Subject`] becomes a violation.
pub(super) fn decode(name: &Name) -> Decoded {
    let mut decoded = Decoded {
        subject: Subject::default(),
        unrepresentable: Vec::new(),
    };
    for rdn in name.iter_rdn() {
        match attribute(rdn) {
            Ok(attribute) => decoded.subject.0.push(attribute),
            Err(violation) => decoded.unrepresentable.push(violation),
        }
    }
    decoded
}

fn attribute(rdn: &RelativeDistinguishedName) -> Result<Attribute, Violation> {
    let mut attributes = rdn.iter();
    let (Some(only), None) = (attributes.next(), attributes.next()) else {
        let found = format!("a relative distinguished name of {} attributes", rdn.len());
        return Err(Violation::new("subject", RULE, found, "exactly one attribute each"));
    };
    let kind = attribute_type(only.oid).ok_or_else(|| {
        let permitted = "CN, O, OU, C, ST, L, serialNumber, DC and UID";
        Violation::new("subject", RULE, format!("attribute type {}", only.oid), permitted)
    })?;
    text(only)
        .and_then(|value| checked(value).map(|()| value.to_owned()))
        .map(|value| Attribute { kind, value })
        .map_err(|found| {
            let permitted = "UTF8String, PrintableString or IA5String, not empty, without control characters";
            Violation::new(format!("subject.{kind:?}"), RULE, found, permitted)
        })
}

fn attribute_type(oid: ObjectIdentifier) -> Option<AttributeType> {
    Some(match oid {
        rfc4519::CN => AttributeType::CommonName,
        rfc4519::O => AttributeType::Organization,
        rfc4519::OU => AttributeType::OrganizationalUnit,
        rfc4519::C => AttributeType::Country,
        rfc4519::ST => AttributeType::State,
        rfc4519::L => AttributeType::Locality,
        rfc4519::SERIAL_NUMBER => AttributeType::SerialNumber,
        rfc4519::DC => AttributeType::DomainComponent,
        rfc4519::UID => AttributeType::UserId,
        _ => return None,
    })
}

fn text(attribute: &AttributeTypeAndValue) -> Result<&str, String> {
    let value = &attribute.value;
    let decoded = match value.tag() {
        Tag::Utf8String => Utf8StringRef::try_from(value).map(|s| s.as_str()),
        Tag::PrintableString => PrintableStringRef::try_from(value).map(|s| s.as_str()),
        Tag::Ia5String => Ia5StringRef::try_from(value).map(|s| s.as_str()),
        other => return Err(format!("a value of type {other}")),
    };
    decoded.map_err(|_| format!("a {} with characters that it may not hold", value.tag()))
}

/// Names reach shells, logs, C programs and the eyes of operators: none may end early, steer a terminal, or hold
/// characters that are invisible or change the direction of reading.
pub(super) fn checked(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("an empty value".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err(format!("control characters in `{}`", shown(text)));
    }
    let is_invisible =
        |c| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if text.chars().any(is_invisible) {
        return Err(format!("invisible characters in `{}`", shown(text)));
    }
    Ok(())
}
