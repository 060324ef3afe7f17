//! Looking at requests and deciding about them; listing profiles.

use stele_core::Refusal;
use stele_core::request::RequestState;
use stele_core::types::{CallerSan, ProfileName, RequestId, SignedText};

use super::fields::{Fields, Page};
use super::limits;
use crate::v1;

/// Which request is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The caller that made it; `None` for the one that asks.
    pub caller: Option<CallerSan>,
    /// Its id.
    pub id: RequestId,
    /// Number of the attempt, from 1; `None` for the newest.
    pub attempt: Option<u32>,
}

/// Which requests to list; all conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFilter {
    /// Made by this caller.
    pub caller: Option<CallerSan>,
    /// In one of these states; empty for any.
    pub states: Vec<RequestState>,
    /// Under this profile.
    pub profile: Option<ProfileName>,
    /// Which part of the list.
    pub page: Page,
}

/// An operator's denial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What they signed.
    pub signed: SignedText,
    /// Why; may be empty. Not covered by the signature.
    pub reason: String,
}

/// A caller's withdrawal of its own request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The request's id.
    pub id: RequestId,
    /// Why; may be empty.
    pub reason: String,
}

/// Which request to show.
///
/// # Errors
/// Every field that is absent or malformed.
pub fn request_key(wire: v1::GetRequestRequest) -> Result<RequestKey, Refusal> {
    let v1::GetRequestRequest {
        caller,
        request_id,
        attempt,
    } = wire;
    let mut fields = Fields::default();
    let caller = fields.parsed_if("caller", caller.as_deref());
    let id = fields.parsed("request_id", &request_id);
    if attempt == Some(0) {
        fields.refuse(
            "attempt",
            "out-of-range",
            "0",
            "a number from 1; leave it out for the newest",
        );
    }
    fields.finish(id.map(|id| RequestKey { caller, id, attempt }))
}

/// Which requests to list.
///
/// # Errors
/// Every field that is unknown, malformed or too large.
pub fn request_filter(wire: v1::ListRequestsRequest) -> Result<RequestFilter, Refusal> {
    let v1::ListRequestsRequest {
        caller,
        states,
        profile,
        page_size,
        page_token,
    } = wire;
    let mut fields = Fields::default();
    let caller = fields.parsed_if("caller", caller.as_deref());
    let profile = fields.parsed_if("profile", profile.as_deref());
    let states = fields.states(states);
    let page = fields.page(page_size, page_token);
    fields.finish(page.map(|page| RequestFilter {
        caller,
        states,
        profile,
        page,
    }))
}

/// The page of a list of profiles.
///
/// # Errors
/// Every field that is malformed or too large.
pub fn profiles_page(wire: v1::ListProfilesRequest) -> Result<Page, Refusal> {
    let v1::ListProfilesRequest { page_size, page_token } = wire;
    let mut fields = Fields::default();
    let page = fields.page(page_size, page_token);
    fields.finish(page)
}

/// An operator's approval; what the text says is judged with its signature.
///
/// # Errors
/// Every field that is absent or too large.
pub fn approval(wire: v1::ApproveRequestRequest) -> Result<SignedText, Refusal> {
    let v1::ApproveRequestRequest { approval } = wire;
    let mut fields = Fields::default();
    let signed = fields.signed_text("approval", approval);
    fields.finish(signed)
}

/// An operator's denial.
///
/// # Errors
/// Every field that is absent, malformed or too large.
pub fn denial(wire: v1::DenyRequestRequest) -> Result<Denial, Refusal> {
    let v1::DenyRequestRequest { denial, reason } = wire;
    let mut fields = Fields::default();
    let signed = fields.signed_text("denial", denial);
    let reason = fields.text_or_empty("reason", reason, limits::TEXT);
    fields.finish(signed.zip(reason).map(|(signed, reason)| Denial { signed, reason }))
}

/// A caller's withdrawal.
///
/// # Errors
/// Every field that is absent, malformed or too large.
pub fn withdrawal(wire: v1::WithdrawRequestRequest) -> Result<Withdrawal, Refusal> {
    let v1::WithdrawRequestRequest { request_id, reason } = wire;
    let mut fields = Fields::default();
    let id = fields.parsed("request_id", &request_id);
    let reason = fields.text_or_empty("reason", reason, limits::TEXT);
    fields.finish(id.zip(reason).map(|(id, reason)| Withdrawal { id, reason }))
}

impl Fields {
    fn states(&mut self, states: Vec<i32>) -> Vec<RequestState> {
        if !self.count("states", states.len(), limits::CHOICES, "states") {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (i, number) in states.into_iter().enumerate() {
            match v1::RequestState::try_from(number).ok().and_then(state) {
                Some(state) => found.push(state),
                None => self.unknown(&format!("states[{i}]"), number, "a state of this contract"),
            }
        }
        found
    }
}

const fn state(wire: v1::RequestState) -> Option<RequestState> {
    Some(match wire {
        v1::RequestState::Unspecified => return None,
        v1::RequestState::Pending => RequestState::Pending,
        v1::RequestState::Signing => RequestState::Signing,
        v1::RequestState::Issued => RequestState::Issued,
        v1::RequestState::Refused => RequestState::Refused,
        v1::RequestState::Denied => RequestState::Denied,
        v1::RequestState::Withdrawn => RequestState::Withdrawn,
        v1::RequestState::Expired => RequestState::Expired,
        v1::RequestState::Void => RequestState::Void,
        v1::RequestState::Failed => RequestState::Failed,
        v1::RequestState::FateUnknown => RequestState::FateUnknown,
    })
}

/// A request's state on the wire.
#[must_use]
pub const fn state_to_wire(state: RequestState) -> v1::RequestState {
    match state {
        RequestState::Pending => v1::RequestState::Pending,
        RequestState::Signing => v1::RequestState::Signing,
        RequestState::Issued => v1::RequestState::Issued,
        RequestState::Refused => v1::RequestState::Refused,
        RequestState::Denied => v1::RequestState::Denied,
        RequestState::Withdrawn => v1::RequestState::Withdrawn,
        RequestState::Expired => v1::RequestState::Expired,
        RequestState::Void => v1::RequestState::Void,
        RequestState::Failed => v1::RequestState::Failed,
        RequestState::FateUnknown => v1::RequestState::FateUnknown,
    }
}
