//! Revoking and freezing; signed files, bundles, issuers and CRLs.

use stele_core::Refusal;
use stele_core::types::{CallerName, KeyName, ProfileName, Serial, SignedText};

use super::fields::{Fields, Page};
use super::limits;
use crate::v1;

pub use crate::v1::RevocationReason;

/// A certificate to revoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its serial number.
    pub serial: Serial,
    /// The CA that issued it; `None` where the serial alone tells.
    pub issuer: Option<KeyName>,
    /// Why; never `Unspecified`.
    pub reason: RevocationReason,
    /// More about it; may be empty.
    pub comment: String,
    /// Operators' texts, needed for a CA's certificate.
    pub approvals: Vec<SignedText>,
}

/// What to freeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FreezeTarget {
    /// An issuing CA.
    Issuer(KeyName),
    /// A profile.
    Profile(ProfileName),
    /// A caller.
    Caller(CallerName),
}

/// A freeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// What to freeze.
    pub target: FreezeTarget,
    /// Why.
    pub reason: String,
}

/// A certificate to revoke.
///
/// # Errors
/// Every field that is absent, unknown, malformed or too large.
pub fn revocation(wire: v1::RevokeRequest) -> Result<Revocation, Refusal> {
    let v1::RevokeRequest {
        serial,
        issuer,
        reason,
        comment,
        approvals,
    } = wire;
    let mut fields = Fields::default();
    let serial = fields.serial("serial", &serial);
    let issuer = fields.parsed_if("issuer", issuer.as_deref());
    let known = RevocationReason::try_from(reason)
        .ok()
        .filter(|known| *known != RevocationReason::Unspecified);
    if known.is_none() {
        fields.unknown("reason", reason, "a revocation reason of this contract");
    }
    let comment = fields.text_or_empty("comment", comment, limits::TEXT);
    let approvals = fields.signed_texts("approvals", approvals);
    fields.finish((|| {
        Some(Revocation {
            serial: serial?,
            issuer,
            reason: known?,
            comment: comment?,
            approvals,
        })
    })())
}

/// A freeze.
///
/// # Errors
/// Every field that is absent, malformed or too large.
pub fn freeze(wire: v1::FreezeRequest) -> Result<Freeze, Refusal> {
    use v1::freeze_request::Target;
    let v1::FreezeRequest { target, reason } = wire;
    let mut fields = Fields::default();
    let target = match target {
        Some(Target::Issuer(name)) => fields.parsed("issuer", &name).map(FreezeTarget::Issuer),
        Some(Target::Profile(name)) => fields.parsed("profile", &name).map(FreezeTarget::Profile),
        Some(Target::Caller(name)) => fields.parsed("caller", &name).map(FreezeTarget::Caller),
        None => {
            fields.absent("target", "one of issuer, profile, caller");
            None
        }
    };
    let reason = fields.text("reason", reason, limits::TEXT);
    fields.finish(target.zip(reason).map(|(target, reason)| Freeze { target, reason }))
}

/// The bytes of a signed file.
///
/// # Errors
/// When there are none, or too many.
pub fn signed_file(wire: v1::ApplySignedFileRequest) -> Result<Vec<u8>, Refusal> {
    let v1::ApplySignedFileRequest { file } = wire;
    let mut fields = Fields::default();
    let file = fields.octets("file", file, limits::SIGNED_FILE);
    fields.finish(file)
}

/// The number of the bundle to show; `None` for the one in force.
#[must_use]
pub const fn bundle_number(wire: v1::GetBundleRequest) -> Option<u64> {
    let v1::GetBundleRequest { number } = wire;
    number
}

/// The issuer whose chain is asked for.
///
/// # Errors
/// When its name is absent or malformed.
pub fn issuer_name(wire: v1::GetIssuerChainRequest) -> Result<KeyName, Refusal> {
    let v1::GetIssuerChainRequest { issuer } = wire;
    required_issuer(&issuer)
}

/// The issuer whose CRL is asked for.
///
/// # Errors
/// When its name is absent or malformed.
pub fn crl_issuer(wire: v1::GetCrlRequest) -> Result<KeyName, Refusal> {
    let v1::GetCrlRequest { issuer } = wire;
    required_issuer(&issuer)
}

fn required_issuer(name: &str) -> Result<KeyName, Refusal> {
    let mut fields = Fields::default();
    let name = fields.parsed("issuer", name);
    fields.finish(name)
}

/// The page of a list of issuers.
///
/// # Errors
/// Every field that is malformed or too large.
pub fn issuers_page(wire: v1::ListIssuersRequest) -> Result<Page, Refusal> {
    let v1::ListIssuersRequest { page_size, page_token } = wire;
    let mut fields = Fields::default();
    let page = fields.page(page_size, page_token);
    fields.finish(page)
}

impl Fields {
    fn signed_texts(&mut self, field: &str, texts: Vec<v1::SignedText>) -> Vec<SignedText> {
        if !self.count(field, texts.len(), limits::SIGNED_TEXTS, "texts") {
            return Vec::new();
        }
        texts
            .into_iter()
            .enumerate()
            .filter_map(|(i, text)| self.signed_text(&format!("{field}[{i}]"), Some(text)))
            .collect()
    }

    /// A serial number in its one text form, so that equal serials are equal texts.
    pub(super) fn serial(&mut self, field: &str, text: &str) -> Option<Serial> {
        let serial: Serial = self.parsed(field, text)?;
        if serial.to_string() == text {
            return Some(serial);
        }
        let permitted = format!("`{serial}`, without leading zero bytes");
        self.refuse(field, "malformed", super::fields::excerpt(text), permitted);
        None
    }
}
