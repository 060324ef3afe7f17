//! Subjects, subject alternative names and usages.

use std::collections::HashSet;

use stele_core::names::{Attribute, AttributeType, San, Subject, Usage};

use super::fields::{Fields, excerpt};
use super::limits;
use crate::v1;

/// Pairs the values of a core enum with those of the wire, in both directions, so that they cannot drift apart.
macro_rules! pair {
    ($to_core:ident, $to_wire:ident, $core:ident, $wire:ident, $($name:ident),+) => {
        const fn $to_core(wire: v1::$wire) -> Option<$core> {
            match wire {
                v1::$wire::Unspecified => None,
                $(v1::$wire::$name => Some($core::$name),)+
            }
        }
        /// The value on the wire.
        #[must_use]
        pub const fn $to_wire(core: $core) -> v1::$wire {
            match core {
                $($core::$name => v1::$wire::$name,)+
            }
        }
    };
}
pair!(
    attribute_type,
    attribute_type_to_wire,
    AttributeType,
    AttributeType,
    CommonName,
    Organization,
    OrganizationalUnit,
    Country,
    State,
    Locality,
    SerialNumber,
    DomainComponent,
    UserId
);
pair!(
    usage,
    usage_to_wire,
    Usage,
    Usage,
    DigitalSignature,
    ContentCommitment,
    KeyEncipherment,
    DataEncipherment,
    KeyAgreement,
    CertSign,
    CrlSign,
    EncipherOnly,
    DecipherOnly,
    ServerAuth,
    ClientAuth,
    CodeSigning,
    EmailProtection,
    TimeStamping,
    OcspSigning
);

impl Fields {
    /// A subject; without attributes it is the empty name.
    pub(super) fn subject(&mut self, field: &str, wire: v1::Subject) -> Option<Subject> {
        let v1::Subject { attributes } = wire;
        let field = format!("{field}.attributes");
        if !self.count(&field, attributes.len(), limits::ATTRIBUTES, "attributes") {
            return None;
        }
        let attributes: Vec<_> = attributes
            .into_iter()
            .enumerate()
            .filter_map(|(i, attribute)| self.attribute(&format!("{field}[{i}]"), attribute))
            .collect();
        Some(Subject(attributes))
    }

    fn attribute(&mut self, field: &str, wire: v1::Attribute) -> Option<Attribute> {
        let v1::Attribute { r#type, value } = wire;
        let kind = v1::AttributeType::try_from(r#type).ok().and_then(attribute_type);
        if kind.is_none() {
            self.unknown(&format!("{field}.type"), r#type, "an attribute type of this contract");
        }
        let value = self.text(&format!("{field}.value"), value, limits::ATTRIBUTE_VALUE);
        Some(Attribute {
            kind: kind?,
            value: value?,
        })
    }

    /// A list of subject alternative names, each once.
    pub(super) fn sans(&mut self, field: &str, wire: v1::SubjectAlternativeNames) -> Option<Vec<San>> {
        let v1::SubjectAlternativeNames { names } = wire;
        let field = format!("{field}.names");
        if !self.count(&field, names.len(), limits::SANS, "names") {
            return None;
        }
        let mut seen = HashSet::new();
        let mut sans = Vec::new();
        for (i, name) in names.into_iter().enumerate() {
            let field = format!("{field}[{i}]");
            let Some(san) = self.san(&field, name) else { continue };
            if !seen.insert(san.clone()) {
                self.refuse(&field, "duplicate", excerpt(&san.to_string()), "each name once");
            }
            sans.push(san);
        }
        Some(sans)
    }

    /// One subject alternative name.
    pub(super) fn san(&mut self, field: &str, wire: v1::SubjectAlternativeName) -> Option<San> {
        use v1::subject_alternative_name::Name;
        let v1::SubjectAlternativeName { name } = wire;
        match name {
            None => {
                self.absent(field, "one of dns, ip, uri, email");
                None
            }
            Some(Name::Dns(dns)) => self.text(&format!("{field}.dns"), dns, limits::DNS).map(San::Dns),
            Some(Name::Uri(uri)) => self.text(&format!("{field}.uri"), uri, limits::URI).map(San::Uri),
            Some(Name::Email(mail)) => self
                .text(&format!("{field}.email"), mail, limits::EMAIL)
                .map(San::Email),
            Some(Name::Ip(ip)) => match ip.parse() {
                Ok(address) => Some(San::Ip(address)),
                Err(_) => {
                    let permitted = "an IPv4 or IPv6 address without zone or prefix length";
                    self.refuse(&format!("{field}.ip"), "malformed", excerpt(&ip), permitted);
                    None
                }
            },
        }
    }

    /// A list of usages, at least one and each once.
    pub(super) fn usages(&mut self, field: &str, wire: v1::Usages) -> Option<Vec<Usage>> {
        let v1::Usages { usages } = wire;
        let field = format!("{field}.usages");
        if usages.is_empty() {
            self.absent(&field, "at least one usage; leave out `usages` to take the profile's");
        }
        if !self.count(&field, usages.len(), limits::USAGES, "usages") {
            return None;
        }
        let mut found = Vec::new();
        for (i, number) in usages.into_iter().enumerate() {
            let field = format!("{field}[{i}]");
            match v1::Usage::try_from(number).ok().and_then(usage) {
                None => self.unknown(&field, number, "a usage of this contract"),
                Some(usage) if found.contains(&usage) => {
                    self.refuse(
                        &field,
                        "duplicate",
                        usage_to_wire(usage).as_str_name(),
                        "each usage once",
                    );
                }
                Some(usage) => found.push(usage),
            }
        }
        Some(found)
    }

    /// Notes a number that is no value of its enum, or its zero value.
    pub(super) fn unknown(&mut self, field: &str, number: i32, permitted: &str) {
        let rule = if number == 0 { "required" } else { "unknown-value" };
        self.refuse(field, rule, format!("the enum value {number}"), permitted);
    }
}

/// A subject on the wire.
#[must_use]
pub fn subject_to_wire(subject: &Subject) -> v1::Subject {
    let Subject(attributes) = subject;
    v1::Subject {
        attributes: attributes
            .iter()
            .map(|Attribute { kind, value }| v1::Attribute {
                r#type: attribute_type_to_wire(*kind).into(),
                value: value.clone(),
            })
            .collect(),
    }
}

/// A subject alternative name on the wire.
#[must_use]
pub fn san_to_wire(san: &San) -> v1::SubjectAlternativeName {
    use v1::subject_alternative_name::Name;
    v1::SubjectAlternativeName {
        name: Some(match san {
            San::Dns(name) => Name::Dns(name.clone()),
            San::Ip(address) => Name::Ip(address.to_string()),
            San::Uri(uri) => Name::Uri(uri.clone()),
            San::Email(address) => Name::Email(address.clone()),
        }),
    }
}
