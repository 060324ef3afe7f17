//! From the wire to core values and back.
//!
//! A conversion from the wire destructures its message, so that a field added to the contract does not compile until
//! it is dealt with here; it refuses what is absent, unknown, too large or contradictory; and it reports every such
//! field, by its path in the message, not only the first.

mod answers;
mod fields;
mod ledger;
mod limits;
mod names;
mod requests;
mod signing;
mod stop;

pub use answers::{Issued, Pending, Quorum, SignAnswer, sign_answer};
pub use fields::{Page, page_size, time_to_wire};
pub use ledger::{
    ConsistencyQuery, EntriesQuery, FindQuery, InclusionQuery, consistency_query, entries_query, find_query,
    inclusion_query, log_origin,
};
pub use names::{attribute_type_to_wire, san_to_wire, subject_to_wire, usage_to_wire};
pub use requests::{
    Denial, RequestFilter, RequestKey, Withdrawal, approval, denial, profiles_page, request_filter, request_key,
    state_to_wire, withdrawal,
};
pub use signing::{sign_request, sign_request_to_wire};
pub use stop::{
    Freeze, Revocation, bundle_number, crl_issuer, freeze, issuer_name, issuers_page, revocation, signed_file,
};

#[cfg(test)]
mod tests;
