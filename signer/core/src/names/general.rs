//! Subject alternative names between our types and GeneralNames.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use der::asn1::{Ia5String, OctetString};
use der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;

use super::San;
use crate::error::Error;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
