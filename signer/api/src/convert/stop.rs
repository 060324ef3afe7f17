//! Revoking and freezing; signed files, bundles, issuers and CRLs.

use stele_core::Refusal;
use stele_core::crl::Reason;
use stele_core::record::FreezeTarget;
use stele_core::types::{KeyName, Serial, SignedText};

use super::fields::{Fields, Page};
use super::limits;
use crate::v1;

/// A certificate to revoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its serial number.
    pub serial: Serial,
    /// The CA that issued it; `None` where the serial alone tells.
    pub issuer: Option<KeyName>,
    /// Why.
    pub reason: Reason,
    /// More about it; may be empty.
    pub comment: String,
    /// Operators' texts, needed for a CA's certificate.
    pub approvals: Vec<SignedText>,
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
    let known = v1::RevocationReason::try_from(reason).ok().and_then(core_reason);
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

/// The reason as a CRL names it. On the wire 0 stands for a reason that was forgotten, never for none.
const fn core_reason(wire: v1::RevocationReason) -> Option<Reason> {
    Some(match wire {
        v1::RevocationReason::Unspecified => return None,
        v1::RevocationReason::KeyCompromise => Reason::KeyCompromise,
        v1::RevocationReason::CaCompromise => Reason::CaCompromise,
        v1::RevocationReason::AffiliationChanged => Reason::AffiliationChanged,
        v1::RevocationReason::Superseded => Reason::Superseded,
        v1::RevocationReason::CessationOfOperation => Reason::CessationOfOperation,
        v1::RevocationReason::PrivilegeWithdrawn => Reason::PrivilegeWithdrawn,
        v1::RevocationReason::Other => Reason::Unspecified,
    })
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
