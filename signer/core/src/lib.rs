//! The pure core of Stele: types, policy, to-be-signed bytes, lints, records and the arithmetic of the log.
//!
//! Nothing here reads a file, a clock, the environment or randomness, or knows a token or a socket: whatever
//! judgement needs comes in as a value. That is what lets the same code judge in the signer, be checked again in
//! the keeper, and be replayed years later by an auditor.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

pub mod audit;
pub mod authority;
pub mod ceremony;
pub mod checkpoint;
pub mod crl;
pub mod csr;
pub mod door;
pub mod epoch;
pub mod error;
pub mod keeping;
pub mod keycheck;
pub mod lint;
pub mod merkle;
pub mod names;
pub mod profile;
pub mod record;
pub mod request;
pub mod sshsig;
pub mod strict_toml;
pub mod tbs;
pub mod types;

pub use error::{Error, Refusal, Violation};
