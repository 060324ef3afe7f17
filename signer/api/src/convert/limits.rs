//! Sizes beyond which a field is refused before anything looks inside it; the contract's comments state the same.

/// A CSR in DER, octets.
pub(super) const PKCS10_DER: usize = 10 * 1024;
/// A CSR in PEM, octets.
pub(super) const PKCS10_PEM: usize = 16 * 1024;
/// A SubjectPublicKeyInfo, octets.
pub(super) const SPKI: usize = 1024;
/// A proof of possession, octets.
pub(super) const PROOF: usize = 512;
/// A pod's UID, octets.
pub(super) const UID: usize = 64;
/// Attributes in a subject.
pub(super) const ATTRIBUTES: usize = 32;
/// The value of an attribute, octets.
pub(super) const ATTRIBUTE_VALUE: usize = 256;
/// Subject alternative names.
pub(super) const SANS: usize = 100;
/// A DNS name, characters.
pub(super) const DNS: usize = 253;
/// A URI, characters.
pub(super) const URI: usize = 2048;
/// An e-mail address, characters.
pub(super) const EMAIL: usize = 320;
/// Usages; there are fewer kinds.
pub(super) const USAGES: usize = 32;
/// A text of the vouched context, and any reason or comment, octets.
pub(super) const TEXT: usize = 1024;
/// Groups of a requester.
pub(super) const GROUPS: usize = 256;
/// A text that an operator signed, octets.
pub(super) const SIGNED_TEXT: usize = 64 * 1024;
/// An armored SSH signature, octets.
pub(super) const SSH_SIGNATURE: usize = 16 * 1024;
/// Operators' texts in one call.
pub(super) const SIGNED_TEXTS: usize = 32;
/// A signed file, octets.
pub(super) const SIGNED_FILE: usize = 1024 * 1024;
/// Kinds or states in a query.
pub(super) const CHOICES: usize = 64;
/// Entries of a page when none is asked for.
pub(super) const PAGE_DEFAULT: u32 = 100;
/// Entries of a page at most.
pub(super) const PAGE_MOST: u32 = 1000;
/// A page token, characters.
pub(super) const PAGE_TOKEN: usize = 1024;
/// Certificates in a chain.
pub(super) const CHAIN: usize = 16;
/// A certificate, record or text in an answer, octets; a record fits an entry of the log (C2SP tlog-tiles).
pub(super) const ENTRY: usize = 65_535;
/// A tlog-proof in an answer, octets: the record in base64, at most 63 hashes and a checkpoint with cosignatures.
pub(super) const TLOG_PROOF: usize = 256 * 1024;
