//! The ASN.1 structures of RFC 5280 section 4.1 and RFC 2986, with names and keys as the exact bytes they came in.

use der::Sequence;
use der::asn1::{AnyRef, BitString, IntRef};
use x509_cert::ext::Extension;
use x509_cert::time::Time;

/// `SIGNED{ToBeSigned}`: a certificate, CRL or CSR.
#[derive(Sequence)]
pub(crate) struct Signed<'a> {
    pub(crate) tbs: AnyRef<'a>,
    pub(crate) algorithm: AnyRef<'a>,
    pub(crate) signature: BitString,
}

/// `Validity`
#[derive(Clone, Copy, Sequence)]
pub(crate) struct Validity {
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
}

/// `TBSCertificate`. The two unique identifiers are left out, so that a certificate that has one does not parse: RFC
/// 5280 section 4.1.2.8 forbids CAs to write them.
#[derive(Sequence)]
pub(crate) struct Tbs<'a> {
    #[asn1(context_specific = "0", default = "v1")]
    pub(crate) version: u8,
    pub(crate) serial: IntRef<'a>,
    pub(crate) signature: AnyRef<'a>,
    pub(crate) issuer: AnyRef<'a>,
    pub(crate) validity: Validity,
    pub(crate) subject: AnyRef<'a>,
    pub(crate) spki: AnyRef<'a>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) extensions: Option<Vec<Extension>>,
}

fn v1() -> u8 {
    0
}

/// `CertificationRequestInfo` (RFC 2986 section 4.1) without attributes.
#[derive(Sequence)]
pub(crate) struct RequestInfo<'a> {
    pub(crate) version: u8,
    pub(crate) subject: AnyRef<'a>,
    pub(crate) spki: AnyRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    pub(crate) attributes: der::asn1::SetOfVec<der::Any>,
}
