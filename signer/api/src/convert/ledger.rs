//! Queries to the ledger.

use stele_core::Refusal;
use stele_core::names::{San, Subject};
use stele_core::types::{CallerSan, Digest, KeyName, OperatorName, Origin, ProfileName, RequestId, Serial, Time};

use super::fields::{Fields, Page, excerpt};
use super::limits;
use crate::v1;

/// Which entries to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntriesQuery {
    /// The log; `None` for the server's own.
    pub origin: Option<Origin>,
    /// Index of the first entry.
    pub start: u64,
    /// How many at most; `None` for all.
    pub limit: Option<u64>,
    /// Whether to wait for new ones.
    pub follow: bool,
}

/// Which entry to prove, in which tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionQuery {
    /// The log; `None` for the server's own.
    pub origin: Option<Origin>,
    /// Index of the entry.
    pub index: u64,
    /// Size of the tree, greater than the index; `None` for that of the newest checkpoint.
    pub tree_size: Option<u64>,
}

/// Between which trees to prove consistency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyQuery {
    /// The log; `None` for the server's own.
    pub origin: Option<Origin>,
    /// The smaller size.
    pub old_size: u64,
    /// The larger size, not below the other; `None` for that of the newest checkpoint.
    pub new_size: Option<u64>,
}

/// Conditions on entries; all must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindQuery {
    /// The log; `None` for every known one.
    pub origin: Option<Origin>,
    /// A certificate's serial number.
    pub serial: Option<Serial>,
    /// A certificate's subject.
    pub subject: Option<Subject>,
    /// One of a certificate's subject alternative names.
    pub san: Option<San>,
    /// The caller.
    pub caller: Option<CallerSan>,
    /// The caller's request id.
    pub request_id: Option<RequestId>,
    /// The profile.
    pub profile: Option<ProfileName>,
    /// The issuing CA.
    pub issuer: Option<KeyName>,
    /// An operator who decided or signed.
    pub operator: Option<OperatorName>,
    /// Kinds of record; empty for any.
    pub kinds: Vec<String>,
    /// Recorded at this time or later.
    pub from: Option<Time>,
    /// Recorded before this time.
    pub until: Option<Time>,
    /// SHA-256 of a certificate's DER.
    pub certificate: Option<Digest>,
    /// Which part of the answer.
    pub page: Page,
}

/// The log whose checkpoint is asked for; `None` for the server's own.
///
/// # Errors
/// When the origin is malformed.
pub fn log_origin(wire: v1::GetCheckpointRequest) -> Result<Option<Origin>, Refusal> {
    let v1::GetCheckpointRequest { origin } = wire;
    let mut fields = Fields::default();
    let origin = fields.parsed_if("origin", origin.as_deref());
    fields.finish(Some(origin))
}

/// Which entries to send.
///
/// # Errors
/// When the origin is malformed.
pub fn entries_query(wire: v1::StreamEntriesRequest) -> Result<EntriesQuery, Refusal> {
    let v1::StreamEntriesRequest {
        origin,
        start,
        limit,
        follow,
    } = wire;
    let mut fields = Fields::default();
    let origin = fields.parsed_if("origin", origin.as_deref());
    fields.finish(Some(EntriesQuery {
        origin,
        start,
        limit,
        follow,
    }))
}

/// Which entry to prove.
///
/// # Errors
/// When the origin is malformed, or the tree does not reach the entry.
pub fn inclusion_query(wire: v1::GetInclusionProofRequest) -> Result<InclusionQuery, Refusal> {
    let v1::GetInclusionProofRequest {
        origin,
        index,
        tree_size,
    } = wire;
    let mut fields = Fields::default();
    let origin = fields.parsed_if("origin", origin.as_deref());
    if let Some(size) = tree_size.filter(|size| *size <= index) {
        let found = format!("{size} with index {index}");
        fields.conflict("tree_size", found, "a size greater than the index");
    }
    fields.finish(Some(InclusionQuery {
        origin,
        index,
        tree_size,
    }))
}

/// Between which trees to prove consistency.
///
/// # Errors
/// When the origin is malformed, or the sizes are in the wrong order.
pub fn consistency_query(wire: v1::GetConsistencyProofRequest) -> Result<ConsistencyQuery, Refusal> {
    let v1::GetConsistencyProofRequest {
        origin,
        old_size,
        new_size,
    } = wire;
    let mut fields = Fields::default();
    let origin = fields.parsed_if("origin", origin.as_deref());
    if let Some(size) = new_size.filter(|size| *size < old_size) {
        let found = format!("{size} with old_size {old_size}");
        fields.conflict("new_size", found, "a size not below old_size");
    }
    fields.finish(Some(ConsistencyQuery {
        origin,
        old_size,
        new_size,
    }))
}

/// Conditions on entries.
///
/// # Errors
/// Every field that is malformed, too large or contradictory.
pub fn find_query(wire: v1::FindEntriesRequest) -> Result<FindQuery, Refusal> {
    let v1::FindEntriesRequest {
        origin,
        serial,
        subject,
        san,
        caller,
        request_id,
        profile,
        issuer,
        operator,
        kinds,
        from,
        until,
        certificate_sha256,
        page_size,
        page_token,
    } = wire;
    let mut fields = Fields::default();
    let page = fields.page(page_size, page_token);
    let query = page.map(|page| FindQuery {
        origin: fields.parsed_if("origin", origin.as_deref()),
        serial: serial.and_then(|serial| fields.serial("serial", &serial)),
        subject: subject.and_then(|subject| fields.subject("subject", subject)),
        san: san.and_then(|san| fields.san("san", san)),
        caller: fields.parsed_if("caller", caller.as_deref()),
        request_id: fields.parsed_if("request_id", request_id.as_deref()),
        profile: fields.parsed_if("profile", profile.as_deref()),
        issuer: fields.parsed_if("issuer", issuer.as_deref()),
        operator: fields.parsed_if("operator", operator.as_deref()),
        kinds: fields.kinds(kinds),
        from: fields.millis("from", from),
        until: fields.millis("until", until),
        certificate: certificate_sha256.and_then(|octets| fields.digest("certificate_sha256", octets)),
        page,
    });
    if let Some((from, until)) = query.as_ref().and_then(|q| q.from.zip(q.until))
        && until <= from
    {
        fields.conflict(
            "until",
            format!("{until}, not after `from` {from}"),
            "a time after `from`",
        );
    }
    fields.finish(query)
}

impl Fields {
    fn kinds(&mut self, kinds: Vec<String>) -> Vec<String> {
        if !self.count("kinds", kinds.len(), limits::CHOICES, "kinds") {
            return Vec::new();
        }
        let known = |kind: &str| !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase() || b"_-".contains(&b));
        for (i, kind) in kinds
            .iter()
            .enumerate()
            .filter(|(_, kind)| !known(kind) || kind.len() > 64)
        {
            let permitted = "1 to 64 of a-z, hyphen and underscore";
            self.refuse(&format!("kinds[{i}]"), "malformed", excerpt(kind), permitted);
        }
        kinds
    }

    fn digest(&mut self, field: &str, octets: Vec<u8>) -> Option<Digest> {
        match <[u8; 32]>::try_from(octets) {
            Ok(digest) => Some(Digest(digest)),
            Err(octets) => {
                self.refuse(field, "malformed", format!("{} bytes", octets.len()), "32 bytes");
                None
            }
        }
    }
}
