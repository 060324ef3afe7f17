//! Decoding a subjectAltName extension (RFC 5280 section 4.2.1.6).

use std::net::IpAddr;

use super::name::{RULE, checked};
use super::shown;
use crate::error::{Error, Violation};
use crate::keycheck::strict::{self, Element};
use crate::names::San;
use crate::types::hex;

const FIELD: &str = "csr.subjectAltName";

/// The names of one extension, and those that [`San`] cannot express.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sans {
    pub(super) sans: Vec<San>,
    pub(super) unrepresentable: Vec<Violation>,
}

impl Sans {
    /// How many names there are, representable or not.
    pub(super) const fn count(&self) -> usize {
        self.sans.len() + self.unrepresentable.len()
    }

    /// Reads the extension's value.
    pub(super) fn decode(value: &[u8], max_depth: usize) -> Result<Self, Error> {
        let names = strict::check(FIELD, value, max_depth)?;
        if names.tag != 0x30 || names.value.is_empty() {
            let permitted = "a SEQUENCE of at least one GeneralName";
            return Err(Error::malformed(FIELD, "something else or nothing", permitted));
        }
        let mut decoded = Self::default();
        for name in strict::children(FIELD, names.value)? {
            match general_name(name) {
                Ok(san) => decoded.sans.push(san),
                Err((kind, found)) => decoded.unrepresentable.push(Violation::new(
                    format!("san.{kind}"),
                    RULE,
                    found,
                    "dNSName, iPAddress of 4 or 16 octets, uniformResourceIdentifier or rfc822Name; printable ASCII",
                )),
            }
        }
        Ok(decoded)
    }
}

/// A GeneralName by its context-specific tag, or its kind and why it cannot be expressed.
fn general_name(name: Element<'_>) -> Result<San, (&'static str, String)> {
    match name.tag {
        0x81 => ascii(name).map(San::Email).map_err(|e| ("email", e)),
        0x82 => ascii(name).map(San::Dns).map_err(|e| ("dns", e)),
        0x86 => ascii(name).map(San::Uri).map_err(|e| ("uri", e)),
        0x87 => address(name.value).map(San::Ip).map_err(|e| ("ip", e)),
        0xa0 => Err(("otherName", "an otherName".to_owned())),
        0xa3 => Err(("x400Address", "an x400Address".to_owned())),
        0xa4 => Err(("directoryName", "a directoryName".to_owned())),
        0xa5 => Err(("ediPartyName", "an ediPartyName".to_owned())),
        0x88 => Err(("registeredID", "a registeredID".to_owned())),
        tag => Err(("unknown", format!("a GeneralName with the identifier octet {tag:02x}"))),
    }
}

fn ascii(name: Element<'_>) -> Result<String, String> {
    let text = String::from_utf8_lossy(name.value);
    if !text.is_ascii() {
        return Err(format!("`{}`, which is not ASCII", shown(&text)));
    }
    checked(&text).map(|()| text.into_owned())
}

fn address(octets: &[u8]) -> Result<IpAddr, String> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .map_err(|_| {
            let shown = hex(octets.get(..40).unwrap_or(octets));
            format!("an address of {} octets: {shown}", octets.len())
        })
}
