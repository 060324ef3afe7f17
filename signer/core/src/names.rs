//! Subjects, subject alternative names and usages, as requests propose them and certificates carry them.

mod general;
mod subject;
mod usage;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

pub use general::{general_names_from_der, general_names_to_der};

/// The attribute types that Stele knows in a distinguished name (RFC 5280 section 4.1.2.4, RFC 4519).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AttributeType {
    /// commonName, 2.5.4.3
    #[serde(rename = "CN")]
    CommonName,
    /// organizationName, 2.5.4.10
    #[serde(rename = "O")]
    Organization,
    /// organizationalUnitName, 2.5.4.11
    #[serde(rename = "OU")]
    OrganizationalUnit,
    /// countryName, 2.5.4.6: two letters, PrintableString
    #[serde(rename = "C")]
    Country,
    /// stateOrProvinceName, 2.5.4.8
    #[serde(rename = "ST")]
    State,
    /// localityName, 2.5.4.7
    #[serde(rename = "L")]
    Locality,
    /// serialNumber, 2.5.4.5: PrintableString
    #[serde(rename = "serialNumber")]
    SerialNumber,
    /// domainComponent, 0.9.2342.19200300.100.1.25: IA5String
    #[serde(rename = "DC")]
    DomainComponent,
    /// userId, 0.9.2342.19200300.100.1.1
    #[serde(rename = "UID")]
    UserId,
}

/// One attribute; every relative distinguished name of ours holds exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: AttributeType,
    /// Its value, decoded to text.
    pub value: String,
}

/// A distinguished name: attributes in encoded order, most significant first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(pub Vec<Attribute>);

/// One subject alternative name (RFC 5280 section 4.2.1.6); text form `dns:`, `ip:`, `uri:`, `email:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum San {
    /// dNSName
    Dns(String),
    /// iPAddress
    Ip(IpAddr),
    /// uniformResourceIdentifier
    Uri(String),
    /// rfc822Name
    Email(String),
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(s) => write!(f, "dns:{s}"),
            Self::Ip(a) => write!(f, "ip:{a}"),
            Self::Uri(s) => write!(f, "uri:{s}"),
            Self::Email(s) => write!(f, "email:{s}"),
        }
    }
}

impl FromStr for San {
    type Err = Error;
    /// Reads the text form. Whether the name is permitted is the profile's business, not ours.
    fn from_str(s: &str) -> Result<Self, Error> {
        let bad = || {
            Error::malformed(
                "san",
                format!("`{}`", s.escape_debug()),
                "dns:NAME, ip:ADDRESS, uri:URI or email:ADDRESS",
            )
        };
        match s.split_once(':').ok_or_else(bad)? {
            (_, "") => Err(bad()),
            ("dns", v) => Ok(Self::Dns(v.to_owned())),
            ("ip", v) => v.parse().map(Self::Ip).map_err(|_| bad()),
            ("uri", v) => Ok(Self::Uri(v.to_owned())),
            ("email", v) => Ok(Self::Email(v.to_owned())),
            _ => Err(bad()),
        }
    }
}

impl Serialize for San {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for San {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a key may be used for, in the words of Kubernetes (`spec.usages`); the first nine are key usage bits
/// (RFC 5280 section 4.2.1.3, bit number = position), the others extended key usages (section 4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Usage {
    /// bit 0
    #[serde(rename = "digital signature", alias = "signing")]
    DigitalSignature,
    /// bit 1 (nonRepudiation)
    #[serde(rename = "content commitment")]
    ContentCommitment,
    /// bit 2
    #[serde(rename = "key encipherment")]
    KeyEncipherment,
    /// bit 3
    #[serde(rename = "data encipherment")]
    DataEncipherment,
    /// bit 4
    #[serde(rename = "key agreement")]
    KeyAgreement,
    /// bit 5
    #[serde(rename = "cert sign")]
    CertSign,
    /// bit 6
    #[serde(rename = "crl sign")]
    CrlSign,
    /// bit 7
    #[serde(rename = "encipher only")]
    EncipherOnly,
    /// bit 8
    #[serde(rename = "decipher only")]
    DecipherOnly,
    /// id-kp-serverAuth
    #[serde(rename = "server auth")]
    ServerAuth,
    /// id-kp-clientAuth
    #[serde(rename = "client auth")]
    ClientAuth,
    /// id-kp-codeSigning
    #[serde(rename = "code signing")]
    CodeSigning,
    /// id-kp-emailProtection
    #[serde(rename = "email protection")]
    EmailProtection,
    /// id-kp-timeStamping
    #[serde(rename = "timestamping")]
    TimeStamping,
    /// id-kp-OCSPSigning
    #[serde(rename = "ocsp signing")]
    OcspSigning,
}
