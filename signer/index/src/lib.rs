//! What the signer looks up in the log: requests, serials, subjects, callers, CRLs, freezes, the bundle.
//!
//! The index follows the log in order, whoever wrote the record, and holds nothing that the log does not say: deleting
//! its file loses nothing but the time to read the log again. So it is not synced at every commit; after a power cut
//! it may have forgotten its newest records, and [`Index::next`] says from where to read on.
//!
//! Two rules keep it true to the log:
//! - every record's effect depends on the records before it only, never on how they were grouped into batches;
//! - a record that contradicts the ones before it never stops the index. What it breaks stays as it was, and the
//!   record is listed by [`Reader::anomalies`] for people to look at.
//!
//! There is one [`Index`], which writes, and any number of [`Reader`]s, which may be cloned into other threads. Time
//! is the caller's: a proposal that expired still stands as pending here.

mod apply;
mod blocks;
mod convert;
mod error;
mod index;
mod read;
mod store;
mod text;
mod view;

pub use error::IndexError;
pub use index::Index;
pub use read::Reader;
pub use text::{Name, subject_text};
pub use view::{
    Anomaly, BundleView, CaView, Carried, CertificateView, CrlView, DecisionView, Filter, Frozen, IntentView, Listed,
    Page, ProposalView, Proposed, RecordView, RequestFilter, RequestView, Revoked, State, StateKind,
};
