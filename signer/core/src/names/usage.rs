//! Usages: their names, key usage bits and object identifiers.

use der::asn1::ObjectIdentifier;

use super::Usage;

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
    use crate::names::AttributeType;

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
