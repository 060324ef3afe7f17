//! To-be-signed bytes: certificates and CSRs of CA keys, built from what was decided and read back strictly.
//!
//! The encoder writes the ASN.1 structures itself (RFC 5280 section 4.1), because a certificate's issuer must be the
//! exact bytes of its issuer's subject, and a general builder would decode and encode them anew.

mod algorithm;
mod build;
mod constraints;
mod extensions;
pub mod oid;
mod request;
mod view;
mod wire;

pub use algorithm::{algorithm_identifier, signature_algorithm};
pub use build::{CaConstraints, CertificateSpec, RootSpec};
pub use constraints::{NameConstraints, Subtrees};
pub use extensions::ExtensionView;
pub use request::{assemble_csr, csr_info};
pub use view::{TbsView, parse_certificate, parse_tbs};

pub(crate) use build::{positive, x509_time};
pub(crate) use constraints::dns_within;
pub(crate) use extensions::{authority_key_identifier, encoded};
pub use view::split_signed;

use der::asn1::BitString;
use der::{Decode, Encode};

use crate::error::Error;
use crate::types::SignatureAlgorithm;

/// Joins to-be-signed bytes, algorithm and signature: the same outer form for certificates, CRLs and CSRs.
///
/// The bytes go in untouched, so what was recorded is what is signed and published. `signature` is in X.509 form:
/// ECDSA as the DER of `r` and `s`, RSA and Ed25519 raw.
///
/// # Errors
/// When `tbs_der` is not one DER element.
pub fn assemble(tbs_der: &[u8], algorithm: SignatureAlgorithm, signature: &[u8]) -> Result<Vec<u8>, Error> {
    let refused = |e: der::Error| Error::malformed("signed object", e.to_string(), "one DER element and its signature");
    let signed = wire::Signed {
        tbs: der::asn1::AnyRef::from_der(tbs_der).map_err(refused)?,
        algorithm: algorithm_identifier(algorithm),
        signature: BitString::from_bytes(signature).map_err(refused)?,
    };
    signed.to_der().map_err(refused)
}
