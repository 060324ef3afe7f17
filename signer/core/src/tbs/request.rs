//! The PKCS#10 request of a CA key, for a parent CA to sign (RFC 2986). Its self-signature is recorded like any other.

use der::asn1::{AnyRef, SetOfVec};
use der::{Decode, Encode};

use super::wire::RequestInfo;
use crate::error::Error;
use crate::names::Subject;
use crate::types::SignatureAlgorithm;

/// The DER of a CertificationRequestInfo with this subject and SubjectPublicKeyInfo and no attributes: what the
/// certificate will say, its issuer's profile decides.
///
/// # Errors
/// When the subject cannot be encoded or `spki_der` is not DER.
pub fn csr_info(subject: &Subject, spki_der: &[u8]) -> Result<Vec<u8>, Error> {
    let refused = |e: der::Error| Error::malformed("CSR", e.to_string(), "a DER subject and SubjectPublicKeyInfo");
    let subject_der = subject.to_der()?;
    let info = RequestInfo {
        version: 0,
        subject: AnyRef::from_der(&subject_der).map_err(refused)?,
        spki: AnyRef::from_der(spki_der).map_err(refused)?,
        attributes: SetOfVec::new(),
    };
    info.to_der().map_err(refused)
}

/// Joins a CertificationRequestInfo and the signature over it into a PKCS#10 CSR.
///
/// # Errors
/// When `info_der` is not one DER element.
pub fn assemble_csr(info_der: &[u8], algorithm: SignatureAlgorithm, signature: &[u8]) -> Result<Vec<u8>, Error> {
    super::assemble(info_der, algorithm, signature)
}
