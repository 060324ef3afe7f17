//! Decoding the extensions that a request asks for (RFC 2985 section 5.4.2, RFC 5280 section 4.2.1).

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_BASIC_CONSTRAINTS, ID_CE_EXT_KEY_USAGE, ID_CE_KEY_USAGE, ID_CE_SUBJECT_ALT_NAME, ID_KP_CLIENT_AUTH,
    ID_KP_CODE_SIGNING, ID_KP_EMAIL_PROTECTION, ID_KP_OCSP_SIGNING, ID_KP_SERVER_AUTH, ID_KP_TIME_STAMPING,
};
use der::asn1::{Any, BitStringRef};
use der::{Decode, DecodeOwned, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::BasicConstraints;

use super::san::Sans;
use crate::error::Error;
use crate::keycheck::strict;
use crate::names::Usage;

/// Key usage bits by number (RFC 5280 section 4.2.1.3).
const KEY_USAGES: [Usage; 9] = [
    Usage::DigitalSignature,
    Usage::ContentCommitment,
    Usage::KeyEncipherment,
    Usage::DataEncipherment,
    Usage::KeyAgreement,
    Usage::CertSign,
    Usage::CrlSign,
    Usage::EncipherOnly,
    Usage::DecipherOnly,
];

/// What the extensionRequest asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Requested {
    pub(super) sans: Sans,
    pub(super) usages: Option<Vec<Usage>>,
    pub(super) unknown_usages: Vec<String>,
    pub(super) basic_constraints: Option<(bool, Option<u8>)>,
    pub(super) others: Vec<(String, bool)>,
}

impl Requested {
    /// Reads the value of an extensionRequest; a request without one asks for nothing.
    pub(super) fn decode(value: Option<&Any>, max_depth: usize) -> Result<Self, Error> {
        let mut requested = Self::default();
        let Some(value) = value else { return Ok(requested) };
        let extensions = extensions(value)?;
        for extension in &extensions {
            requested.take(extension, max_depth)?;
        }
        // The words of Kubernetes list the key usage first, whatever the order of the extensions.
        if let Some(usages) = &mut requested.usages {
            usages.sort_by_key(|usage| !KEY_USAGES.contains(usage));
        }
        Ok(requested)
    }

    fn take(&mut self, extension: &Extension, max_depth: usize) -> Result<(), Error> {
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            ID_CE_SUBJECT_ALT_NAME => self.sans = Sans::decode(value, max_depth)?,
            ID_CE_KEY_USAGE => self.usages.get_or_insert_default().extend(key_usage(value)?),
            ID_CE_EXT_KEY_USAGE => self.take_extended(value)?,
            ID_CE_BASIC_CONSTRAINTS => {
                let constraints: BasicConstraints = exact("csr.basicConstraints", value)?;
                self.basic_constraints = Some((constraints.ca, constraints.path_len_constraint));
            }
            other => self.others.push((other.to_string(), extension.critical)),
        }
        Ok(())
    }

    fn take_extended(&mut self, value: &[u8]) -> Result<(), Error> {
        let purposes: Vec<ObjectIdentifier> = exact("csr.extendedKeyUsage", value)?;
        if purposes.is_empty() {
            return Err(Error::malformed("csr.extendedKeyUsage", "no purposes", "at least one"));
        }
        let usages = self.usages.get_or_insert_default();
        for purpose in purposes {
            match extended_key_usage(purpose) {
                Some(usage) => usages.push(usage),
                None => self.unknown_usages.push(purpose.to_string()),
            }
        }
        Ok(())
    }
}

fn extensions(value: &Any) -> Result<Vec<Extension>, Error> {
    let field = "csr.extensionRequest";
    let bytes = value
        .to_der()
        .map_err(|e| Error::malformed(field, e.to_string(), "a SEQUENCE of Extension"))?;
    let extensions: Vec<Extension> = exact(field, &bytes)?;
    if extensions.is_empty() {
        return Err(Error::malformed(
            field,
            "no extensions",
            "at least one, or no such attribute",
        ));
    }
    // RFC 5280 section 4.2: no more than one instance of an extension.
    let mut oids: Vec<_> = extensions.iter().map(|e| e.extn_id).collect();
    oids.sort_unstable();
    let twice = oids.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(a),
        _ => None,
    });
    if let Some(twice) = twice {
        return Err(Error::malformed(
            field,
            format!("extension {twice} twice"),
            "each extension once",
        ));
    }
    Ok(extensions)
}

/// Decodes `value`, all of it, and refuses what would be encoded in another way: a DEFAULT that was written out.
fn exact<T: DecodeOwned + Encode>(field: &str, value: &[u8]) -> Result<T, Error>
where
    for<'a> <T as Decode<'a>>::Error: ToString,
{
    let bad = |found: String| Error::malformed(field, found, "the type of RFC 5280 section 4.2.1 in strict DER");
    let decoded = T::from_der(value).map_err(|e| bad(e.to_string()))?;
    if decoded.to_der().ok().as_deref() != Some(value) {
        return Err(bad(
            "an encoding other than DER, such as a DEFAULT written out".to_owned()
        ));
    }
    Ok(decoded)
}

fn key_usage(value: &[u8]) -> Result<Vec<Usage>, Error> {
    let bad = |found: &str| {
        let permitted = "a BIT STRING of bits 0 to 8, at least one set, without trailing zeros (X.690 section 11.2.2)";
        Error::malformed("csr.keyUsage", found, permitted)
    };
    strict::check("csr.keyUsage", value, 1)?;
    let bits = BitStringRef::from_der(value).map_err(|e| bad(&e.to_string()))?;
    let last = bits.bit_len().checked_sub(1).ok_or_else(|| bad("no bits"))?;
    if bits.get(last) != Some(true) {
        return Err(bad("trailing zero bits"));
    }
    if last >= KEY_USAGES.len() {
        return Err(bad(&format!("bit {last}")));
    }
    let set = bits.bits().zip(KEY_USAGES).filter(|(bit, _)| *bit);
    Ok(set.map(|(_, usage)| usage).collect())
}

fn extended_key_usage(purpose: ObjectIdentifier) -> Option<Usage> {
    Some(match purpose {
        ID_KP_SERVER_AUTH => Usage::ServerAuth,
        ID_KP_CLIENT_AUTH => Usage::ClientAuth,
        ID_KP_CODE_SIGNING => Usage::CodeSigning,
        ID_KP_EMAIL_PROTECTION => Usage::EmailProtection,
        ID_KP_TIME_STAMPING => Usage::TimeStamping,
        ID_KP_OCSP_SIGNING => Usage::OcspSigning,
        _ => return None,
    })
}
